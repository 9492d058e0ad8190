"""`retry`: which failed tasks run again, under which ids, and where: on a service in memory."""

from __future__ import annotations

import pytest

from jobs.errors import NotFound, UsageError
from jobs.exits import Exit
from jobs.plan.rerun import Tasks
from jobs.service.batch import TaskState
from jobs.verbs.submit import retry
from tests.jobs.command.one_failed import OUTPUT, one_failed, run, task
from tests.jobs.fakes import START, Stage


@pytest.fixture
def scene() -> Stage:
    return one_failed()


def test_retry_adds_the_failed_tasks_to_an_active_job_under_new_ids(scene: Stage) -> None:
    assert run(scene, "retry", "j", "--yes") == Exit.OK
    again = scene.batch.sent["j"]["a-r1"]
    assert again["commandLine"] == "x"
    assert again["outputFiles"][0]["destination"]["container"]["path"] == "j/a-r1"
    assert set(scene.batch.sent["j"]) == {"a", "b", "a-r1"}


def test_retry_makes_a_new_job_when_the_old_one_is_over(scene: Stage) -> None:
    scene.batch.end("j")
    assert run(scene, "retry", "j", "--yes") == Exit.OK
    assert set(scene.batch.sent["j-retry1"]) == {"a"}
    assert scene.batch.sent["j-retry1"]["a"]["outputFiles"][0]["destination"]["container"]["path"] == "j-retry1/a"
    assert scene.batch.definitions["j-retry1"]["metadata"] == scene.batch.definitions["j"]["metadata"]
    assert scene.batch.states["j-retry1"].on_all_tasks_complete == "terminatejob"
    scene.batch.set("j-retry1", task("a", exit_code=3))
    scene.batch.end("j-retry1")
    run(scene, "retry", "j-retry1", "--yes")
    assert set(scene.batch.sent["j-retry2"]) == {"a"}


def test_retry_runs_only_the_newest_run_of_a_task_again(scene: Stage) -> None:
    run(scene, "retry", "j", "--yes")
    scene.batch.set("j", task("a-r1", exit_code=3))
    tasks = Tasks.of(scene.batch.tasks("j"))
    assert set(retry.failed(scene.session, scene.batch.job("j"), tasks, [])) == {"a-r1"}
    run(scene, "retry", "j", "--yes")
    assert set(scene.batch.sent["j"]) == {"a", "b", "a-r1", "a-r2"}


def submit_failed(scene: Stage, *names: str) -> None:
    scene.batch.add_collection("j", [{"id": name, "commandLine": "x"} for name in names])
    for name in names:
        scene.batch.set("j", task(name, exit_code=3))


def test_retry_never_takes_a_users_task_for_a_run_of_its_own(scene: Stage) -> None:
    submit_failed(scene, "sim-r1", "sim-r2", "sim-r3", "exp-R9")
    assert run(scene, "retry", "j", "--yes") == Exit.OK
    again = {"a-r1", "sim-r1-r1", "sim-r2-r1", "sim-r3-r1", "exp-R9-r1"}
    assert set(scene.batch.sent["j"]) == {"a", "b", "sim-r1", "sim-r2", "sim-r3", "exp-R9"} | again


def test_retry_of_one_task_whose_id_looks_like_a_later_run(scene: Stage) -> None:
    submit_failed(scene, "sim-r1", "sim-r2")
    assert run(scene, "retry", "j", "--task", "sim-r1", "--yes") == Exit.OK
    assert {"sim-r1-r1"} == set(scene.batch.sent["j"]) - {"a", "b", "sim-r1", "sim-r2"}


def test_a_users_task_that_has_the_id_of_a_run_keeps_it_and_the_run_gets_another(scene: Stage) -> None:
    scene.batch.add_collection("j", [{"id": "A-R1", "commandLine": "mine"}])
    scene.batch.set("j", task("A-R1", exit_code=0))
    assert run(scene, "retry", "j", "--yes") == Exit.OK
    assert scene.batch.sent["j"]["A-R1"]["commandLine"] == "mine"
    assert scene.batch.sent["j"]["a-r2"]["displayName"] == "run 1 of a (python -m jobs retry)"


def test_retry_does_not_run_again_what_runs_again_already(scene: Stage) -> None:
    run(scene, "retry", "j", "--yes")
    for state in ("active", "running"):
        scene.batch.set("j", TaskState(id="a-r1", state=state, changed=START))
        assert run(scene, "retry", "j", "--yes") == Exit.OK
    assert set(scene.batch.sent["j"]) == {"a", "b", "a-r1"}
    assert "every failed task of job j was run again already" in scene.err.getvalue()
    with pytest.raises(UsageError, match="task a of job j was run again already: a-r1 is running"):
        run(scene, "retry", "j", "--task", "a", "--yes")


def test_the_id_of_a_run_stays_an_id_when_the_tasks_is_long(scene: Stage) -> None:
    long = "x" * 64
    submit_failed(scene, long)
    run(scene, "retry", "j", "--task", long, "--yes")
    run_again = f"{'x' * 61}-r1"
    assert scene.batch.sent["j"][run_again]["displayName"] == f"run 1 of {long} (python -m jobs retry)"
    scene.batch.set("j", task(run_again, exit_code=3))
    run(scene, "retry", "j", "--task", run_again, "--yes")
    assert scene.batch.sent["j"][f"{'x' * 61}-r2"]["displayName"] == f"run 2 of {long} (python -m jobs retry)"


def test_a_file_named_after_its_task_gets_the_new_runs_name_in_its_path(scene: Stage) -> None:
    pattern = "$AZ_BATCH_TASK_ID.dat"
    output = {**OUTPUT, "filePattern": pattern, "destination": {"container": {"path": "j/c/c.dat"}}}
    scene.batch.add_collection("j", [{"id": "c", "commandLine": "x", "outputFiles": [output]}])
    scene.batch.set("j", task("c", exit_code=3))
    run(scene, "retry", "j", "--task", "c", "--yes")
    (moved,) = scene.batch.sent["j"]["c-r1"]["outputFiles"]
    assert (moved["filePattern"], moved["destination"]["container"]["path"]) == (pattern, "j/c-r1/c-r1.dat")


def test_retry_of_a_task_that_did_not_fail_is_refused(scene: Stage) -> None:
    with pytest.raises(UsageError, match="did not fail"):
        run(scene, "retry", "j", "--task", "b", "--yes")
    with pytest.raises(NotFound):
        run(scene, "retry", "j", "--task", "zebra", "--yes")
    assert set(scene.batch.sent["j"]) == {"a", "b"}


def test_retry_with_nothing_failed_sends_nothing(scene: Stage) -> None:
    scene.batch.set("j", task("a", exit_code=0))
    assert run(scene, "retry", "j", "--yes") == Exit.OK
    assert "nothing to run again" in scene.err.getvalue()
