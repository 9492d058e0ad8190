"""list, show, validate and watch, and JSON of all: on a service in memory."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.command.parser import parse
from jobs.errors import UsageError
from jobs.exits import Exit
from jobs.service.batch import Failure, NodeState, PoolState, TaskState
from jobs.state import failure_texts
from jobs.verbs.look import watch
from tests.jobs.command.one_failed import FAILED, one_failed, records, run, task
from tests.jobs.fakes import START, Stage, stage


@pytest.fixture
def scene() -> Stage:
    return one_failed()


def test_list_shows_the_newest_first_with_their_tasks(scene: Stage) -> None:
    scene.batch.create_job({"id": "later", "poolInfo": {"poolId": "p"}})
    assert run(scene, "list") == Exit.OK
    lines = scene.out.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["job", "later", "j"]
    assert lines[2].split()[:6] == ["j", "active", "0", "0", "1", "1"]


def test_list_by_family_as_json(scene: Stage) -> None:
    scene.batch.create_job({"id": "later", "poolInfo": {"poolId": "p"}})
    run(scene, "list", "--family", "hello", "--json")
    assert [(job["id"], job["tasks"]["failed"]) for job in records(scene)] == [("j", 1)]


def test_show_says_why_a_task_failed_and_how_its_node_is(scene: Stage) -> None:
    scene.batch.set("j", task("a", exit_code=3, node_id="n1"))
    scene.batch.node_list = [NodeState(id="n1", state="unusable", errors=("DiskFull: no space",))]
    scene.batch.files["j", "a", "stderr.txt"] = b"cannot open the file\n"
    assert run(scene, "show", "j", "a") == Exit.TASKS_FAILED
    shown = scene.out.getvalue()
    assert "exit code 3: the program's own code" in shown
    assert "its node is unusable now: DiskFull: no space" in shown
    assert "| cannot open the file" in shown


def test_show_says_that_a_node_is_gone(scene: Stage) -> None:
    scene.batch.set("j", task("a", exit_code=3, node_id="n9"))
    run(scene, "show", "j", "a", "--json")
    assert records(scene)[0]["evidence"] == ["its node n9 is not in pool default-1a2b any more"]


def test_show_of_a_job_lists_its_failures(scene: Stage) -> None:
    assert run(scene, "show", "j") == Exit.TASKS_FAILED
    assert "  a: exit code 3\n" in scene.out.getvalue()
    assert "python -m jobs retry j" in scene.err.getvalue()


def test_show_of_a_job_that_waits_looks_at_its_pool(scene: Stage) -> None:
    for name in ("a", "b"):
        scene.batch.set("j", TaskState(id=name, state="active", changed=START))
    scene.batch.pools_known["default-1a2b"] = PoolState(
        id="default-1a2b", state="active", target_dedicated=2, resize_errors=("AccountCoreQuotaReached: no cores",)
    )
    assert run(scene, "show", "j") == Exit.OK
    assert "AccountCoreQuotaReached: no cores" in scene.out.getvalue()


@pytest.mark.parametrize(
    ("code", "said"), [(137, "out of memory"), (127, "not found in the image"), (139, "SIGSEGV"), (1, "own code")]
)
def test_exit_codes_are_told_in_words(code: int, said: str) -> None:
    assert said in failure_texts.exit_words(code)


def test_show_says_nothing_of_waiting_when_a_task_began_meanwhile(scene: Stage) -> None:
    scene.batch.set("j", TaskState(id="a", state="active", changed=START))
    real = scene.batch.nodes

    def nodes(pool: str) -> Any:
        scene.batch.set("j", TaskState(id="a", state="running", changed=START))
        return real(pool)

    scene.batch.nodes = nodes  # type: ignore[method-assign]
    assert run(scene, "show", "j") == Exit.OK
    assert "nothing runs" not in scene.out.getvalue()


def test_validate_checks_all_files_and_tells_everything(scene: Stage, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("job: {family: hello}\ntasks: {list: [{id: a}]}\n")
    bad.write_text("job: {family: nosuch}\ntasks: {list: [{id: a}]}\n")
    assert run(scene, "validate", str(good), str(bad), "--json") == Exit.USAGE
    assert [one["valid"] for one in records(scene)] == [True, False]
    assert run(scene, "validate", str(bad), "--offline") == Exit.OK
    assert scene.batch.order == ["create", "add 2"]


def many(count: int) -> Stage:
    scene = stage()
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}})
    scene.batch.add_collection("j", [{"id": f"t{number}"} for number in range(count)])
    scene.batch.end_when_done("j")
    return scene


def test_watching_a_large_job_never_lists_its_tasks() -> None:
    scene = many(1000)

    def some_end() -> None:
        scene.batch.set("j", replace(task("t1", exit_code=3), changed=scene.clock.at))
        for number in range(2, 500):
            scene.batch.set("j", task(f"t{number}", exit_code=0))

    def all_end() -> None:
        for number in range(500, 1000):
            scene.batch.set("j", task(f"t{number}", exit_code=0))
        scene.batch.set("j", task("t0", exit_code=0))
        scene.batch.end("j")

    scene.clock.on_sleep = [some_end, all_end]
    assert watch.follow(scene.session, "j", timeout=None) == Exit.TASKS_FAILED
    assert scene.batch.asked == []
    told = scene.err.getvalue()
    assert told.count("t1: failed, exit code 3") == 1
    assert "501 waiting, 0 running, 498 succeeded, 1 failed" in told
    assert "job j is over: 999 succeeded, 1 failed" in told


def test_a_large_job_that_stays_active_is_over_when_no_task_is_left() -> None:
    scene = many(300)
    scene.batch.states["j"] = replace(scene.batch.states["j"], on_all_tasks_complete="noaction")
    for number in range(300):
        scene.batch.set("j", task(f"t{number}", exit_code=0))
    assert watch.follow(scene.session, "j", timeout=None) == Exit.OK


def test_the_live_table_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = many(3)
    scene.batch.set("j", TaskState(id="t0", state="running", changed=START, node_id="n1"))

    def all_end() -> None:
        for number in range(3):
            scene.batch.set("j", task(f"t{number}", exit_code=number))
        scene.batch.end("j")

    scene.clock.on_sleep = [all_end]
    monkeypatch.setattr(scene.err, "isatty", lambda: True)
    assert watch.follow(scene.session, "j", timeout=None) == Exit.TASKS_FAILED
    drawn = scene.err.getvalue()
    assert "running\x1b[0m  t0   0 s on n1" in drawn
    assert "\x1b[5F\x1b[J" in drawn
    assert "failed\x1b[0m   t1   exit code 1" in drawn
    assert drawn.index("\x1b[?25h") < drawn.index("job j is over")


def test_times_in_json_are_iso_8601(scene: Stage) -> None:
    run(scene, "list", "--json")
    assert [one["created"] for one in records(scene)] == [START.isoformat()]


def test_what_a_failure_says_in_short() -> None:
    assert failure_texts.in_short(3, FAILED) == ""
    assert failure_texts.in_short(127, FAILED) == "the program was not found in the image"
    ended = Failure(category="usererror", code="TaskEnded", message="Task was ended by user request")
    assert failure_texts.in_short(137, ended) == "TaskEnded: Task was ended by user request"


@pytest.mark.parametrize("verb", ["list", "show j", "nodes", "pools", "cancel j b --yes", "logs j a"])
def test_with_json_stdout_has_only_json(scene: Stage, verb: str) -> None:
    scene.batch.set("j", TaskState(id="b", state="running", changed=START))
    scene.batch.files["j", "a", "stdout.txt"] = b"text\n"
    scene.batch.node_list = [NodeState(id="n1", state="idle", since=START)]
    run(scene, *verb.split(), "--json")
    assert records(scene)


def test_arguments_of_a_verb_that_is_not_there_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="invalid choice"):
        parse(["zebra"])
    assert isinstance(parse(["list"]), argparse.Namespace)
