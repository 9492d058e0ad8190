"""Job preparation and job release tasks: one of each on every node that works for the job.

Rules (REST reference of `BatchJobPreparationTask` and `BatchJobReleaseTask`, 2025-06-01): a node is prepared before the
first task of the job runs there, and again when it was made anew, or rebooted (`rerunOnNodeRebootAfterSuccess`); where
the preparation failed, no task of the job runs until the node is made anew. When the job ends, its release task runs
wherever its tasks could; it takes no slot and is not retried, and the job waits for it, not for its success.

Owns when these two run and what becomes of them; the tasks that wait for a preparation are in `task_runs.py`.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from local.azure.batch.decisions import failures, scheduler
from local.azure.batch.model import Ending, Job, JobTask, JobTaskKind, Node
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.durations import limit_seconds
from local.azure.batch.model.states import TAKES_TASKS, JobTaskEvent, JobTaskState
from local.azure.batch.scheduling.messages import (
    Arm,
    Disarm,
    JobTaskOver,
    JobTaskOverdue,
    ReleaseOverdue,
    StartRun,
    StopRun,
    TerminateRun,
)
from local.azure.batch.scheduling.turn import Turn
from local.node.contract import FailureInfo, RunEnded, RunStarted

_WALL_CLOCK = "job task"
_PENDING = "pending job task"

# -- preparation -------------------------------------------------------------------------------------------------------


def is_ready(state: AccountState, job: Job, node_id: str) -> bool:
    """Whether tasks of the job may run on the node now."""
    if job.preparation is None or not job.preparation["waitForSuccess"]:
        return True
    preparation = _find(state, job, node_id, JobTaskKind.PREPARATION)
    return preparation is not None and preparation.succeeded


def barred(state: AccountState, job: Job) -> frozenset[str]:
    """The nodes that get no task of the job, because they could not be prepared."""
    if job.preparation is None or not job.preparation["waitForSuccess"]:
        return frozenset()
    ones = state.job_tasks[job.id.lower()].values()
    over = [one for one in ones if one.kind is JobTaskKind.PREPARATION and one.state is JobTaskState.COMPLETED]
    return frozenset(one.node_id for one in over if not one.succeeded)


def prepare(turn: Turn, job: Job, node: Node) -> None:
    """Have the node prepared, unless it is, or is being."""
    if job.preparation is None:
        return
    one = _find(turn.state, job, node.id, JobTaskKind.PREPARATION)
    one = one or _make(turn, job, JobTaskKind.PREPARATION, node.id, node.pool_id)
    if one.state is JobTaskState.PENDING:
        _start(turn, one, job)


# -- release -----------------------------------------------------------------------------------------------------------


def release(turn: Turn, job: Job) -> bool:
    """Have the nodes that worked for the ended job released; whether that, and every preparation, is over."""
    ones = turn.state.job_tasks[job.id.lower()]
    for one in list(ones.values()):
        if one.kind is JobTaskKind.PREPARATION and one.state is JobTaskState.RUNNING:
            if one.ending is not Ending.TERMINATE:
                _end_run(turn, one, Ending.TERMINATE)
        elif _needs_release(turn.state, one, job):
            _wait_for_node(turn, _make(turn, job, JobTaskKind.RELEASE, one.node_id, one.pool_id), job)
    return not any(
        one.state is JobTaskState.RUNNING or (one.kind is JobTaskKind.RELEASE and one.state is JobTaskState.PENDING)
        for one in ones.values()
    )


def _needs_release(state: AccountState, preparation: JobTask, job: Job) -> bool:
    """Where the preparation ran to its end and tasks could follow; on a rebooted node, the one before counts."""
    if preparation.kind is not JobTaskKind.PREPARATION or job.preparation is None or job.release is None:
        return False
    if preparation.result is None or (preparation.result != "success" and job.preparation["waitForSuccess"]):
        return False
    node = state.nodes.get(preparation.node_id)
    present = _find(state, job, preparation.node_id, JobTaskKind.RELEASE)
    return present is None and node is not None and not node.leaving


def _wait_for_node(turn: Turn, one: JobTask, job: Job) -> None:
    """Start a release task when its node is up. A node that does not come up is given as long as the task may run
    [guess]."""
    node = turn.state.nodes.get(one.node_id)
    if node is not None and node.state in TAKES_TASKS:
        _start(turn, one, job)
        return
    when = one.since + timedelta(seconds=_max_seconds(one, job) or 0)
    event = ReleaseOverdue(one.job_id.lower(), one.node_id)
    turn.command(Arm(_PENDING, f"{one.job_id}/{one.node_id}", when, event))


def release_overdue(turn: Turn, event: ReleaseOverdue) -> None:
    """The node did not come up in time."""
    one = turn.state.job_tasks[event.job_id].get((event.node_id, JobTaskKind.RELEASE))
    if one is not None:
        _give_up(turn, one)


def _give_up(turn: Turn, one: JobTask) -> None:
    """It will not run any more: its node is gone, or does not come up."""
    if one.state is JobTaskState.PENDING:
        _finish(turn, one, failures.NODE_GONE)
        turn.post(JobTaskOver(one))


def abandon(turn: Turn, job: Job) -> None:
    """The job does not wait for its preparation and release tasks any more: whatever runs is stopped, and over."""
    release(turn, job)
    for one in list(turn.state.job_tasks[job.id.lower()].values()):
        if one.state is JobTaskState.RUNNING:
            turn.command(StopRun(one.node_id, one.run_id or ""))
            _finish(turn, one, failures.ENDED_BY_USER)
        elif one.kind is JobTaskKind.RELEASE and one.state is JobTaskState.PENDING:
            _finish(turn, one, failures.NODE_GONE)


def _finish(turn: Turn, one: JobTask, failure: FailureInfo) -> None:
    with turn.change(one):
        one.finish(turn.now, None, failure, None)


# -- nodes -------------------------------------------------------------------------------------------------------------


def node_up(turn: Turn, node: Node) -> None:
    """Start the release tasks that waited for it."""
    for one in turn.state.job_tasks_on(node.id):
        if one.kind is JobTaskKind.RELEASE and one.state is JobTaskState.PENDING:
            _start(turn, one, turn.state.jobs[one.job_id.lower()])


def node_booted(turn: Turn, node: Node, *, anew: bool) -> None:
    """It booted. `anew`: not because it was asked to reboot, so that nothing of before counts [guess: recovered nodes
    are taken as reimaged ones]."""
    for one in turn.state.job_tasks_on(node.id):
        job = turn.state.jobs[one.job_id.lower()]
        if one.kind is not JobTaskKind.PREPARATION or one.state is JobTaskState.RUNNING or job.preparation is None:
            continue
        if not anew and not (one.succeeded and job.preparation["rerunOnNodeRebootAfterSuccess"]):
            continue
        with turn.change(one):
            if anew:
                one.forget_run()
            one.happen(JobTaskEvent.OUTDATE, turn.now)
            one.retries = 0
            one.last_retry = None


def lose(turn: Turn, node_id: str) -> None:
    """The runs on a node that is gone are lost."""
    for run_id, one in list(turn.state.job_task_runs.items()):
        if one.node_id == node_id:
            run_ended(turn, one, RunEnded(node_id=node_id, run_id=run_id, at=turn.now, lost=True))


def node_gone(turn: Turn, node_id: str) -> None:
    """The node does not come back."""
    lose(turn, node_id)
    for one in turn.state.job_tasks_on(node_id):
        if one.result is None:
            _give_up(turn, one)


# -- runs --------------------------------------------------------------------------------------------------------------


def run_started(turn: Turn, one: JobTask, event: RunStarted) -> None:
    """A node reports that the command runs."""
    if one.started is None:
        with turn.change(one):
            one.started = event.at
    _watch_wall_clock(turn, one, turn.state.jobs[one.job_id.lower()])


def run_ended(turn: Turn, one: JobTask, event: RunEnded) -> None:
    """Decide about an ended run; afterwards it is over, runs again, or waits for its node."""
    job = turn.state.jobs[one.job_id.lower()]
    turn.command(Disarm(_WALL_CLOCK, event.run_id))
    what, failure = scheduler.judge_job_task(one, _max_retries(one, job), event)
    if what is JobTaskEvent.RETRY:
        with turn.change(one):
            one.retries += 1
            one.last_retry = event.at
        _start(turn, one, job, JobTaskEvent.RETRY)
    elif what is JobTaskEvent.END:
        with turn.change(one):
            if event.exit_code is not None and one.started is None:
                one.started = event.at
            one.finish(event.at, event.exit_code, failure, event.container)
    else:
        with turn.change(one):
            one.happen(JobTaskEvent.LOSE, event.at)
            one.forget_run()
        if one.kind is JobTaskKind.RELEASE:
            _wait_for_node(turn, one, job)
    turn.post(JobTaskOver(one))


def resume(turn: Turn) -> None:
    """After a restart: say again what may not have reached the nodes."""
    state = turn.state
    for one in [one for ones in state.job_tasks.values() for one in ones.values()]:
        job = state.jobs.get(one.job_id.lower())
        if job is None:
            continue  # it was deleted when the last of its nodes was found gone
        if one.node_id not in state.nodes and one.result is None:
            node_gone(turn, one.node_id)
        elif one.state is JobTaskState.RUNNING:
            _send(turn, one, job)
            _watch_wall_clock(turn, one, job)
            if one.ending is not None:
                _end_run(turn, one, one.ending)
        elif one.state is JobTaskState.PENDING and one.kind is JobTaskKind.RELEASE:
            _wait_for_node(turn, one, job)


def _start(turn: Turn, one: JobTask, job: Job, event: JobTaskEvent = JobTaskEvent.START) -> None:
    turn.command(Disarm(_PENDING, f"{one.job_id}/{one.node_id}"))
    with turn.change(one):
        one.forget_run()
        one.run_id = uuid.uuid4().hex
        one.happen(event, turn.now)
    _send(turn, one, job)


def _send(turn: Turn, one: JobTask, job: Job) -> None:
    node = turn.state.nodes[one.node_id]
    pool = turn.state.pools[one.pool_id.lower()]
    spec = turn.specs.job_task(one, job, node, pool)
    if spec.container is not None and pool.containers is None:
        refusal = failures.NO_CONTAINER_POOL
        turn.post(RunEnded(node_id=node.id, run_id=spec.run_id, at=turn.now, failure=refusal))
    else:
        turn.command(StartRun(node.id, spec))


def _end_run(turn: Turn, one: JobTask, ending: Ending) -> None:
    if one.ending is not Ending.TERMINATE:
        with turn.change(one):
            one.ending = ending
    assert one.run_id is not None, "a running task has a run id"
    turn.command(TerminateRun(one.node_id, one.run_id))


def _watch_wall_clock(turn: Turn, one: JobTask, job: Job) -> None:
    seconds = _max_seconds(one, job)
    if seconds is None or one.started is None or one.run_id is None or one.ending is not None:
        return
    when = one.started + timedelta(seconds=seconds)
    turn.command(Arm(_WALL_CLOCK, one.run_id, when, JobTaskOverdue(one.run_id)))


def overdue(turn: Turn, event: JobTaskOverdue) -> None:
    """End a run that is over its wall-clock limit."""
    one = turn.state.job_task_runs.get(event.run_id)
    if one is not None and one.ending is None:
        _end_run(turn, one, Ending.WALL_CLOCK)


# -- records -----------------------------------------------------------------------------------------------------------


def _find(state: AccountState, job: Job, node_id: str, kind: JobTaskKind) -> JobTask | None:
    return state.job_tasks[job.id.lower()].get((node_id, kind))


def _make(turn: Turn, job: Job, kind: JobTaskKind, node_id: str, pool_id: str) -> JobTask:
    definition = job.preparation if kind is JobTaskKind.PREPARATION else job.release
    assert definition is not None, "callers know that the job has this task"
    one = JobTask(
        job_id=job.id,
        kind=kind,
        id=definition["id"],
        node_id=node_id,
        pool_id=pool_id,
        number=turn.state.next_number(),
        since=turn.now,
    )
    turn.add(one)
    return one


def _max_retries(one: JobTask, job: Job) -> int:
    if one.kind is JobTaskKind.RELEASE or job.preparation is None:
        return 0
    return job.preparation["constraints"]["maxTaskRetryCount"]


def _max_seconds(one: JobTask, job: Job) -> float | None:
    if one.kind is JobTaskKind.RELEASE:
        return limit_seconds((job.release or {}).get("maxWallClockTime"))
    return limit_seconds((job.preparation or {}).get("constraints", {}).get("maxWallClockTime"))
