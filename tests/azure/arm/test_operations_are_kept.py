"""Long-running operations without HTTP: what the journal keeps, and how clients are told where an operation stands."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from local.azure.arm.errors import BadRequest
from local.azure.arm.journal import STATUSES, Journal, Operation, first_answer, poll
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.errors import NotFound
from local.azure.control_plane.resources import Resource
from local.azure.platform.clock import ManualClock
from local.paths import Paths
from tests.azure.running import RecordingHooks

ACCOUNTS = "Microsoft.Batch/batchAccounts"
POOLS = f"{ACCOUNTS}/pools"
STORAGE = "Microsoft.Storage/storageAccounts"
GROUPS = "Microsoft.Resources/resourceGroups"


class Hooks(RecordingHooks):
    """A service that completes what it makes."""

    async def put(self, new: Resource, old: Resource | None) -> None:
        await super().put(new, old)
        new.system["endpoint"] = "made"


class World:
    """A cloud on a clock that is moved by hand, with one service for all types used here."""

    def __init__(self, home: Path) -> None:
        self.clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.paths = Paths(home)
        self.hooks = Hooks()
        self.open()

    def open(self) -> None:
        self.cloud = Cloud.open(self.paths, self.clock)
        for kind in (ACCOUNTS, POOLS, STORAGE):
            self.cloud.types.register(kind, self.hooks)
        self.journal = Journal(self.cloud)

    async def restart(self) -> None:
        """As after kill -9: what the store has is all that is left."""
        await self.journal.stop()
        self.cloud.close()
        self.open()

    def resource(self, name: str = "a", type: str = ACCOUNTS, created: str = "1", **more: Any) -> Resource:
        parent = f"{self.cloud.subscription_scope}/resourceGroups/g/providers"
        place = f"{ACCOUNTS}/a/pools/{name}" if type == POOLS else f"{type}/{name}"
        return Resource(id=f"{parent}/{place}", type=type, name=name, location="westeurope", created=created, **more)

    async def run(self, verb: str, target: Resource, before: Resource | None = None) -> Operation:
        """Begin an operation, do its work in the background, and read how it ended."""
        operation = self.journal.begin(verb, target, before)
        self.journal.run(operation)
        await self.ended(target.id)
        found = self.journal.find(operation.id)
        assert found is not None
        return found

    async def ended(self, resource_id: str) -> None:
        for _ in range(1000):
            if self.journal.running(resource_id) is None:
                return
            await asyncio.sleep(0)
        raise AssertionError(f"the operation on {resource_id} did not end")

    def poll(self, operation: Operation, kind: str = "operationresults", prefix: str = "") -> web.Response:
        request = make_mocked_request("GET", "/there?api-version=1", headers={"Host": "arm"})
        return poll(self.cloud, self.journal, prefix + operation.id, kind, request)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "home")
    yield made
    await made.journal.stop()
    made.cloud.close()


def document(answer: web.Response) -> Any:
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)


# What the journal keeps.


async def test_a_put_that_succeeds_records_the_resource_as_the_service_completed_it(world: World) -> None:
    ended = await world.run("put", world.resource(state="Creating"))
    kept = world.cloud.resources.get(ended.resource_id)
    assert kept is not None and (kept.state, kept.system) == ("Succeeded", {"endpoint": "made"})
    assert (ended.status, ended.error) == ("Succeeded", None)
    assert ended.ended == world.clock.now().isoformat()


async def test_a_put_that_fails_takes_a_new_resource_away_again(world: World) -> None:
    target = world.resource(state="Creating")
    world.cloud.resources.put(target)
    world.hooks.fail = BadRequest("no room")
    ended = await world.run("put", target)
    assert world.cloud.resources.get(target.id) is None
    assert (ended.status, ended.error) == ("Failed", {"status": 400, "code": "BadRequest", "message": "no room"})


async def test_a_put_that_fails_leaves_an_old_resource_as_it_was(world: World) -> None:
    old = world.resource(properties={"v": 1})
    world.cloud.resources.put(old)
    world.hooks.fail = BadRequest("no")
    await world.run("put", world.resource(properties={"v": 2}), old)
    kept = world.cloud.resources.get(old.id)
    assert kept is not None and kept.properties == {"v": 1}


async def test_a_delete_takes_what_is_inside_first_the_last_made_before_the_others(world: World) -> None:
    account = world.resource(created="1")
    for resource in (account, world.resource("p1", POOLS, "2"), world.resource("p2", POOLS, "3")):
        world.cloud.resources.put(resource)
    await world.run("delete", account)
    assert world.hooks.calls == [("delete", "p2"), ("delete", "p1"), ("delete", "a")]
    assert world.cloud.resources.list(scope=account.id) == []


async def test_a_delete_that_fails_leaves_the_resource_failed(world: World) -> None:
    target = world.resource(state="Deleting")
    world.cloud.resources.put(target)
    world.hooks.fail = BadRequest("busy")
    ended = await world.run("delete", target)
    kept = world.cloud.resources.get(target.id)
    assert kept is not None and kept.state == "Failed"
    assert ended.status == "Failed"


async def test_a_defect_of_the_service_ends_the_operation_and_names_the_exception(world: World) -> None:
    world.hooks.fail = KeyError("vmSize")
    ended = await world.run("put", world.resource())
    assert ended.status == "Failed" and ended.error is not None
    assert "KeyError" in ended.error["message"] and ended.error["status"] == 500


async def test_finish_raises_the_refusal_that_it_records(world: World) -> None:
    world.hooks.fail = BadRequest("no")
    operation = world.journal.begin("put", world.resource(), None)
    with pytest.raises(BadRequest, match="no"):
        await world.journal.finish(operation)
    assert operation.status == "Failed"


async def test_an_operation_in_progress_is_found_by_its_resource_in_any_case(world: World) -> None:
    world.hooks.gate = threading.Event()
    target = world.resource()
    operation = world.journal.begin("put", target, None)
    world.journal.run(operation)
    found = world.journal.running(target.id.upper())
    assert found is not None and found.id == operation.id
    assert world.journal.running(world.resource("b").id) is None


async def test_an_ended_operation_keeps_no_body(world: World) -> None:
    """A pool's body has passwords."""
    target = world.resource(properties={"password": "hush"})
    ended = await world.run("put", target, world.resource(properties={"password": "before"}))
    assert ended.before is None
    assert set(ended.target) == {"id", "type", "name", "location"}


