"""What the pages are told, and what a look costs the service."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from jobs.dashboard.cache import Cache
from jobs.dashboard.outputs import readable
from jobs.dashboard.views import Views
from jobs.errors import Unreachable
from jobs.service.batch import PoolState
from tests.jobs.dashboard.scene import POOL, Visit, furnish, visit
from tests.jobs.fakes import START, FakeClock, Stage, stage


@pytest_asyncio.fixture
async def inside() -> AsyncIterator[Visit]:
    found = await visit(operate=True)
    await found.enter()
    yield found
    await found.client.close()


@pytest.fixture
def scene() -> Stage:
    found = stage()
    furnish(found)
    return found


def views(scene: Stage) -> Views:
    return Views(scene.session, Cache(scene.clock), operate=False)


async def test_the_map_has_every_node_with_its_state_kind_and_tasks(inside: Visit) -> None:
    _, found = await inside.get("/api/pools")
    [pool] = found["pools"]
    assert (pool["name"], pool["id"], pool["slots"]) == ("default", POOL, 2)
    assert [node[:5] for node in pool["nodes"]] == [
        ["tvm-0", "running", True, 1, 1], ["tvm-1", "idle", False, 0, 0], ["tvm-2", "starttaskfailed", True, 0, 0],
    ]  # fmt: skip
    [wrong] = pool["wrong"]
    assert wrong["nodes"] == ["tvm-2"] and wrong["why"].startswith("start task: exit code 1: ")


async def test_why_a_task_failed_is_told_in_the_words_of_show(inside: Visit) -> None:
    _, found = await inside.get("/api/jobs/sim/tasks/step-3")
    assert found["words"] == "failed, exit code 9 (retry 1)"
    assert found["why"][0] == "exit code 9: the program's own code"
    assert "it ran 2 times; every run failed" in found["why"]
    assert "its node is idle now" in found["why"]
    _, job = await inside.get("/api/jobs/sim")
    assert [one["id"] for one in job["failures"]] == ["step-3"]


async def test_output_goes_on_where_the_last_piece_ended(inside: Visit) -> None:
    path = "/api/jobs/sim/tasks/step-5/output?name=stdout.txt"
    _, first = await inside.get(path)
    assert (first["text"], first["over"]) == ("step 5 began\n", False)
    inside.scene.batch.files["sim", "step-5", "stdout.txt"] += "half a l\u00f6af".encode()[:9]
    inside.scene.clock.at += timedelta(seconds=2)
    _, second = await inside.get(f"{path}&from={first['to']}")
    assert second["text"] == "half a l"  # the letter that is not complete yet is in the next piece
    inside.scene.batch.files["sim", "step-5", "stdout.txt"] += "half a l\u00f6af".encode()[9:]
    inside.scene.clock.at += timedelta(seconds=2)
    _, third = await inside.get(f"{path}&from={second['to']}")
    assert third["text"] == "\u00f6af"


async def test_a_long_output_is_shown_from_near_its_end(inside: Visit) -> None:
    inside.scene.batch.files["sim", "step-3", "stderr.txt"] = b"x" * 300_000 + b"the last line\n"
    _, found = await inside.get("/api/jobs/sim/tasks/step-3/output?name=stderr.txt")
    assert found["text"].endswith("the last line\n") and found["from"] > 200_000


async def test_output_of_a_node_that_is_gone_comes_from_the_container(inside: Visit) -> None:
    del inside.scene.batch.files["sim", "step-3", "stderr.txt"]
    inside.scene.blobs.content["job-hello", "sim/step-3/stderr.txt"] = b"kept\n"
    _, found = await inside.get("/api/jobs/sim/tasks/step-3/output?name=stderr.txt")
    assert (found["text"], found["source"]) == ("kept\n", "blob job-hello/sim/step-3/stderr.txt")


async def test_files_are_those_of_the_node_and_of_the_container(inside: Visit) -> None:
    _, found = await inside.get("/api/jobs/sim/tasks/step-3/files")
    assert {(one["where"], one["name"]) for one in found["files"]} == {
        ("node", "stdout.txt"), ("node", "stderr.txt"), ("container", "result.txt"),
    }  # fmt: skip
    kept = next(one for one in found["files"] if one["where"] == "container")
    assert await inside.get(kept["open"]) == (200, b"half a result")


async def test_a_node_shows_its_start_task_and_what_ran_there(inside: Visit) -> None:
    _, found = await inside.get(f"/api/pools/{POOL}/tvm-1")
    assert found["start_task"]["exit_code"] == 0 and found["dedicated"] is False
    assert [one["task_id"] for one in found["tasks"]] == ["step-3"]
    assert found["connect"] == f"batch-jobs connect tvm-1 --pool {POOL}"
    _, output = await inside.get(f"/api/pools/{POOL}/tvm-1/output?name=stderr.txt")
    assert output["text"] == "the start task spoke\n"


async def test_cancel_retry_and_connect_answer_in_the_words_of_the_verbs(inside: Visit) -> None:
    _, done = await inside.post("/api/actions/cancel", {"job": "sim", "task": "step-5"})
    assert done["words"] == "task step-5 is being ended"
    _, done = await inside.post("/api/actions/retry", {"job": "sim", "task": "step-3"})
    assert "step-3 -> step-3-r1" in done["words"]
    assert "step-3-r1" in inside.scene.batch.sent["sim"]
    _, done = await inside.post("/api/actions/connect", {"pool": POOL, "node": "tvm-0"})
    assert done["data"].startswith("ssh ") and "password, shown this once: " in done["words"]
    [user] = inside.scene.batch.users
    assert user["password"] in done["words"] and user["isAdmin"] is False
    _, done = await inside.post("/api/actions/cancel", {"job": "sim"})
    assert "terminate sim" in inside.scene.batch.order


async def test_an_error_of_the_service_is_an_answer_in_words(inside: Visit) -> None:
    status, found = await inside.get("/api/jobs/none")
    assert (status, found) == (404, {"error": "job none does not exist"})


async def test_the_report_of_a_job_is_offered_as_a_file(inside: Visit) -> None:
    _, found = await inside.get("/api/jobs/sim")
    status, made = await inside.get(found["report_file"])
    assert status == 200 and made.startswith(b"<!doctype html>") and b"step-3" in made


def test_tasks_are_listed_by_pages_and_filtered_by_the_service(scene: Stage) -> None:
    furnish(scene, tasks=250, job_id="large")
    shown = views(scene)
    first = shown.tasks("large", shown="all", prefix="", page=0)
    assert len(first["tasks"]) == 100 and first["more"]
    second = shown.tasks("large", shown="all", prefix="", page=1)
    assert second["tasks"][0]["id"] == "step-100"
    assert [one["id"] for one in shown.tasks("large", shown="failed", prefix="", page=0)["tasks"]] == ["step-3"]
    assert len(shown.tasks("large", shown="all", prefix="step-24", page=0)["tasks"]) == 11


def calls(scene: Stage, looks: int) -> int:
    """How often the service is asked while a job and its tasks are looked at so often within a second."""
    shown = Views(scene.session, cache := Cache(scene.clock), operate=False)
    for _ in range(looks):
        shown.pools()
        shown.jobs(state="", family="", prefix="", page=0)
        shown.job("sim")
        shown.tasks("sim", shown="all", prefix="", page=0)
    return cache.asked


def test_many_who_look_cost_as_much_as_one(scene: Stage) -> None:
    assert calls(scene, 1) == calls(scene, 50) < 12


def test_a_job_of_many_tasks_costs_no_more_calls() -> None:
    costs = []
    for tasks in (1_500, 6_000):
        scene = stage()
        furnish(scene, tasks=tasks)
        costs.append(calls(scene, 3))
    assert costs[0] == costs[1]


def test_those_who_ask_at_the_same_time_wait_for_one_answer() -> None:
    cache, begun, go_on = Cache(FakeClock()), threading.Event(), threading.Event()

    def ask() -> int:
        begun.set()
        assert go_on.wait(5)
        return 7

    with ThreadPoolExecutor(8) as threads:
        found = [threads.submit(cache.get, "key", 5, ask) for _ in range(8)]
        assert begun.wait(5)
        go_on.set()
        assert [one.result(5) for one in found] == [7] * 8
    assert cache.asked == 1


def test_a_service_that_is_away_is_not_asked_by_every_look() -> None:
    clock = FakeClock()
    cache, asked = Cache(clock), []

    def ask() -> int:
        asked.append(1)
        raise Unreachable("away")

    for _ in range(5):
        with pytest.raises(Unreachable):
            cache.get("key", 5, ask)
    assert len(asked) == 1
    clock.at += timedelta(seconds=3)
    with pytest.raises(Unreachable):
        cache.get("key", 5, ask)
    assert len(asked) == 2


def test_a_pool_whose_nodes_cannot_be_read_is_still_shown(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.batch.pools_known["other"] = PoolState(
        id="other", state="active", resize_errors=("AllocationTimedout: no room",), autoscale_error="E: wrong"
    )

    def nodes(pool_id: str) -> object:
        if pool_id == "other":
            raise Unreachable("the nodes cannot be read")
        return iter(scene.batch.node_list)

    monkeypatch.setattr(scene.batch, "nodes", nodes)
    found = {pool["id"]: pool for pool in views(scene).pools()["pools"]}
    assert len(found[POOL]["nodes"]) == 3
    assert found["other"]["errors"] == [
        "the last resize failed: AllocationTimedout: no room", "the last evaluation of the formula failed: E: wrong",
        "the nodes cannot be read",
    ]  # fmt: skip


def test_progress_of_a_small_job_is_made_from_its_tasks_times(scene: Stage) -> None:
    history = views(scene).job("sim")["history"]
    assert history[0] == [START.timestamp() + 2, 0, 0, 1]
    assert history[-1][1:] == [4, 1, 1]


def test_progress_of_a_large_job_is_what_was_counted_while_somebody_looked(scene: Stage) -> None:
    furnish(scene, tasks=1_200, job_id="large")
    shown = views(scene)
    shown.job("large")
    scene.clock.at += timedelta(seconds=30)
    scene.batch.states["large"] = replace(scene.batch.states["large"], priority=1)
    assert [one[0] for one in shown.job("large")["history"]] == [
        (START + timedelta(seconds=60)).timestamp(), (START + timedelta(seconds=90)).timestamp(),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "more", "text", "taken"),
    [
        (b"plain\r\nline\n", False, "plain\nline\n", 12),
        (b"10 %\r20 %\r", True, "10 %\n20 %\n", 10),
        (b"\x1b[1;31mred\x1b[0m", False, "red", 14),
        (b"\x1b]0;title\x07", False, "\\x1b]0;title\\x07", 10),
        ("\u20ac".encode()[:2], True, "", 0),
        ("\u20ac".encode()[:2], False, "\ufffd", 2),
    ],
)
def test_output_is_shown_and_never_obeyed(data: bytes, more: bool, text: str, taken: int) -> None:
    assert readable(data, more=more) == (text, taken)


def test_a_secret_in_a_definition_is_not_shown(scene: Stage) -> None:
    scene.batch.sent["sim"]["step-3"] = {
        "id": "step-3",
        "environmentSettings": [{"name": "API_TOKEN", "value": "hunter2"}, {"name": "N", "value": "3"}],
        "resourceFiles": [{"httpUrl": "https://a.blob/c/x?sv=1&sig=abcdefghijklmnopqrstuvwxyz"}],
    }
    shown = str(views(scene).task("sim", "step-3")["definition"])
    assert "hunter2" not in shown and "sig=" not in shown and "'3'" in shown
