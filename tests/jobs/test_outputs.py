"""logs, collect, report and nodes: what is read from where."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from jobs import collect, logs, nodes, report
from jobs.batch import Failure, NodeState, TaskState
from jobs.errors import NotFound, UsageError
from jobs.exits import Exit

from .fakes import START, Stage, stage


@pytest.fixture
def scene() -> Stage:
    scene = stage()
    metadata = [{"name": "family", "value": "hello"}, {"name": "container", "value": "job-hello"}]
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}, "metadata": metadata})
    scene.batch.add_collection("j", [{"id": "a"}, {"id": "b"}])
    for name in ("a", "b"):
        scene.batch.set("j", TaskState(id=name, state="completed", changed=START, result="success", exit_code=0))
    return scene


def show_logs(scene: Stage, task: str | None, **options: bool) -> str:
    arguments = argparse.Namespace(job="j", task=task, **({"stderr": False, "follow": False} | options))
    assert logs.run(arguments, scene.session) == Exit.OK
    return scene.out.getvalue()


def test_logs_come_from_the_node_while_it_lives(scene: Stage) -> None:
    scene.batch.files["j", "a", "stdout.txt"] = b"node\n"
    scene.blobs.content["job-hello", "j/a/stdout.txt"] = b"blob\n"
    assert show_logs(scene, "a") == "node\n"


def test_logs_come_from_the_container_when_the_node_is_gone(scene: Stage) -> None:
    scene.blobs.content["job-hello", "j/a/stderr.txt"] = b"blob's stderr\n"
    assert show_logs(scene, "a", stderr=True) == "blob's stderr\n"


def test_logs_that_are_nowhere_are_an_error_with_the_tasks_state(scene: Stage) -> None:
    with pytest.raises(NotFound, match="task a is completed and has no stdout"):
        show_logs(scene, "a")


def test_following_loses_and_doubles_nothing_when_the_node_goes_away(scene: Stage) -> None:
    scene.batch.set("j", TaskState(id="a", state="running", changed=START))
    scene.batch.files["j", "a", "stdout.txt"] = b"one\n"

    def node_goes() -> None:
        scene.batch.files.clear()
        scene.blobs.content["job-hello", "j/a/stdout.txt"] = b"one\ntwo\n"
        scene.batch.set("j", TaskState(id="a", state="completed", changed=START))

    scene.clock.on_sleep = [
        lambda: scene.batch.files.update({("j", "a", "stdout.txt"): b"one\ntw"}),
        node_goes,
    ]
    assert show_logs(scene, "a", follow=True) == "one\ntwo\n"


def test_following_needs_a_task(scene: Stage) -> None:
    with pytest.raises(UsageError, match="Name it"):
        show_logs(scene, None, follow=True)


def test_collect_downloads_everything_once(scene: Stage, tmp_path: Path) -> None:
    scene.blobs.content = {
        ("job-hello", "j/a/stdout.txt"): b"hello world",
        ("job-hello", "j/b/out/x.csv"): b"1",
        ("job-hello", "jj/c"): b"",
    }
    assert collect.collect(scene.session, "job-hello", "j/", tmp_path) == (2, 0)
    assert (tmp_path / "a" / "stdout.txt").read_bytes() == b"hello world"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["stdout.txt", "x.csv"]
    assert collect.collect(scene.session, "job-hello", "j/", tmp_path) == (0, 2)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", ""])
def test_collect_never_writes_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="outside of"):
        collect.place(tmp_path, name)


def test_collect_says_when_there_is_nothing_yet(scene: Stage, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no files yet"):
        collect.collect(scene.session, "job-hello", "j/", tmp_path)


def test_report_shows_the_first_from_the_container_and_names_every_source(scene: Stage) -> None:
    scene.session.render.as_json = True
    scene.batch.files["j", "a", "stdout.txt"] = scene.batch.files["j", "b", "stdout.txt"] = b"node"
    scene.blobs.content["job-hello", "j/a/stdout.txt"] = scene.blobs.content["job-hello", "j/b/stdout.txt"] = b"blob"
    assert report.show(scene.session, "j") == Exit.OK
    first, second = (json.loads(line) for line in scene.out.getvalue().splitlines())
    assert (first["stdout"], first["source"]) == ("blob", "blob job-hello/j/a/stdout.txt")
    assert (second["stdout"], second["source"]) == ("node", "file stdout.txt on the node")


def test_report_still_shows_a_task_without_stdout_and_the_jobs_failure(scene: Stage) -> None:
    scene.batch.set("j", TaskState(id="a", state="completed", changed=START, result="failure"))
    assert report.show(scene.session, "j") == Exit.TASKS_FAILED
    assert "-- a: failed, never started\n   no stdout" in scene.out.getvalue()


def test_the_newest_job_of_a_family_is_found(scene: Stage) -> None:
    scene.batch.create_job(
        {"id": "a-later-one", "poolInfo": {"poolId": "p"}, "metadata": [{"name": "family", "value": "other"}]}
    )
    assert report.newest(scene.session, "hello").id == "j"
    assert report.newest(scene.session, "").id == "a-later-one"
    with pytest.raises(NotFound, match="family 'none'"):
        report.newest(scene.session, "none")


def test_nodes_tell_why_a_start_task_failed(scene: Stage) -> None:
    failure = Failure(category="usererror", code="FailureExitCode", message="exit code 3")
    scene.batch.node_list = [
        NodeState(id="n1", state="idle"),
        NodeState(id="n2", state="starttaskfailed", start_task_exit_code=3, start_task_failure=failure),
        NodeState(id="n3", state="unusable", errors=("DiskFull: no space",)),
    ]
    scene.batch.node_files["n2", "startup/stderr.txt"] = b"no docker here\n"
    nodes.run(argparse.Namespace(pool=None), scene.session)
    shown = scene.out.getvalue()
    assert shown.startswith("pool default-1a2b: 3 nodes\n")
    assert "exit code 3" in shown
    assert "DiskFull: no space" in shown
    assert "| no docker here" in shown
