"""Decisions of the scheduler, as pure functions."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from local.azure.batch.decisions import failures
from local.azure.batch.decisions.exit_conditions import JobAction
from local.azure.batch.decisions.job_steps import JobStep, job_end, job_step
from local.azure.batch.decisions.scheduler import (
    Assignment,
    Line,
    NodeStep,
    Room,
    Waiting,
    assign,
    container_failure,
    judge,
    judge_job_task,
    node_step,
    nodes_to_remove,
)
from local.azure.batch.model import Ending, Job, JobTask, JobTaskKind, Node, Task
from local.azure.batch.model.job import with_defaults as job_defaults
from local.azure.batch.model.node import PendingVerb
from local.azure.batch.model.states import JobState, JobTaskEvent, JobTaskState, TaskEvent, TaskState
from local.azure.batch.model.task import with_defaults as task_defaults
from local.node.contract import FailureInfo, NodeState, RunEnded

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UPLOAD = FailureInfo(category="usererror", code="FileUploadContainerNotFound", message="no container")


def tasks(*ids: str, slots: int = 1) -> list[Waiting]:
    return [Waiting(one, slots) for one in ids]


def placed(made: list[Assignment]) -> dict[str, str]:
    return {one.task_id: one.node_id for one in made}


def a_task(retries: int = 0, *, done: int = 0, ending: Ending | None = None) -> Task:
    body = task_defaults({"id": "t", "commandLine": "x", "constraints": {"maxTaskRetryCount": retries}}, 0)
    return Task(
        id="t",
        job_id="j",
        number=1,
        body=body,
        created=NOW,
        changed=NOW,
        state_since=NOW,
        state=TaskState.RUNNING,
        retries=done,
        ending=ending,
    )


def a_job(**body: object) -> Job:
    full = job_defaults({"id": "j", "poolInfo": {"poolId": "p"}, **body})
    return Job(id="j", number=1, body=full, created=NOW, changed=NOW, state_since=NOW)


def ended(exit_code: int | None = 0, failure: FailureInfo | None = None, lost: bool = False) -> RunEnded:
    return RunEnded(node_id="n", run_id="r", at=NOW, exit_code=exit_code, failure=failure, lost=lost)


def test_spread_takes_the_emptiest_node_and_pack_the_fullest() -> None:
    rooms = [Room("a", 4, used=1), Room("b", 4)]
    line = [Line("j", tasks("1", "2"))]
    assert placed(assign(line, rooms)) == {"1": "b", "2": "a"}
    assert placed(assign(line, rooms, pack=True)) == {"1": "a", "2": "a"}


def test_slots_limit_what_a_node_takes() -> None:
    assert placed(assign([Line("j", tasks("1", "2", "3"))], [Room("a", 2)])) == {"1": "a", "2": "a"}


def test_a_task_too_big_for_now_does_not_hold_back_a_smaller_one() -> None:
    line = [Line("j", [Waiting("big", 4), Waiting("small", 1)])]
    assert placed(assign(line, [Room("a", 4, used=1)])) == {"small": "a"}


def test_priority_goes_before_age() -> None:
    lines = [Line("old", tasks("o"), 0, 1), Line("urgent", tasks("u"), 5, 2)]
    assert placed(assign(lines, [Room("a", 1)])) == {"u": "a"}


def test_max_parallel_tasks_counts_what_runs_already() -> None:
    lines = [Line("j", tasks("1", "2", "3"), limit=2, running=1), Line("k", tasks("4"), number=1)]
    assert set(placed(assign(lines, [Room("a", 8)]))) == {"1", "4"}


def test_affinity_is_followed_when_there_is_room_and_ignored_otherwise() -> None:
    rooms = [Room("a", 4), Room("b", 4, used=3)]
    assert placed(assign([Line("j", [Waiting("1", 1, "b")])], rooms)) == {"1": "b"}
    assert placed(assign([Line("j", [Waiting("1", 2, "b")])], rooms)) == {"1": "a"}


@pytest.mark.parametrize(
    ("task", "event", "expected", "code"),
    [
        (a_task(), ended(0), TaskEvent.END, None),
        (a_task(), ended(3), TaskEvent.END, "FailureExitCode"),
        (a_task(1), ended(3), TaskEvent.RETRY, None),
        (a_task(1, done=1), ended(3), TaskEvent.END, "FailureExitCode"),
        (a_task(-1, done=99), ended(3), TaskEvent.RETRY, None),
        (a_task(5), ended(None, UPLOAD), TaskEvent.END, "FileUploadContainerNotFound"),
        (a_task(5), ended(0, UPLOAD), TaskEvent.END, "FileUploadContainerNotFound"),
        (a_task(), ended(None, lost=True), TaskEvent.REQUEUE, None),
        (a_task(5, ending=Ending.TERMINATE), ended(143), TaskEvent.END, "TaskEnded"),
        (a_task(ending=Ending.REQUEUE), ended(143), TaskEvent.REQUEUE, None),
        (a_task(ending=Ending.WALL_CLOCK), ended(143), TaskEvent.END, "TaskEnded"),
        (a_task(1, ending=Ending.WALL_CLOCK), ended(143), TaskEvent.RETRY, None),
        (a_task(ending=Ending.TERMINATE), ended(None, lost=True), TaskEvent.END, "TaskEnded"),
    ],
)
def test_an_ended_run_is_judged(task: Task, event: RunEnded, expected: TaskEvent, code: str | None) -> None:
    outcome = judge(task, JobState.ACTIVE, event)
    assert (outcome.event, outcome.failure and outcome.failure.code) == (expected, code)


@pytest.mark.parametrize(
    ("done", "ending", "event", "expected", "code"),
    [
        (0, None, ended(0), JobTaskEvent.END, None),
        (0, None, ended(3), JobTaskEvent.RETRY, None),
        (1, None, ended(3), JobTaskEvent.END, "FailureExitCode"),
        (0, None, ended(None, UPLOAD), JobTaskEvent.END, "FileUploadContainerNotFound"),
        (0, None, ended(None, lost=True), JobTaskEvent.LOSE, None),
        (0, Ending.WALL_CLOCK, ended(143), JobTaskEvent.RETRY, None),
        (1, Ending.WALL_CLOCK, ended(143), JobTaskEvent.END, "TaskEnded"),
        (0, Ending.TERMINATE, ended(143), JobTaskEvent.END, "TaskEnded"),
        (0, Ending.TERMINATE, ended(None, lost=True), JobTaskEvent.END, "TaskEnded"),
    ],
)
def test_an_ended_run_of_a_preparation_that_may_be_retried_once_is_judged(
    done: int, ending: Ending | None, event: RunEnded, expected: JobTaskEvent, code: str | None
) -> None:
    one = JobTask(
        job_id="j",
        kind=JobTaskKind.PREPARATION,
        id="p",
        pool_id="p",
        node_id="n",
        number=1,
        since=NOW,
        state=JobTaskState.RUNNING,
        retries=done,
        ending=ending,
    )
    what, failure = judge_job_task(one, 1, event)
    assert (what, failure and failure.code) == (expected, code)


def test_a_node_that_could_not_be_prepared_gets_no_task_of_that_job() -> None:
    rooms = [Room("a", 1), Room("b", 1)]
    lines = [Line("j", tasks("1", "2"), number=1, barred=frozenset({"a"})), Line("k", tasks("3"), number=2)]
    assert placed(assign(lines, rooms)) == {"1": "b", "3": "a"}


def test_a_run_that_succeeds_while_its_job_is_terminated_counts_as_success() -> None:
    assert judge(a_task(), JobState.TERMINATING, ended(0)).failure is None
    assert judge(a_task(3), JobState.TERMINATING, ended(1)).failure == failures.ENDED_BY_USER


def test_a_job_ends_when_all_tasks_are_complete_and_only_if_it_wants_to() -> None:
    assert job_end(a_job(onAllTasksComplete="terminatejob"), 0) == "AllTasksComplete"
    assert job_end(a_job(onAllTasksComplete="terminatejob"), 1) is None
    assert job_end(a_job(), 0) is None


def test_a_failed_task_ends_a_job_that_performs_exit_options() -> None:
    job = a_job(onTaskFailure="performexitoptionsjobaction")
    assert job_end(job, 3, JobAction.TERMINATE) == "TaskFailed"
    assert job_end(a_job(), 3, JobAction.TERMINATE) is None
    assert job_end(job, 3) is None


def test_container_pools_and_tasks_must_fit() -> None:
    plain, contained = a_task(), a_task()
    contained.body = {**contained.body, "containerSettings": {"imageName": "x"}}
    assert container_failure(plain, False) is None and container_failure(contained, True) is None
    assert (found := container_failure(plain, True)) and found.code == "ContainerTaskSettingsNotFound"
    assert container_failure(contained, False) == failures.NO_CONTAINER_POOL


def test_idle_and_new_nodes_leave_first() -> None:
    assert nodes_to_remove([("old", 0), ("busy", 2), ("new", 0)], 2) == ["new", "old"]


@pytest.mark.parametrize("seed", range(40))
def test_nodes_are_chosen_as_by_looking_at_all_of_them(seed: int) -> None:
    chance = random.Random(seed)
    rooms = [Room(f"n{number}", chance.randint(1, 6), chance.randint(0, 3)) for number in range(chance.randint(1, 9))]
    pack = chance.random() < 0.5
    waiting = [
        Waiting(str(number), chance.randint(1, 5), chance.choice([None, None, "n0", "n3", "gone"]))
        for number in range(20)
    ]
    free = {room.node_id: room.slots - room.used for room in rooms if room.slots > room.used}
    expected: dict[str, str] = {}
    for task in waiting:
        fitting = {node: slots for node, slots in free.items() if slots >= task.slots}
        if not fitting:
            continue
        node = task.affinity if task.affinity in fitting else (min if pack else max)(fitting, key=fitting.__getitem__)
        expected[task.task_id] = node
        free[node] -= task.slots
    assert placed(assign([Line("j", waiting)], rooms, pack=pack)) == expected


@pytest.mark.parametrize(
    ("state", "running", "step"),
    [
        (JobState.ACTIVE, 0, JobStep.NOTHING),
        (JobState.ACTIVE, 2, JobStep.NOTHING),
        (JobState.ENABLING, 0, JobStep.GO_ON),
        (JobState.ENABLING, 2, JobStep.GO_ON),
        (JobState.DISABLING, 2, JobStep.NOTHING),
        (JobState.DISABLING, 0, JobStep.REST),
        (JobState.DISABLED, 0, JobStep.NOTHING),
        (JobState.TERMINATING, 1, JobStep.NOTHING),
        (JobState.TERMINATING, 0, JobStep.FINISH),
        (JobState.COMPLETED, 0, JobStep.NOTHING),
        (JobState.DELETING, 1, JobStep.NOTHING),
        (JobState.DELETING, 0, JobStep.FORGET),
    ],
)
def test_what_is_next_for_a_job(state: JobState, running: int, step: JobStep) -> None:
    job = a_job(onTaskFailure="performexitoptionsjobaction")
    job.state = state
    assert job_step(job, running, None, JobAction.NONE) is step
    assert job_step(job, running, "done", JobAction.NONE) is JobStep.TERMINATE
    wanted = JobStep.DISABLE if state is JobState.ACTIVE else step
    assert job_step(job, running, None, JobAction.DISABLE) is wanted


def test_what_is_next_for_a_node_whose_runs_are_over() -> None:
    node = Node(id="n", body={}, pool_id="p", number=1, created=NOW, changed=NOW, state_since=NOW, booted=NOW)
    steps = {
        None: NodeStep.NOTHING,
        PendingVerb.REBOOT: NodeStep.REBOOT,
        PendingVerb.REIMAGE: NodeStep.REMAKE,
        PendingVerb.DEALLOCATE: NodeStep.REMAKE,
    }
    for state in (NodeState.IDLE, NodeState.LEAVING_POOL):
        node.state = state
        for pending, step in steps.items():
            node.pending = pending
            assert node_step(node, 1) is NodeStep.NOTHING
            assert node_step(node, 0) is (NodeStep.DELETE if node.leaving else step)


def test_a_node_of_an_earlier_version_still_waits_for_its_reboot() -> None:
    node = Node(id="n", body={}, pool_id="p", number=1, created=NOW, changed=NOW, state_since=NOW, booted=NOW)
    assert Node.from_json({**node.to_json(), "reboot_pending": True}).pending is PendingVerb.REBOOT
    assert Node.from_json({**node.to_json(), "reboot_pending": False}).pending is None
