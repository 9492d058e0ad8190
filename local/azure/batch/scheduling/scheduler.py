"""Scheduling decisions, pure: state in, decisions out. No clock, no store, no executor; `dispatcher.py` acts.

Rules (learn.microsoft.com/azure/batch: batch-parallel-node-tasks, jobs-and-tasks): a node runs tasks until their
required slots fill it; `spread` takes the emptiest node, `pack` the fullest that still has room; jobs are served by
priority, then by age; `maxParallelTasks` limits a job; a task that does not fit yet does not hold back smaller ones
[guess].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from local.azure.batch.model import Ending, Job, JobTask, Task
from local.azure.batch.model.states import JobState, JobTaskEvent, TaskEvent
from local.azure.batch.scheduling import failures
from local.azure.batch.scheduling.exit_conditions import JobAction
from local.node.contract import FailureInfo, RunEnded


@dataclass(frozen=True)
class Waiting:
    """A task that wants a node; `affinity` names the one it would like best."""

    task_id: str
    slots: int = 1
    affinity: str | None = None


@dataclass(frozen=True)
class Line:
    """A job's queue. `limit` None: as many at once as there is room for. `barred`: nodes that could not be prepared."""

    job_id: str
    waiting: Iterable[Waiting]
    priority: int = 0
    number: int = 0
    limit: int | None = None
    running: int = 0
    barred: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Room:
    """A node that takes tasks."""

    node_id: str
    slots: int
    used: int = 0


@dataclass(frozen=True)
class Assignment:
    """This task goes to this node."""

    job_id: str
    task_id: str
    node_id: str


def assign(lines: Sequence[Line], rooms: Sequence[Room], *, pack: bool = False) -> list[Assignment]:
    """Fill the nodes of one pool."""
    free = {room.node_id: room.slots - room.used for room in rooms if room.slots > room.used}
    made: list[Assignment] = []
    for line in sorted(lines, key=lambda one: (-one.priority, one.number)):
        left = None if line.limit is None else line.limit - line.running
        for task in line.waiting:
            usable = {node: slots for node, slots in free.items() if node not in line.barred} if line.barred else free
            if not usable or (left is not None and left <= 0):
                break
            node = _choose(task, usable, pack)
            if node is None:
                continue
            made.append(Assignment(line.job_id, task.task_id, node))
            free[node] -= task.slots
            if not free[node]:
                del free[node]
            left = None if left is None else left - 1
    return made


def _choose(task: Waiting, free: dict[str, int], pack: bool) -> str | None:
    if task.affinity is not None and free.get(task.affinity, 0) >= task.slots:
        return task.affinity
    fitting = [(slots, node) for node, slots in free.items() if slots >= task.slots]
    if not fitting:
        return None
    best = (min if pack else max)(slots for slots, _ in fitting)
    return next(node for slots, node in fitting if slots == best)


@dataclass(frozen=True)
class Outcome:
    """What an ended run means for its task: END (with the failure to show), RETRY or REQUEUE."""

    event: TaskEvent
    failure: FailureInfo | None = None


_NO_MORE_RUNS = frozenset({JobState.TERMINATING, JobState.COMPLETED, JobState.DELETING})


def judge(task: Task, job_state: JobState, ended: RunEnded) -> Outcome:
    """Decide about an ended run.

    Lost with its node: run again, not counted as a retry. A non-zero exit code is retried; a run that never started
    (pre-processing error) and a failed upload are not. A run over its wall-clock limit counts as failed and is retried
    like one [guess: the documentation gives the limit per run].
    """
    over = task.ending is Ending.TERMINATE or task.deleting or job_state in _NO_MORE_RUNS
    succeeded = ended.exit_code == 0 and ended.failure is None and not ended.lost
    if over:
        natural = succeeded and task.ending is None
        return Outcome(TaskEvent.END, None if natural else failures.ENDED_BY_USER)
    if task.ending is Ending.REQUEUE:
        return Outcome(TaskEvent.REQUEUE)
    if ended.lost:
        return Outcome(TaskEvent.REQUEUE)
    if succeeded and task.ending is None:
        return Outcome(TaskEvent.END)
    failure = failures.WALL_CLOCK if task.ending is Ending.WALL_CLOCK else ended.failure or failures.EXIT_CODE
    retryable = task.ending is Ending.WALL_CLOCK or (ended.exit_code is not None and ended.exit_code != 0)
    if retryable and (task.max_retries < 0 or task.retries < task.max_retries):
        return Outcome(TaskEvent.RETRY)
    return Outcome(TaskEvent.END, failure)


def judge_job_task(one: JobTask, max_retries: int, ended: RunEnded) -> tuple[JobTaskEvent, FailureInfo | None]:
    """Decide about an ended run of a preparation or release task by the rules of tasks; a lost one runs again."""
    if ended.lost and one.ending is None:
        return JobTaskEvent.LOSE, None
    if one.ending is Ending.TERMINATE or ended.lost:
        return JobTaskEvent.END, failures.ENDED_BY_USER
    if one.ending is None and ended.exit_code == 0 and ended.failure is None:
        return JobTaskEvent.END, None
    retryable = one.ending is Ending.WALL_CLOCK or ended.exit_code not in (None, 0)
    if retryable and (max_retries < 0 or one.retries < max_retries):
        return JobTaskEvent.RETRY, None
    return JobTaskEvent.END, failures.WALL_CLOCK if one.ending else ended.failure or failures.EXIT_CODE


def job_end(job: Job, unfinished: int, action: JobAction = JobAction.NONE) -> str | None:
    """The reason to terminate the job now, if there is one; `action` is what a task that just ended asks for.

    A job without tasks counts as all complete when the mode is set, but creating it so does not end it [guess: public
    samples create jobs with terminatejob before they add tasks]; hence callers ask after a task's end and after an
    update.
    """
    if job.state is not JobState.ACTIVE:
        return None
    if action is JobAction.TERMINATE and job.performs_exit_options:
        return failures.TASK_FAILED
    if job.ends_when_all_complete and unfinished == 0:
        return failures.ALL_TASKS_COMPLETE
    return None


def container_failure(task: Task, pool_has_containers: bool) -> FailureInfo | None:
    """Why the task cannot run on this kind of pool: it then fails without running, and is not retried."""
    has_settings = bool(task.body.get("containerSettings"))
    if has_settings == pool_has_containers:
        return None
    return failures.NO_CONTAINER_SETTINGS if pool_has_containers else failures.NO_CONTAINER_POOL


def nodes_to_remove(candidates: Sequence[tuple[str, int]], count: int) -> list[str]:
    """Which (node id, running tasks) leave when a pool shrinks: those with least to do, newest first [guess]."""
    order = sorted(enumerate(candidates), key=lambda item: (item[1][1], -item[0]))
    return [node_id for _, (node_id, _) in order[:count]]
