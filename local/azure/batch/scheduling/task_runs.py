"""Tasks and their runs: what nodes report of them, what becomes of the task then, and how a run is ended.

What a run's end means is decided in `decisions/scheduler.py: judge`; which task goes where in `assignment.py`. What the
change means to the job (`job_life.py`) and the node (`allocation.py`) is another event of the same turn.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from local.azure.batch.decisions import failures, scheduler
from local.azure.batch.decisions.exit_conditions import JobAction, exit_options
from local.azure.batch.model import Ending, JobTaskKind, Task
from local.azure.batch.model.states import TAKES_TASKS, JobTaskState, TaskEvent, TaskState
from local.azure.batch.scheduling import assignment, job_tasks
from local.azure.batch.scheduling.messages import (
    Arm,
    Disarm,
    EraseFiles,
    JobSettled,
    JobTaskOver,
    NodeSettled,
    RetentionOver,
    RunUnreachable,
    StopRun,
    TaskOverdue,
    TerminateRun,
)
from local.azure.batch.scheduling.turn import Turn
from local.node.contract import FailureInfo, NodeState, RunEnded, RunStarted

_WALL_CLOCK = "task"
_RETENTION = "retention"
_WATCHED_SECONDS = timedelta(days=7).total_seconds()

# -- what nodes report -------------------------------------------------------------------------------------------------


def run_started(turn: Turn, event: RunStarted) -> None:
    """Take the begin of a run. Reports about runs that are not the account's any more are ignored."""
    state = turn.state
    if event.run_id in state.job_task_runs:
        job_tasks.run_started(turn, state.job_task_runs[event.run_id], event)
        return
    task = state.runs.get(event.run_id)
    if task is None:
        return
    if task.state is TaskState.PREPARING:
        with turn.change(task):
            task.started = event.at
            task.happen(TaskEvent.START, event.at)
    _watch_wall_clock(turn, task)


def run_ended(turn: Turn, event: RunEnded) -> None:
    """Take the end of a run, reported by its node or found out otherwise."""
    state = turn.state
    if event.run_id in state.job_task_runs:
        job_tasks.run_ended(turn, state.job_task_runs[event.run_id], event)
    elif event.run_id in state.coordination_runs:
        assignment.coordination_ended(turn, state.coordination_runs[event.run_id], event)
    elif event.run_id in state.runs:
        _task_run_ended(turn, state.runs[event.run_id], event)


def _task_run_ended(turn: Turn, task: Task, event: RunEnded) -> None:
    job = turn.state.jobs[task.job_id.lower()]
    node_ids = {event.node_id, *(one["node_id"] for one in task.instances)}
    outcome = scheduler.judge(task, job.state, event)
    if task.max_seconds is not None:
        turn.command(Disarm(_WALL_CLOCK, event.run_id))
    assignment.stop_coordination(turn, task)
    action = JobAction.NONE
    if outcome.event is TaskEvent.END:
        action = _complete(turn, task, event, outcome.failure)
        _count(turn, task, event)
    else:
        _run_again(turn, task, outcome.event, event.at)
    if task.deleting:
        _erase(turn, task)
    manager_ended = outcome.event is TaskEvent.END and job.is_manager(task)
    turn.post(JobSettled(job, action, manager_ended))
    assignment.nodes_changed(turn, node_ids, job.pool_id)


def run_unreachable(turn: Turn, event: RunUnreachable) -> None:
    """A node does not answer: it has lost the run, and gets no other until it reports."""
    node = turn.state.nodes.get(event.node_id)
    if node is not None and node.state in TAKES_TASKS:
        with turn.change(node):
            node.become(NodeState.UNKNOWN, turn.now)
    run_ended(turn, RunEnded(node_id=event.node_id, run_id=event.run_id, at=turn.now, lost=True))


def lose_runs(turn: Turn, node_id: str) -> None:
    """Requeue everything that ran on a node that is gone."""
    job_tasks.lose(turn, node_id)
    for run_id in list(turn.state.on_node[node_id]):
        run_ended(turn, RunEnded(node_id=node_id, run_id=run_id, at=turn.now, lost=True))