@pytest.mark.parametrize("verb", ["put", "delete"])
async def test_what_a_kill_interrupted_is_done_at_the_next_start(world: World, verb: str) -> None:
    target = world.resource()
    world.cloud.resources.put(target)
    world.hooks.gate = threading.Event()
    operation = world.journal.begin(verb, target, None)
    world.journal.run(operation)
    await asyncio.sleep(0)
    await world.restart()
    world.hooks.gate.set()
    await world.journal.recover()
    await world.ended(target.id)
    assert world.hooks.calls == [(verb, "a"), (verb, "a")]
    assert (world.cloud.resources.get(target.id) is None) == (verb == "delete")


async def test_operations_are_remembered_for_a_day(world: World) -> None:
    ended = await world.run("put", world.resource())
    world.clock.advance(timedelta(hours=23))
    await world.journal.recover()
    assert world.journal.find(ended.id) is not None
    world.clock.advance(timedelta(hours=2))
    await world.journal.recover()
    assert world.journal.find(ended.id) is None


# What clients are told.


async def test_an_operation_in_progress_answers_202_with_where_and_when_to_ask_again(world: World) -> None:
    world.hooks.gate = threading.Event()
    operation = world.journal.begin("put", world.resource(), None)
    answer = world.poll(operation)
    assert (answer.status, answer.headers["Retry-After"]) == (202, "1")
    assert answer.headers["Location"].endswith("/there?api-version=1")
    told = world.poll(operation, STATUSES)
    assert (told.status, document(told)["status"], told.headers["Retry-After"]) == (200, "InProgress", "1")
    assert "endTime" not in document(told)


async def test_a_put_that_ended_answers_with_the_resource(world: World) -> None:
    ended = await world.run("put", world.resource(state="Creating"))
    answer = world.poll(ended)
    assert answer.status == 200
    assert document(answer)["properties"]["provisioningState"] == "Succeeded"
    told = document(world.poll(ended, STATUSES))
    assert (told["name"], told["status"], told["endTime"]) == (ended.id, "Succeeded", ended.ended)


async def test_a_delete_that_ended_answers_200_with_nothing(world: World) -> None:
    world.cloud.resources.put(world.resource())
    answer = world.poll(await world.run("delete", world.resource()))
    assert (answer.status, answer.body) == (200, None)


async def test_a_failed_operation_answers_with_its_error_and_a_status_of_200_tells_of_it(world: World) -> None:
    world.hooks.fail = BadRequest("no room")
    ended = await world.run("put", world.resource())
    answer = world.poll(ended)
    assert (answer.status, document(answer)) == (400, {"error": {"code": "BadRequest", "message": "no room"}})
    told = world.poll(ended, STATUSES)
    assert (told.status, document(told)["status"], document(told)["error"]["code"]) == (200, "Failed", "BadRequest")


async def test_names_before_an_operations_id_do_not_hide_it_and_an_unknown_one_is_not_found(world: World) -> None:
    ended = await world.run("put", world.resource())
    assert world.poll(ended, prefix="put-my-pool-").status == 200
    unknown = Operation("no-such-operation", "put", {}, None, "")
    with pytest.raises(NotFound, match="'no-such-operation' is not known"):
        world.poll(unknown)


@pytest.mark.parametrize(
    ("type", "verb", "location"),
    [
        (ACCOUNTS, "put", "/providers/Microsoft.Batch/batchAccounts/a/operationResults/{id}?"),
        (ACCOUNTS, "delete", "/providers/Microsoft.Batch/locations/westeurope/accountOperationResults/a-{id}?"),
        (POOLS, "delete", "/batchAccounts/a/poolOperationResults/delete-a-{id}?"),
        (STORAGE, "delete", "/providers/Microsoft.Storage/locations/westeurope/operationResults/{id}?"),
        (GROUPS, "delete", "/operationresults/{id}?"),
    ],
)
async def test_each_provider_has_its_own_place_to_ask(world: World, type: str, verb: str, location: str) -> None:
    operation = world.journal.begin(verb, world.resource(type=type), None)
    answer = first_answer(world.cloud, 202, None, operation, world.cloud.types.get(type))
    assert answer.headers["Location"].startswith(world.cloud.arm_url)
    assert location.format(id=operation.id) in answer.headers["Location"]
    assert answer.headers["Retry-After"] == "1"
    assert ("Azure-AsyncOperation" in answer.headers) == world.cloud.types.get(type).async_header


async def test_without_an_operation_the_answer_is_the_resource_or_nothing(world: World) -> None:
    spec = world.cloud.types.get(ACCOUNTS)
    answer = first_answer(world.cloud, 201, {"name": "a"}, None, spec)
    assert (answer.status, document(answer)) == (201, {"name": "a"})
    assert first_answer(world.cloud, 204, None, None, spec).body is None
