"""The account's loop: order, nothing said before it is written, and a turn that fails changes nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.azure.batch.decisions.run_specs import SpecWriter
from local.azure.batch.model import Job
from local.azure.batch.model.account_state import JOBS, AccountState
from local.azure.batch.model.job import with_defaults
from local.azure.batch.scheduling.loop import Loop
from local.azure.batch.scheduling.messages import Command, Disarm
from local.azure.batch.scheduling.turn import Turn
from local.azure.platform.clock import ManualClock
from local.azure.platform.store import Store
from tests.azure.batch.world import NoStorage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Report:
    name: str


@dataclass(frozen=True)
class Look:
    name: str


class World:
    """A loop whose handlers keep what they take, and fail at "bad" after they changed a job."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.state = AccountState(store, "account")
        specs = SpecWriter("account", "https://127.0.0.1:1", lambda resource_id: None, NoStorage(), lambda *run: "")
        self.loop = Loop(self.state, ManualClock(NOW), specs)
        self.loop.handlers = {Report: self.report, Look: self.look}
        self.loop.perform = self.perform
        self.taken: list[str] = []
        self.performed: list[Command] = []

    def report(self, turn: Turn, event: Report) -> None:
        self.taken.append(event.name)
        if event.name == "first":
            turn.look(Look("a"))
            turn.post(Report("follows"))
        if event.name == "renames":
            with turn.change(turn.state.jobs["job"]) as job:
                job.terminate_reason = "changed"
            turn.command(Disarm("kind", "name"))
            turn.post(Report("bad"))
        if event.name == "bad":
            raise ValueError("bad")

    def look(self, turn: Turn, event: Look) -> None:
        self.taken.append(f"look {event.name}")

    def perform(self, command: Command) -> None:
        self.performed.append(command)

    def job(self) -> Job:
        body = with_defaults({"id": "job", "poolInfo": {"poolId": "pool"}})
        job = Job(id="job", body=body, created=NOW, state_since=NOW, changed=NOW, number=1)
        with self.loop.turn() as turn:
            turn.add(job)
        return job


@pytest.fixture
def world() -> World:
    return World(Store(None))


async def test_what_follows_is_taken_in_order_and_a_look_once_and_last(world: World) -> None:
    with world.loop.turn() as turn:
        turn.post(Report("first"))
        turn.look(Look("a"))
        turn.post(Report("second"))
    assert world.taken == ["first", "second", "follows", "look a"]


async def test_what_was_posted_before_a_request_is_taken_before_it(world: World) -> None:
    world.loop.post(Report("report"))
    with world.loop.turn():
        world.taken.append("asked")
    assert world.taken == ["report", "asked"]


async def test_a_report_is_taken_without_anybody_asking(world: World) -> None:
    world.loop.post(Report("report"))
    assert world.taken == [] and world.loop.is_busy
    await asyncio.sleep(0)
    assert world.taken == ["report"] and not world.loop.is_busy


async def test_one_event_that_fails_is_logged_with_its_cause_and_does_not_stop_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.loop.post(Report("bad"))
    world.loop.post(Report("good"))
    world.loop.settle()
    assert world.taken == ["bad", "good"]
    assert "Report(name='bad') could not be taken; nothing was changed" in caplog.text
    assert "ValueError: bad" in caplog.text


async def test_an_event_whose_consequence_fails_changes_nothing_and_commands_nothing(world: World) -> None:
    job = world.job()
    before = job.to_json()
    world.loop.post(Report("renames"))
    world.loop.settle()
    assert world.taken == ["renames", "bad"]
    assert job.to_json() == before == world.store.get(JOBS, "account/job")
    assert world.performed == []


async def test_a_request_whose_consequence_fails_raises_and_changes_nothing(world: World) -> None:
    job = world.job()
    with pytest.raises(ValueError, match="bad"), world.loop.turn() as turn:
        with turn.change(job):
            job.terminate_reason = "asked"
        turn.post(Report("bad"))
    assert job.terminate_reason is None
    assert world.performed == [] and not world.loop.is_busy


async def test_commands_are_performed_when_the_turn_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "azure.db"
    world, other, seen = World(Store(path)), Store(path), []
    world.loop.perform = lambda command: seen.append(other.get(JOBS, "account/job") is not None)
    job = Job(id="job", body=with_defaults({}), created=NOW, state_since=NOW, changed=NOW, number=1)
    with world.loop.turn() as turn:
        turn.add(job)
        turn.command(Disarm("kind", "name"))
        assert seen == []
    assert seen == [True]


async def test_a_disk_that_is_full_undoes_a_request_and_keeps_what_nodes_reported(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = world.job()
    world.loop.handlers = {Report: lambda turn, event: rename(turn, job, event.name)}

    def full(changes: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(world.state, "write", full)
        with pytest.raises(sqlite3.OperationalError), world.loop.turn() as turn:
            rename(turn, job, "asked")
        assert job.terminate_reason is None
        world.loop.post(Report("reported"))
        world.loop.settle()
        assert job.terminate_reason is None and world.loop.is_busy
        assert "1 events could not be written" in caplog.text
    world.loop.settle()
    assert job.terminate_reason == "reported" and not world.loop.is_busy


def rename(turn: Turn, job: Job, reason: str) -> None:
    with turn.change(job):
        job.terminate_reason = reason


async def test_no_turn_begins_inside_of_another(world: World) -> None:
    with pytest.raises(RuntimeError, match="inside of another"), world.loop.turn(), world.loop.turn():
        pass
