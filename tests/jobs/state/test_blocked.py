"""Tasks that wait for ever: what submit, watch and show say of them, and how retry runs them again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.command.parser import parse
from jobs.errors import NotAllAdded, UsageError
from jobs.exits import Exit
from jobs.service.batch import Failure, PreparationState, TaskState
from jobs.state import blocked
from jobs.submission.verdicts import Verdict
from jobs.verbs.look import watch
from jobs.verbs.submit import submit
from tests.jobs.fakes import START, Stage, stage

SATISFY = {"exitCodes": [{"code": 65, "exitOptions": {"dependencyAction": "satisfy"}}]}
FAILED = Failure(category="usererror", code="FailureExitCode", message="exit code 3")


def after(*ids: str) -> dict[str, Any]:
    return {"dependsOn": {"taskIds": list(ids)}}


def chain(**job: Any) -> Stage:
    """a failed; b waits for it and c for b; d waits for good, which succeeded; all were added."""
    scene = stage()
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "default-1a2b"}, "usesTaskDependencies": True, **job})
    tasks = [{"id": "a"}, {"id": "b", **after("a")}, {"id": "c", **after("b")}, {"id": "good"}]
    scene.batch.add_collection("j", [*tasks, {"id": "d", **after("good")}])
    scene.batch.end_when_done("j")
    end(scene, "a", 3)
    end(scene, "good", 0)
    return scene


def end(scene: Stage, task_id: str, code: int | None, job: str = "j") -> None:
    result, failure = ("success", None) if code == 0 else ("failure", FAILED)
    state = TaskState(id=task_id, state="completed", changed=START, result=result, exit_code=code, failure=failure)
    scene.batch.set(job, state)


def run(scene: Stage, *words: str) -> Exit:
    scene.session.render.as_json = "--json" in words
    arguments = parse(list(words))
    return arguments.run(arguments, scene.session)


def test_whoever_waits_for_a_blocked_task_is_blocked_too() -> None:
    scene = chain()
    found = blocked.blocked_tasks(scene.batch.tasks("j"))
    assert [one.explain() for one in found.values()] == [
        "b waits for a, which failed, exit code 3",
        "c waits for b, which never runs",
    ]


def test_ids_of_parents_are_compared_without_case() -> None:
    parent = TaskState(id="a", state="completed", exit_code=3, blocks=True)
    assert set(blocked.blocked_tasks([parent, TaskState(id="B", state="active", parents=("A",))])) == {"b"}


def test_a_failure_that_satisfies_blocks_nobody() -> None:
    scene = chain()
    scene.batch.sent["j"]["a"] = {"id": "a", "exitConditions": SATISFY}
    end(scene, "a", 65)
    assert blocked.blocked_tasks(scene.batch.tasks("j")) == {}


def test_watch_ends_when_every_task_that_is_left_waits_for_ever() -> None:
    scene = chain()
    scene.clock.on_sleep = [lambda: end(scene, "d", 0)]
    assert watch.follow(scene.session, "j", timeout=None) == Exit.TASKS_FAILED
    told = scene.err.getvalue()
    assert "job j cannot end: 2 succeeded, 1 failed, and all 2 others wait for ever for tasks that block them:" in told
    assert "  c waits for b, which never runs\n" in told
    assert "python -m jobs retry j; or end the job: python -m jobs cancel j" in told


def test_watch_goes_on_while_a_task_can_run() -> None:
    scene = chain()
    with pytest.raises(watch.GaveUpWaiting):
        watch.follow(scene.session, "j", timeout=60)


def test_watch_of_a_large_job_ends_too_without_listing_it() -> None:
    scene = stage()
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}, "usesTaskDependencies": True})
    merge = {"id": "merge", "dependsOn": {"taskIdRanges": [{"start": 1, "end": 300}]}}
    scene.batch.add_collection("j", [*({"id": str(number)} for number in range(1, 301)), merge])
    scene.batch.end_when_done("j")
    for number in range(1, 301):
        end(scene, str(number), int(number == 17))
    assert watch.follow(scene.session, "j", timeout=600) == Exit.TASKS_FAILED
    assert "merge waits for 17, which failed" in scene.err.getvalue()
    assert scene.batch.asked == []


def test_watch_does_not_end_while_not_every_waiting_task_was_looked_at() -> None:
    scene = stage()
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}, "usesTaskDependencies": True})
    children = [{"id": f"c{number}", **after("a")} for number in range(blocked.MOST_UNENDED)]
    scene.batch.add_collection("j", [{"id": "a"}, *children, {"id": "free"}])
    end(scene, "a", 3)
    with pytest.raises(watch.GaveUpWaiting):
        watch.follow(scene.session, "j", timeout=60)
    assert "1000 tasks or more wait for ever for failed ones (python -m jobs show j)" in scene.err.getvalue()


def test_watch_says_that_a_job_is_disabled_or_that_its_preparation_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = chain(jobPreparationTask={"commandLine": "warm"})
    scene.batch.prepared = [PREPARED]
    with pytest.raises(watch.GaveUpWaiting):
        watch.follow(scene.session, "j", timeout=60)
    assert "the job's preparation failed on 1 node (python -m jobs show j)" in scene.err.getvalue()
    monkeypatch.setattr("shutil.get_terminal_size", lambda: (200, 40))
    monkeypatch.setattr(scene.err, "isatty", lambda: True)
    with pytest.raises(watch.GaveUpWaiting):
        watch.follow(scene.session, "j", timeout=60)
    assert "\x1b[90mstill waiting; pool default-1a2b: no nodes" in scene.err.getvalue()
    scene.batch.disable_job("j", "requeue")
    with pytest.raises(watch.GaveUpWaiting):
        watch.follow(scene.session, "j", timeout=60)
    assert "job j is disabled, by somebody or by a task's `job_action: disable`" in scene.err.getvalue()


def test_a_parent_that_is_not_in_the_job_is_missed_only_when_all_tasks_were_added() -> None:
    scene = chain()
    scene.batch.add_collection("j", [{"id": "e", **after("ghost")}])
    job = scene.batch.job("j")
    states = scene.batch.task_states["j"]
    assert (
        blocked.of_job(scene.batch, job, states).blocked["e"].explain() == "e waits for ghost, which is not in the job"
    )
    scene.batch.create_job({"id": "new", "poolInfo": {"poolId": "p"}, "usesTaskDependencies": True})
    assert "e" not in blocked.of_job(scene.batch, scene.batch.job("new"), states).blocked


def test_show_says_for_what_a_task_waits() -> None:
    scene = chain()
    run(scene, "show", "j", "b")
    assert "it never runs: b waits for a, which failed, exit code 3" in scene.out.getvalue()
    run(scene, "show", "j", "c")
    assert "it never runs: c waits for b, which never runs; run them again: python -m jobs retry j" in (
        scene.out.getvalue()
    )


def test_show_says_which_parents_have_not_ended() -> None:
    scene = chain()
    scene.batch.set("j", TaskState(id="good", state="running", changed=START, node_id="n1"))
    run(scene, "show", "j", "d")
    assert "  it waits for good, which is running on n1\n" in scene.out.getvalue()


def test_show_of_a_task_of_a_large_job_looks_at_failures_and_at_its_first_parents() -> None:
    scene = stage()
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}, "usesTaskDependencies": True})
    merge = {"id": "merge", "dependsOn": {"taskIdRanges": [{"start": 1, "end": 300}], "taskIds": ["first"]}}
    tasks = [*({"id": str(number)} for number in range(1, 301)), {"id": "first"}, merge]
    scene.batch.add_collection("j", tasks)
    run(scene, "show", "j", "merge")
    assert "it waits for first, which is active\n  it depends on the tasks 1 to 300\n" in scene.out.getvalue()
    end(scene, "17", 3)
    run(scene, "show", "j", "merge")
    assert "it never runs: merge waits for 17, which failed" in scene.out.getvalue()
    assert scene.batch.asked == []


def test_show_of_a_job_says_that_it_cannot_end() -> None:
    scene = chain()
    end(scene, "d", 0)
    run(scene, "show", "j")
    shown = scene.out.getvalue()
    assert "all waiting tasks wait for ever:" in shown
    assert "the job cannot end by itself; run the failed tasks and these again: python -m jobs retry j" in shown


PREPARED = PreparationState(
    node_id="n1",
    pool_id="default-1a2b",
    task="preparation",
    state="completed",
    result="failure",
    exit_code=127,
    failure=FAILED,
    retries=1,
    folder="workitems/j/job-1/jobpreparation",
)


def test_show_says_where_the_preparation_failed_and_what_it_wrote() -> None:
    scene = chain(jobPreparationTask={"commandLine": "warm"})
    good = PreparationState(node_id="n2", pool_id="default-1a2b", task="preparation", state="completed", exit_code=0)
    scene.batch.prepared = [PREPARED, good]
    scene.batch.node_contents["n1", f"{PREPARED.folder}/stderr.txt"] = b"warm: not found\n"
    run(scene, "show", "j")
    shown = scene.out.getvalue()
    assert "preparation completed on 1 node, failed on 1 node" in shown
    assert (
        "preparation failed on node n1: exit code 127, after 1 retry: the program was not found in the image" in shown
    )
    assert "   | warm: not found\n" in shown
    assert "until it is reimaged" in scene.err.getvalue()
    run(scene, "show", "j", "--json")
    found = json.loads(scene.out.getvalue().splitlines()[-1])["preparation"]
    assert [(one["node_id"], one["log"]) for one in found] == [("n1", ["warm: not found"]), ("n2", [])]


def test_a_preparation_is_read_from_the_services_answer() -> None:
    info = {"state": "completed", "result": "Failure", "exitCode": 1, "retryCount": 0}
    root = {"taskRootDirectory": "/mnt/batch/tasks/workitems/j/job-1/jobpreparation"}
    wire = {"nodeId": "n", "poolId": "p", "jobPreparationTaskExecutionInfo": {**info, **root}}
    (one,) = PreparationState.parse(wire, "j")
    assert (one.failed, one.folder) == (True, "workitems/j/job-1/jobpreparation")
    both = PreparationState.parse({**wire, "jobReleaseTaskExecutionInfo": {**info, "result": "success"}}, "j")
    assert [(one.task, one.failed, one.folder) for one in both][1] == ("release", False, "workitems/j/job-1/jobrelease")


def test_retry_in_the_same_job_runs_those_behind_again_and_removes_the_old_ones() -> None:
    scene = chain()
    assert run(scene, "retry", "j", "--yes") == Exit.OK
    sent = scene.batch.sent["j"]
    assert set(sent) == {"a", "good", "d", "a-r1", "b-r1", "c-r1"}
    assert sent["b-r1"]["dependsOn"] == {"taskIds": ["a-r1"]}
    assert sent["c-r1"]["dependsOn"] == {"taskIds": ["b-r1"]}
    assert scene.batch.order[-3:] == ["add 3", "delete j/b", "delete j/c"]
    assert "1 failed task and 2 that waited for them, first a -> a-r1" in scene.err.getvalue()
    assert "the 2 that wait for ever are then removed from it" in scene.err.getvalue()


def test_retry_keeps_a_dependency_on_what_is_not_run_again_in_the_same_job() -> None:
    scene = chain()
    end(scene, "d", 3)
    run(scene, "retry", "j", "--task", "d", "--yes")
    assert scene.batch.sent["j"]["d-r1"]["dependsOn"] == {"taskIds": ["good"]}
    assert "b" in scene.batch.sent["j"]


def test_retry_in_a_new_job_keeps_ids_and_drops_what_was_satisfied() -> None:
    scene = chain(onTaskFailure="performexitoptionsjobaction", jobPreparationTask={"commandLine": "warm"})
    end(scene, "d", 3)
    scene.batch.end("j")
    run(scene, "retry", "j", "--yes")
    sent = scene.batch.sent["j-retry1"]
    assert {task_id: definition.get("dependsOn") for task_id, definition in sent.items()} == {
        "a": None, "b": {"taskIds": ["a"]}, "c": {"taskIds": ["b"]}, "d": None,
    }  # fmt: skip
    job = scene.batch.definitions["j-retry1"]
    assert job["usesTaskDependencies"] is True
    assert job["onTaskFailure"] == "performexitoptionsjobaction"
    assert job["jobPreparationTask"] == {"commandLine": "warm"}


def test_retry_in_a_new_job_takes_along_what_never_ran() -> None:
    scene = chain()
    scene.batch.add_collection("j", [{"id": "never"}, {"id": "e", **after("a", "never")}])
    scene.batch.end("j", "UserTerminate")
    run(scene, "retry", "j", "--yes")
    assert set(scene.batch.sent["j-retry1"]) == {"a", "b", "c", "e", "never"}


def test_retry_in_a_new_job_is_refused_while_a_parent_can_still_run_in_the_old_one() -> None:
    scene = chain()
    scene.batch.add_collection("j", [{"id": "slow"}, {"id": "e", **after("a", "slow")}])
    with pytest.raises(UsageError, match="task e depends on slow, which is active and would not be in the new job"):
        run(scene, "retry", "j", "--new-job", "--yes")
    assert set(scene.batch.definitions) == {"j"}


def test_retry_divides_a_range_around_the_tasks_that_run_again() -> None:
    scene = stage()
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}, "usesTaskDependencies": True})
    merge = {"id": "merge", "dependsOn": {"taskIdRanges": [{"start": 1, "end": 5}]}}
    scene.batch.add_collection("j", [*({"id": str(number)} for number in range(1, 6)), merge])
    for number in range(1, 6):
        end(scene, str(number), int(number in (1, 3)))
    run(scene, "retry", "j", "--yes")
    assert scene.batch.sent["j"]["merge-r1"]["dependsOn"] == {
        "taskIds": ["1-r1", "3-r1"],
        "taskIdRanges": [{"start": 2, "end": 2}, {"start": 4, "end": 5}],
    }


def test_a_task_that_waits_for_another_failure_too_is_left_when_only_one_is_run_again() -> None:
    scene = chain()
    scene.batch.add_collection("j", [{"id": "z"}, {"id": "e", **after("a", "z")}])
    end(scene, "z", 3)
    run(scene, "retry", "j", "--task", "a", "--yes")
    assert {"a-r1", "b-r1", "c-r1", "e"} <= set(scene.batch.sent["j"])
    assert "e-r1" not in scene.batch.sent["j"]


def test_submit_tells_who_waits_for_a_task_that_was_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "job.yaml"
    path.write_text(
        "job: {family: hello}\ntasks:\n  list:\n    - {id: a}\n    - {id: b, depends_on: [a]}\n    - {id: c}\n"
    )
    scene = stage()
    scene.batch.answers = [
        lambda tasks: [
            Verdict(task_id=t["id"], status="success" if t["id"] != "a" else "clienterror", message="bad")
            for t in tasks
        ]
    ]
    given = {"yes": True, "dry_run": False, "job_id": "mine", "watch": False, "report": False, "timeout": None}
    arguments = argparse.Namespace(
        files=[path], notify=None, bell=False, **given, resume=False, checkpoint=None, workers=1, patience=5.0
    )
    with pytest.raises(NotAllAdded, match=r"1 task behind refused ones would wait for ever.*: b \(on a\)"):
        submit.run(arguments, scene.session)
    assert scene.batch.definitions["mine"]["usesTaskDependencies"] is True
