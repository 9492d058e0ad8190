"""Patterns of output files: what the service's documentation says of them, and which uploaded nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.command.parser import parse
from jobs.errors import JobFileError
from jobs.exits import Exit
from jobs.files.load import load
from jobs.files.model import patterns
from jobs.files.model.job import Job, Output, Task
from jobs.plan.definitions import task_definition
from jobs.service.batch import JobState, TaskState
from jobs.state.task_output import without_files
from tests.jobs.fakes import START, Stage, outputs, stage

JOB = JobState(id="j", state="active", container="job-hello")


def definition(*files: str, when: str = "always", **changes: Any) -> dict[str, Any]:
    task = Task(id="t1", outputs=[Output(files=one, when=when) for one in files], **changes)  # type: ignore[arg-type]
    return task_definition(task, job=Job(family="hello", environment={"DAY": "mon"}), identifier="j", outputs=outputs())


def paths(*files: str, **changes: Any) -> list[str]:
    wire = definition(*files, **changes)
    return [one["destination"]["container"]["path"] for one in wire["outputFiles"][1:]]


def test_the_blobs_name_has_no_variable_which_the_service_would_take_as_it_stands() -> None:
    found = paths(
        "$AZ_BATCH_TASK_ID.dat", "out/$DAY-$N.txt", "$AZ_BATCH_JOB_ID/*", "./x//y.txt", environment={"N": "7"}
    )
    assert found == ["j/t1/t1.dat", "j/t1/out/mon-7.txt", "j/t1", "j/t1/x/y.txt"]
    assert definition("$DAY.txt")["outputFiles"][1]["filePattern"] == "$DAY.txt"


def test_a_pattern_that_ends_with_any_folder_asks_for_the_files_in_it() -> None:
    assert definition("out/**")["outputFiles"][1]["filePattern"] == "out/**/*"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ("out/", "'out/' is a folder, and only files are uploaded; write out/* or out/**/* for what is in it"),
        (".", "'.' is a folder"),
        ("a/..", "'a/..' is a folder"),
        ('""', "'' is a folder"),
        ("/etc/passwd", "is not below the task's working directory"),
        ("../../x", "leads out of the task's folder"),
        ("a/../../x", "leads out of the task's folder"),
        ("'a[bc'", "a [ is never closed"),
        ("$AZ_BATCH_NODE_ID.txt", "$AZ_BATCH_NODE_ID is known on the node only"),
        ("'${HOME}/*'", "without braces"),
    ],
)
def test_a_pattern_that_never_gives_a_file_is_refused_with_its_line(tmp_path: Path, files: str, told: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f"job: {{family: hello}}\ntasks:\n  list:\n    - id: a\n      outputs:\n        - files: {files}\n")
    with pytest.raises(JobFileError) as caught:
        load(path)
    assert caught.value.problems[0].startswith(f"{path}:6: tasks.list.0.outputs.0.files: ")
    assert told in caught.value.problems[0]


@pytest.mark.parametrize(
    "files", ["a[*]", "[[]x]", "../fileuploadout.txt", "$AZ_BATCH_NODE_ID*", "a$", "[!.]*", "**/*.csv"]
)
def test_a_pattern_that_may_give_a_file_is_taken(files: str) -> None:
    assert patterns.problem(files) == ""


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", ".a.csv", False),
        (".*.csv", ".a.csv", True),
        ("*.csv", "d/a.csv", False),
        ("**/*.csv", "a.csv", True),
        ("**/*.csv", "d/e/a.csv", True),
        ("**/*.csv", ".git/a.csv", False),
        ("**/*.csv", "d/.a.csv", False),
        (".git/*.csv", ".git/a.csv", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a[bd]c", "adc", True),
        ("a[!bd]c", "adc", False),
        ("a[a-c]c", "abc", True),
        ("abc[*]", "abc*", True),
        ("abc[*]", "abcd", False),
        ("../std*.txt", "stdout.txt", True),
        ("d/**/*", "d/e/f", True),
        ("$UNKNOWN*", "anything", True),
        ("a+(b).txt*", "a+(b).txt", True),
        ("[]x]*", "]", True),
        ("[^a]b*", "^b", True),
    ],
)
def test_whether_a_blob_is_of_a_pattern(pattern: str, name: str, fits: bool) -> None:
    assert patterns.unmatched([f"j/t/{name}"], {pattern: "j/t"}) == ([] if fits else [pattern])


def ended(wire: dict[str, Any], exit_code: int) -> dict[str, Any]:
    result = "success" if exit_code == 0 else "failure"
    return {**wire, "state": "completed", "executionInfo": {"exitCode": exit_code, "result": result}}


def test_only_what_the_tasks_end_asked_for_is_missing() -> None:
    wire = definition("*.csv", "$AZ_BATCH_TASK_ID.dat", "n.txt")
    assert without_files(JOB, ended(wire, 0), ["j/t1/stdout.txt", "j/t1/a.csv"]) == ["$AZ_BATCH_TASK_ID.dat", "n.txt"]
    assert without_files(JOB, ended(wire, 0), ["j/t1/t1.dat", "j/t1/n.txt", "j/t1/a.csv"]) == []
    assert without_files(JOB, ended(definition("x*", when="success"), 1), []) == []
    assert without_files(JOB, ended(definition("x*", when="failure"), 1), []) == ["x*"]
    assert without_files(JOB, {**wire, "state": "running"}, []) == []
    never_ran = {**wire, "state": "completed", "executionInfo": {"result": "failure"}}
    assert without_files(JOB, never_ran, []) == []


@pytest.fixture
def scene() -> Stage:
    scene = stage()
    metadata = [{"name": "family", "value": "hello"}, {"name": "container", "value": "job-hello"}]
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "default-1a2b"}, "metadata": metadata})
    scene.batch.add_collection("j", [definition("*.csv", "n.txt")])
    done = TaskState(id="t1", state="completed", changed=START, result="success", exit_code=0)
    scene.batch.set("j", done)
    scene.blobs.content = {("job-hello", "j/t1/stdout.txt"): b"x", ("job-hello", "j/t1/a.csv"): b"y"}
    return scene


def run(scene: Stage, *words: str) -> Exit:
    scene.session.render.as_json = "--json" in words
    arguments = parse(list(words))
    return arguments.run(arguments, scene.session)


def test_show_and_collect_tell_a_pattern_that_uploaded_nothing(scene: Stage, tmp_path: Path) -> None:
    assert run(scene, "show", "j", "t1") == Exit.OK
    assert "nothing was uploaded by the pattern 'n.txt'" in scene.out.getvalue()
    assert "'*.csv'" not in scene.out.getvalue()
    assert run(scene, "collect", "j", str(tmp_path)) == Exit.OK
    assert "task t1: nothing was uploaded by the pattern 'n.txt'" in scene.err.getvalue()
    run(scene, "collect", "j", str(tmp_path), "--json")
    assert '"uploaded_nothing": [{"task": "t1", "pattern": "n.txt"}]' in scene.out.getvalue()
