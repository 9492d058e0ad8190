"""Submitting: order of calls, what a refused submission leaves, and what is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.errors import Conflict, NotAllAdded, NotFound, UsageError
from jobs.exits import Exit
from jobs.service.batch import TaskState
from jobs.submission.verdicts import Verdict
from tests.jobs.fakes import HELLO, HELLO_JOB, START, stage
from tests.jobs.verbs.submit_verb import run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are written below the working directory."""
    monkeypatch.chdir(tmp_path)


def test_the_job_ends_by_itself_only_after_the_last_task_was_added() -> None:
    scene = stage()
    assert run(scene) == Exit.OK
    assert scene.batch.order == ["create", "add 5", "end when done"]
    assert "submitted 5 tasks" in scene.err.getvalue()


def test_a_dry_run_prints_definitions_and_sends_nothing() -> None:
    scene = stage(as_json=True)
    assert run(scene, dry_run=True) == Exit.OK
    assert json.loads(scene.out.getvalue().splitlines()[0])["id"] == HELLO_JOB
    assert scene.batch.order == []


def test_without_a_terminal_and_without_yes_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = stage()
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115, PTH123
    with pytest.raises(UsageError, match="--yes"):
        run(scene, yes=False)
    assert scene.batch.order == []


def test_a_bad_file_sends_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("job: {family: hello}\ntasks: {list: [{id: a}, {id: A}]}\n")
    scene = stage()
    with pytest.raises(UsageError, match="also the id of task 0"):
        run(scene, tmp_path / "bad.yaml")
    assert scene.batch.order == []


def test_a_missing_pool_is_told_before_a_job_is_made() -> None:
    scene = stage()
    scene.batch.pool_states = {}
    with pytest.raises(NotFound, match="pool default-1a2b does not exist"):
        run(scene)
    assert scene.batch.order == []


@pytest.mark.parametrize("acts", [True, False])
def test_a_job_that_a_tasks_rule_ended_before_the_last_call_was_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acts: bool
) -> None:
    rule = "exit_codes: [{codes: [3], job_action: terminate}]" if acts else "slots: 1"
    path = tmp_path / "rule.yaml"
    path.write_text(f"job: {{family: hello}}\ntasks:\n  list:\n    - {{id: a, {rule}}}\n")
    scene = stage()

    def ended(_job: str) -> None:
        raise Conflict("the job is over", code="JobCompleted")

    monkeypatch.setattr(scene.batch, "end_when_done", ended)
    if acts:
        assert run(scene, path) == Exit.OK
        assert next(iter(scene.batch.definitions.values()))["onTaskFailure"] == "performexitoptionsjobaction"
    else:
        with pytest.raises(Conflict):
            run(scene, path)


def test_a_finished_submission_that_is_run_again_sends_nothing() -> None:
    scene = stage()
    run(scene, job_id="mine")
    before = list(scene.batch.order)
    assert run(scene, job_id="mine") == Exit.OK
    assert scene.batch.order == before
    assert "already submitted, complete: job mine has all 5 tasks" in scene.err.getvalue()


def test_a_job_with_other_settings_asks_for_another_id(tmp_path: Path) -> None:
    scene = stage()
    run(scene, job_id="mine")
    (tmp_path / "other.yaml").write_text(HELLO.read_text().replace("family: hello", "family: hello\n  priority: 7"))
    with pytest.raises(Conflict, match=r"priority is not what the file says(?s:.*)--job-id"):
        run(scene, tmp_path / "other.yaml", job_id="mine")


def test_a_job_that_got_no_task_is_deleted_again() -> None:
    scene = stage()
    scene.batch.answers = [
        lambda tasks: [Verdict(task_id=t["id"], status="clienterror", code="X", message="bad") for t in tasks]
    ]
    with pytest.raises(NotAllAdded, match="5 of 5 tasks were not accepted; the job was deleted again"):
        run(scene)
    assert scene.batch.deleted == [HELLO_JOB]


def test_a_job_with_some_tasks_goes_on_and_the_others_are_named() -> None:
    scene = stage()
    scene.batch.answers = [
        lambda tasks: [
            Verdict(task_id=t["id"], status="success" if t["id"] != "date" else "clienterror", message="bad")
            for t in tasks
        ]
    ]
    with pytest.raises(NotAllAdded, match=r"(?s)1 of 5 .*\n  date: "):
        run(scene)
    assert scene.batch.deleted == []
    assert scene.batch.order[-1] == "end when done"


def test_report_watches_and_then_shows_every_task() -> None:
    scene = stage()

    def finish() -> None:
        for name in list(scene.batch.task_states[HELLO_JOB]):
            scene.batch.set(
                HELLO_JOB,
                TaskState(id=name, state="completed", changed=START, result="success", exit_code=0, node_id="n1"),
            )
            scene.batch.files[HELLO_JOB, name, "stdout.txt"] = f"{name} says\n".encode()
        scene.blobs.content["job-hello", f"{HELLO_JOB}/check/stdout.txt"] = b"from the blob\n"
        scene.batch.end(HELLO_JOB)

    scene.clock.on_sleep = [finish]
    assert run(scene, report=True) == Exit.OK
    shown = scene.out.getvalue()
    assert f"stdout from blob job-hello/{HELLO_JOB}/check/stdout.txt\n   | from the blob" in shown
    assert "-- date: succeeded, exit code 0\n   stdout from file stdout.txt on the node\n   | date says" in shown
