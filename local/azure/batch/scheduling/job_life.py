"""The life of jobs: they are made with their auto pool and job manager; terminating, deleting, disabling and enabling
take as long as their tasks need to stop, and terminating and deleting as long as their release tasks run.

What is next for a job is decided in `decisions/job_steps.py`; single tasks are in
`task_runs.py`, who makes jobs by the clock is in `schedules.py`.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from local.azure.batch.decisions import failures, job_steps
from local.azure.batch.decisions.job_steps import JobStep
from local.azure.batch.model import Ending, Job, JobSchedule, Task
from local.azure.batch.model.states import JobEvent, JobState, PoolState
from local.azure.batch.model.task import job_directory, with_defaults
from local.azure.batch.scheduling import assignment, job_tasks, task_runs
from local.azure.batch.scheduling.messages import (
    Arm,
    AutoPoolOver,
    AutoPoolWanted,
    Disarm,
    JobOver,
    JobOverdue,
    JobSettled,
)
from local.azure.batch.scheduling.turn import Turn

_WALL_CLOCK = "job"
_ENDINGS = {"requeue": Ending.REQUEUE, "terminate": Ending.TERMINATE}


def create(turn: Turn, job_id: str, body: dict[str, Any], schedule: JobSchedule | None = None) -> Job:
    """Make a job of a definition that has its defaults: with its auto pool, and its job manager as first task."""
    job = Job(
        id=job_id,
        body=body,
        created=turn.now,
        state_since=turn.now,
        changed=turn.now,
        number=turn.state.next_number(),
        schedule_id=None if schedule is None else schedule.id,
    )
    if job.auto_pool is not None:
        job.auto_pool_id = _auto_pool(turn, job, job.auto_pool, schedule)
    turn.add(job)
    if job.manager is not None:
        turn.add(
            Task(
                id=job.manager["id"],
                job_id=job.id,
                body=_manager_body(job.manager),
                created=turn.now,
                state_since=turn.now,
                changed=turn.now,
                number=turn.state.next_number(),
            )
        )
    watch(turn, job)
    assignment.wake(turn, job.pool_id)
    return job


def _auto_pool(turn: Turn, job: Job, auto_pool: dict[str, Any], schedule: JobSchedule | None) -> str:
    """The id of the pool that is made for the job, or for its schedule, whose later jobs use it as well."""
    shared = schedule if auto_pool["poolLifetimeOption"] == "jobschedule" else None
    if shared is not None and (shared.auto_pool_id or "").lower() in turn.state.pools:
        return shared.auto_pool_id or ""
    prefix = auto_pool.get("autoPoolIdPrefix", "")
    pool_id = f"{prefix}{'_' if prefix else ''}{str(uuid.uuid4()).upper()}"
    owner = f"job/{job.id}" if shared is None else f"jobschedule/{shared.id}"
    turn.post(AutoPoolWanted(pool_id, auto_pool["pool"], owner))
    if shared is not None:
        with turn.change(shared):
            shared.auto_pool_id = pool_id
    return pool_id


def end_auto_pool(turn: Turn, owner: str, pool_id: str | None, auto_pool: dict[str, Any] | None) -> None:
    """What the pool was made for is over: the pool goes too, unless it shall be kept or serves something else."""
    pool = turn.state.pools.get((pool_id or "").lower())
    if pool is None or auto_pool is None or auto_pool["keepAlive"] or pool.state is PoolState.DELETING:
        return
    if (pool.auto_pool_of or "").lower() == owner.lower():
        turn.post(AutoPoolOver(pool.id))


def terminate(turn: Turn, job: Job, reason: str, *, force: bool = False) -> None:
    """Begin to terminate: running tasks are ended, waiting ones stay active (documented). `force`: without waiting for
    the nodes."""
    with turn.change(job):
        job.happen(JobEvent.TERMINATE, turn.now)
        job.terminate_reason = reason
    _end_runs(turn, job, Ending.TERMINATE)
    if force:
        _abandon(turn, job)


def delete(turn: Turn, job: Job, *, force: bool = False) -> None:
    """Begin to delete: running tasks are ended first. `force`: without waiting for the nodes."""
    if job.state is not JobState.DELETING:
        with turn.change(job):
            job.happen(JobEvent.DELETE, turn.now)
        _end_runs(turn, job, Ending.TERMINATE)
    if force:
        _abandon(turn, job)


def disable(turn: Turn, job: Job, option: str) -> None:
    """Begin to disable: running tasks are requeued, terminated or waited for (`disableTasks` of the REST API)."""
    with turn.change(job):
        job.happen(JobEvent.DISABLE, turn.now)
    _end_runs(turn, job, _ENDINGS.get(option))


def enable(turn: Turn, job: Job) -> None:
    """Let its tasks run again."""
    with turn.change(job):
        job.happen(JobEvent.ENABLE, turn.now)
    _end_runs(turn, job, None)


def _end_runs(turn: Turn, job: Job, ending: Ending | None) -> None:
    if ending is not None:
        for task in turn.state.running_tasks(job):
            task_runs.end_run(turn, task, ending)
    turn.post(JobSettled(job))


def _abandon(turn: Turn, job: Job) -> None:
    for task in turn.state.running_tasks(job):
        task_runs.abandon_run(turn, task)
    job_tasks.abandon(turn, job)
    turn.post(JobSettled(job))


def settle(turn: Turn, event: JobSettled) -> None:
    """After something changed: finish what was begun, or end a job whose work is done, or as a task's end asks."""
    job, action = event.job, event.action
    if turn.state.jobs.get(job.id.lower()) is not job:
        return
    unfinished, running = turn.state.unfinished(job), turn.state.running(job)
    step, reason = job_steps.next_step(job, unfinished, running, action, manager_ended=event.manager_ended)
    if step is JobStep.TERMINATE:
        terminate(turn, job, reason)
    elif step is JobStep.DISABLE:
        disable(turn, job, "requeue")  # documented: as the verb with this option
    elif step in (JobStep.GO_ON, JobStep.REST):
        with turn.change(job):
            job.happen(JobEvent.QUIET, turn.now)
        assignment.wake(turn, job.pool_id)
    elif step is JobStep.FINISH and job_tasks.release(turn, job):
        with turn.change(job):
            job.happen(JobEvent.QUIET, turn.now)
            job.ended = turn.now
        _over(turn, job)
    elif step is JobStep.FORGET and job_tasks.release(turn, job):
        nodes = {task.node_id for task in turn.state.tasks(job).values()}
        nodes |= {node_id for node_id, _ in turn.state.job_tasks[job.id.lower()]}
        for node_id in nodes:
            task_runs.erase_files(turn, node_id, job_folder(job.id))
        turn.drop(job)
        _over(turn, job)


