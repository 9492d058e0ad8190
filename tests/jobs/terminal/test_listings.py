"""What lists things: tasks, list, nodes and top, in every form, watched, and on a terminal."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from jobs.command.parser import parse
from jobs.errors import Unreachable, UsageError
from jobs.exits import Exit
from jobs.service.batch import Failure, NodeState, PoolState, TaskState
from jobs.terminal.render import Render
from tests.jobs.fakes import START, Stage, stage

ENDED = Failure(category="usererror", code="TaskEnded", message="ended")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def scene() -> Stage:
    """A job with a task of each kind: c failed on its second run, d was ended, e waits for c for ever."""
    scene = stage()
    scene.batch.create_job(
        {"id": "j", "poolInfo": {"poolId": "default-1a2b"}, "metadata": [], "usesTaskDependencies": True}
    )
    tasks: list[dict[str, Any]] = [{"id": name} for name in "abcd"]
    scene.batch.add_collection("j", [*tasks, {"id": "e", "dependsOn": {"taskIds": ["c"]}}])
    begun: dict[str, Any] = {"changed": START, "created": START, "started": START + timedelta(seconds=5)}
    over = {**begun, "state": "completed", "ended": START + timedelta(seconds=95)}
    for task in (
        TaskState(id="a", result="success", exit_code=0, node_id="n1", **over),
        TaskState(id="b", state="running", node_id="n2", **begun),
        TaskState(id="c", result="failure", exit_code=137, node_id="n1", retries=1, **over),
        TaskState(id="d", result="failure", failure=ENDED, **{**over, "started": None}),
    ):
        scene.batch.set("j", task)
    scene.clock.at = START + timedelta(seconds=3605)
    return scene


def run(scene: Stage, *words: str) -> Exit:
    arguments = parse(list(words))
    scene.session.render.as_json = arguments.json
    return arguments.run(arguments, scene.session)


def rows(scene: Stage) -> list[list[str]]:
    return [line.split() for line in scene.out.getvalue().splitlines()]


def test_tasks_show_state_node_times_exit_code_and_why(scene: Stage) -> None:
    assert run(scene, "tasks", "j") == Exit.OK
    head, a, b, c, d, e = rows(scene)
    assert head == ["task", "state", "node", "start", "duration", "exit", "retries", "why"]
    assert a == ["a", "succeeded", "n1", "12:00:05", "1", "min", "30", "s", "0", "0"]
    assert b[:7] == ["b", "running", "n2", "12:00:05", "1", "h", "-"]
    assert c[8:10] == ["137", "1"]
    assert "killed (signal 9)" in " ".join(c)
    assert "TaskEnded: ended" in " ".join(d)
    assert "waits for c, which failed, exit code 137" in " ".join(e)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("--state failed", "c d"),
        ("--state active", "e"),
        ("--state completed", "a c d"),
        ("--state running", "b"),
        ("--node n1", "a c"),
        ("--exit-code 137", "c"),
        ("--prefix e", "e"),
        ("--sort duration --reverse", "b a c d e"),
        ("--sort exit", "a c b d e"),
        ("--sort task --reverse --limit 2", "e d"),
        ("--limit 1", "a"),
    ],
)
def test_tasks_are_chosen_and_sorted(scene: Stage, words: str, shown: str) -> None:
    assert run(scene, "tasks", "j", "-o", "name", *words.split()) == Exit.OK
    assert scene.out.getvalue().split() == shown.split()


def test_what_is_not_shown_is_said(scene: Stage) -> None:
    run(scene, "tasks", "j", "--limit", "1")
    assert "only the first 1 task; --limit 0 shows all" in scene.err.getvalue()
    run(scene, "tasks", "j", "--state", "preparing")
    assert "job j has no tasks like that" in scene.err.getvalue()


def test_of_a_large_job_one_page_is_read(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene.batch, "tasks", lambda *_: pytest.fail("every task was read"))
    for words in ((), ("--state", "failed"), ("--state", "running")):
        run(scene, "tasks", "j", *words)
    assert [most for _, most, _ in scene.batch.asked_some] == [1000] * 3


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize("verb", ["tasks j", "list", "nodes", "pools"])
def test_every_listing_has_the_same_data_in_json_and_yaml(scene: Stage, verb: str, form: str) -> None:
    scene.batch.node_list = [NodeState(id="n1", state="idle", since=START)]
    run(scene, *verb.split(), "-o", form)
    text = scene.out.getvalue()
    found = yaml.safe_load(text) if form == "yaml" else [json.loads(line) for line in text.splitlines()]
    assert [one["id"] for one in found] == {
        "tasks j": list("abcde"), "list": ["j"], "nodes": ["n1"], "pools": ["default-1a2b"],
    }[verb]  # fmt: skip


def test_columns_are_chosen_by_name_and_in_order(scene: Stage) -> None:
    run(scene, "tasks", "j", "--columns", "exit,task", "--state", "failed")
    assert rows(scene) == [["exit", "task"], ["137", "c"], ["-", "d"]]
    scene.out.truncate(0)
    scene.out.seek(0)
    run(scene, "list", "-o", "wide")
    assert rows(scene)[0][-3:] == ["family", "priority", "reason"]


@pytest.mark.parametrize("words", ["--json -o yaml", "-o json --columns task", "-o name --columns task"])
def test_forms_that_contradict_one_another_are_refused(scene: Stage, words: str) -> None:
    with pytest.raises(UsageError, match=r"of them|of the two"):
        run(scene, "tasks", "j", *words.split())
    assert scene.out.getvalue() == ""


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_a_table_keeps_ids_whole_and_fits(
    scene: Stage, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    node = "tvmps_7d1f2a9c0b3e4f5a6b7c8d9e0f1a2b3c4d5e6f70819203a4b5c6d7e8f90a1b2c_d"
    scene.batch.set("j", replace(scene.batch.task("j", "c"), node_id=node))
    out = Terminal()
    scene.session.render = Render(out=out, err=scene.err)
    run(scene, "tasks", "j")
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.startswith("c     failed") and "tvmps_7d1f2…" in line for line in lines)
    assert any(line.startswith("    killed (signal 9): out of memory") for line in lines) is (width == 80)
    words = " ".join(out.getvalue().split())
    assert "killed (signal 9): out of memory (/tmp and /dev/shm count)" in words and "1 min 30 s" in words


def test_watching_to_a_pipe_prints_what_changed_and_ends_with_the_job(scene: Stage) -> None:
    def end() -> None:
        scene.batch.set("j", replace(scene.batch.task("j", "b"), state="completed", result="success", exit_code=0))
        scene.batch.end("j")

    scene.clock.on_sleep = [lambda: None, end]
    assert run(scene, "tasks", "j", "--watch", "-o", "name") == Exit.OK
    assert scene.out.getvalue().split() == ["b", "c", "d", "e", "a", "b"]


def test_watching_shows_no_more_tasks_than_the_limit(scene: Stage) -> None:
    scene.batch.end("j")
    assert run(scene, "tasks", "j", "--watch", "--limit", "2", "-o", "name") == Exit.OK
    assert len(scene.out.getvalue().split()) == 2


def test_watching_on_a_terminal_redraws_and_ctrl_c_is_its_usual_end(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    scene.session.render = Render(out=Terminal(), err=(err := Terminal()))

    def interrupt() -> None:
        raise KeyboardInterrupt

    scene.batch.node_list = [NodeState(id="n1", state="idle", since=START)]
    for words in (("list",), ("nodes",), ("tasks", "j"), ("top",)):
        scene.clock.on_sleep = [lambda: None, interrupt]
        assert run(scene, *words, *(() if words == ("top",) else ("--watch",))) == Exit.OK
        drawn = err.getvalue()
        assert "F\x1b[J" in drawn and drawn.endswith("\x1b[?25h")
        err.truncate(0)
        err.seek(0)


def test_watching_waits_for_a_service_that_is_away(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    real, looks = scene.batch.counts, 0

    def counts(job_id: str) -> Any:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise Unreachable("away")
        if looks == 3:
            scene.batch.end("j")
        return real(job_id)

    monkeypatch.setattr(scene.batch, "counts", counts)
    assert run(scene, "tasks", "j", "--watch") == Exit.OK
    assert looks >= 3


def test_top_shows_pools_jobs_and_what_runs_longest(scene: Stage) -> None:
    scene.batch.pools_known = {"p": PoolState(id="p", state="active", target_dedicated=3, task_slots=2)}
    scene.batch.node_list = [
        NodeState(id="n1", state="running", running_tasks=1), NodeState(id="n2", state="unusable"),
    ]  # fmt: skip
    assert run(scene, "top", "--once") == Exit.OK
    text = scene.out.getvalue()
    assert "2 of 3" in text and "1 of 4" in text and "1 running, 1 unusable" in text
    (job,) = (line.split() for line in text.splitlines() if line.startswith("j "))
    assert job[2:6] == ["1", "1", "1", "2"]
    assert "b             j    1 h  n2" in text
    scene.out.truncate(0)
    scene.out.seek(0)
    run(scene, "top", "--json")
    found = json.loads(scene.out.getvalue())
    assert found["running"] == [{"job": "j", "task": "b", "node": "n2", "started": "2026-11-23T12:00:05+00:00"}]


def test_the_map_of_nodes_is_ascii_where_stdout_is(scene: Stage) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace")
    scene.session.render = Render(out=out, err=scene.err)
    scene.batch.node_list = [NodeState(id="n1", state="idle"), NodeState(id="n2", state="running")]
    run(scene, "nodes")
    assert raw.getvalue().splitlines()[1:3] == [b"  i R", b"  i 1 idle   R 1 running"]