def _complete(turn: Turn, task: Task, event: RunEnded, failure: FailureInfo | None) -> JobAction:
    """The task is over; what its exit conditions ask of its job. Tasks that depend on it may run from now on."""
    with turn.change(task):
        if event.exit_code is not None and task.started is None:
            task.started = event.at
        task.finish(event.at, event.exit_code, failure, event.container)
        options = exit_options(task)
        task.satisfies = task.satisfies or options.satisfies
    if _watched_seconds(task) is not None:
        watch_retention(turn, task)
    return options.job_action


def _run_again(turn: Turn, task: Task, event: TaskEvent, now: datetime) -> None:
    """The task waits for a node again: retried, requeued, or returned by a node that could not be prepared."""
    with turn.change(task):
        task.happen(event, now)
        if event is TaskEvent.RETRY:
            task.retries += 1
            task.last_retry = now
        elif event is TaskEvent.REQUEUE:
            task.requeues += 1
            task.last_requeue = now
        task.forget_run()


def _count(turn: Turn, task: Task, event: RunEnded) -> None:
    node = turn.state.nodes.get(event.node_id)
    if node is not None:
        with turn.change(node):
            node.remember(task.job_id, task.id, task.result == "success")


# -- preparation and release -------------------------------------------------------------------------------------------


def job_task_over(turn: Turn, event: JobTaskOver) -> None:
    """Go on with what waited for a preparation or release task."""
    one = event.job_task
    job = turn.state.jobs.get(one.job_id.lower())
    if job is None or one.state is JobTaskState.RUNNING:
        return
    if one.kind is JobTaskKind.PREPARATION and job.preparation and job.preparation["waitForSuccess"]:
        for task in [task for task in turn.state.on_node[one.node_id].values() if task.job_id == job.id]:
            if task.state is TaskState.PREPARING:
                _prepared(turn, task, lost=one.state is JobTaskState.PENDING, succeeded=one.succeeded)
    turn.post(JobSettled(job))
    turn.post(NodeSettled(one.node_id))
    assignment.wake(turn, one.pool_id)
    assignment.wake(turn, job.pool_id)


def _prepared(turn: Turn, task: Task, *, lost: bool, succeeded: bool) -> None:
    """The preparation that a task waited for is over: the task starts, or looks for another node."""
    assert task.node_id is not None and task.run_id is not None, "a task on a node has both"
    if lost or task.ending is not None:
        run_ended(turn, RunEnded(node_id=task.node_id, run_id=task.run_id, at=turn.now, lost=lost))
    elif succeeded:
        assignment.begin(turn, task, turn.state.jobs[task.job_id.lower()])
    else:
        _run_again(turn, task, TaskEvent.RETURN, turn.now)


# -- ending ------------------------------------------------------------------------------------------------------------


def end_run(turn: Turn, task: Task, ending: Ending) -> None:
    """Ask the node to end the task's run; what becomes of the task is decided when the end is reported."""
    if not task.on_node or task.node_id is None or task.run_id is None:
        return
    if task.ending is not Ending.TERMINATE:
        with turn.change(task):
            task.ending = ending
    if assignment.is_held(turn.state, task) or not task.is_coordinated:
        turn.post(RunEnded(node_id=task.node_id, run_id=task.run_id, at=turn.now))
    else:
        turn.command(TerminateRun(task.node_id, task.run_id))


def abandon_run(turn: Turn, task: Task) -> None:
    """Have a running task stopped, and count it as ended at once, whatever its node does."""
    assert task.node_id is not None and task.run_id is not None, "callers ask for running tasks only"
    node_id, run_id = task.node_id, task.run_id
    turn.command(StopRun(node_id, run_id))
    run_ended(turn, RunEnded(node_id=node_id, run_id=run_id, at=turn.now))


def end_task(turn: Turn, task: Task) -> None:
    """Terminate a task: at once when it waits, through its node when it runs."""
    if task.on_node:
        end_run(turn, task, Ending.TERMINATE)
        return
    job = turn.state.jobs[task.job_id.lower()]
    ended = RunEnded(node_id="", run_id="", at=turn.now)
    action = _complete(turn, task, ended, failures.ENDED_BY_USER)
    turn.post(JobSettled(job, action, job.is_manager(task)))
    assignment.wake(turn, job.pool_id)