def _over(turn: Turn, job: Job) -> None:
    turn.command(Disarm(_WALL_CLOCK, job.id.lower()))
    end_auto_pool(turn, f"job/{job.id}", job.auto_pool_id, job.auto_pool)
    turn.post(JobOver(job))


def updated(turn: Turn, job: Job) -> None:
    """A client changed its definition: take its limits, and end it if there is nothing left to wait for."""
    watch(turn, job)
    turn.post(JobSettled(job))
    assignment.wake(turn, job.pool_id)


def resume(turn: Turn) -> None:
    """After a restart."""
    for job in list(turn.state.jobs.values()):
        watch(turn, job)
        turn.post(JobSettled(job))


def watch(turn: Turn, job: Job) -> None:
    """(Re)arm the job's wall clock; call after it was made or changed."""
    key = job.id.lower()
    if job.max_seconds is None or job.state in (JobState.COMPLETED, JobState.DELETING):
        turn.command(Disarm(_WALL_CLOCK, key))
    else:
        turn.command(Arm(_WALL_CLOCK, key, job.created + timedelta(seconds=job.max_seconds), JobOverdue(key)))


def overdue(turn: Turn, event: JobOverdue) -> None:
    """End a job that is over its wall-clock limit."""
    job = turn.state.jobs.get(event.job_id)
    if job is not None and job.state not in (JobState.TERMINATING, JobState.COMPLETED, JobState.DELETING):
        terminate(turn, job, failures.MAX_WALL_CLOCK)


def _manager_body(manager: dict[str, Any]) -> dict[str, Any]:
    """The definition of the task that a job manager is: what its settings say of the job stays with the job."""
    of_job = ("killJobOnCompletion", "runExclusive", "allowLowPriorityNode")
    return with_defaults({name: value for name, value in manager.items() if name not in of_job}, 0)


def job_folder(job_id: str) -> str:
    """What goes from the nodes with a job: everything of its own; the folder of a schedule stays."""
    return job_directory(job_id) if ":" in job_id else f"workitems/{job_id}"