def delete_task(turn: Turn, task: Task) -> None:
    """Remove a task and its files; one that runs is ended first and cannot be seen meanwhile."""
    with turn.change(task):
        task.deleting = True
    if task.on_node:
        end_run(turn, task, Ending.TERMINATE)
    else:
        _erase(turn, task)
        turn.post(JobSettled(turn.state.jobs[task.job_id.lower()]))


def _erase(turn: Turn, task: Task) -> None:
    erase_files(turn, task.node_id, task.directory)
    turn.drop(task)


def erase_files(turn: Turn, node_id: str | None, directory: str) -> None:
    """Remove a folder from a node that had it, if the node is still there."""
    if node_id is not None and node_id in turn.state.nodes:
        turn.command(EraseFiles(node_id, directory))


# -- time --------------------------------------------------------------------------------------------------------------


def _watch_wall_clock(turn: Turn, task: Task) -> None:
    if task.max_seconds is None or task.started is None or task.run_id is None or task.ending is not None:
        return
    when = task.started + timedelta(seconds=task.max_seconds)
    turn.command(Arm(_WALL_CLOCK, task.run_id, when, TaskOverdue(task.run_id)))


def overdue(turn: Turn, event: TaskOverdue) -> None:
    """End a run that is over its wall-clock limit."""
    task = turn.state.runs.get(event.run_id)
    if task is not None and task.ending is None:
        end_run(turn, task, Ending.WALL_CLOCK)


def watch_retention(turn: Turn, task: Task) -> None:
    """A task is completed, or its constraints changed: its folder goes from its node when `retentionTime` is over (REST
    reference). The default of seven days is not watched: a node that is kept so long keeps its files until the job is
    deleted."""
    name = f"{task.job_id.lower()}/{task.key}"
    seconds = _watched_seconds(task)
    if task.ended is None or task.node_id is None or seconds is None:
        turn.command(Disarm(_RETENTION, name))
        return
    when = task.ended + timedelta(seconds=seconds)
    turn.command(Arm(_RETENTION, name, when, RetentionOver(task.job_id, task.key, task.run_id)))


def retention_over(turn: Turn, event: RetentionOver) -> None:
    """Remove the folder, unless the task ran again meanwhile."""
    job = turn.state.jobs.get(event.job_id.lower())
    task = None if job is None else turn.state.tasks(job).get(event.task_id)
    if task is not None and task.state is TaskState.COMPLETED and task.run_id == event.run_id:
        with turn.change(task):
            task.files_erased = turn.now
        erase_files(turn, task.node_id, task.directory)


def _watched_seconds(task: Task) -> float | None:
    seconds = task.retention_seconds
    return None if seconds is None or seconds >= _WATCHED_SECONDS else seconds


def resume(turn: Turn) -> None:
    """After a restart, once the executor has reported: say again what may not have reached the nodes."""
    state = turn.state
    job_tasks.resume(turn)
    for run_id, task in list(state.runs.items()):
        node = state.nodes.get(task.node_id or "")
        pool = state.pools.get((task.pool_id or "").lower())
        job = state.jobs[task.job_id.lower()]
        if node is None or pool is None:
            turn.post(RunEnded(node_id=task.node_id or "", run_id=run_id, at=turn.now, lost=True))
        elif task.ending is not None or task.deleting:
            end_run(turn, task, task.ending or Ending.TERMINATE)
        elif (refusal := scheduler.container_failure(task, pool.containers is not None)) is not None:
            turn.post(RunEnded(node_id=node.id, run_id=run_id, at=turn.now, failure=refusal))
        elif assignment.is_held(state, task):
            job_tasks.prepare(turn, job, node)
        else:
            assignment.begin(turn, task, job)
            _watch_wall_clock(turn, task)
    for task in [task for task in state.all_tasks() if task.deleting and not task.on_node]:
        _erase(turn, task)
    for task in state.all_tasks():
        if task.state is TaskState.COMPLETED and _watched_seconds(task) is not None:
            watch_retention(turn, task)
    for pool_id in state.pools:
        assignment.wake(turn, pool_id)
