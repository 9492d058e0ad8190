"""The life of jobs: they are made with their auto pool and job manager; terminating, deleting, disabling and enabling
take as long as their tasks need to stop, and terminating and deleting as long as their release tasks run.

Owns what happens to a job as a whole, and how long the files of its tasks are kept; single tasks and nodes are the
dispatcher's, who makes jobs by the clock is in `schedules.py`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Protocol

from local.azure.batch.model import Ending, Job, JobSchedule, Pool, Task
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.states import JobEvent, JobState, PoolState, TaskState
from local.azure.batch.model.task import job_directory, with_defaults
from local.azure.batch.scheduling import failures, scheduler
from local.azure.batch.scheduling.exit_conditions import JobAction
from local.azure.batch.scheduling.timers import Timers
from local.azure.platform.clock import Clock

_WATCHED_SECONDS = timedelta(days=7).total_seconds()
_RETENTION = "retention"


class TaskControl(Protocol):
    """What the dispatcher does for a job: with its runs, its pool and its files."""

    def end_run(self, task: Task, ending: Ending) -> None:
        """Have a running task stopped."""
        ...

    def abandon_run(self, task: Task) -> None:
        """Have a running task stopped, and count it as ended at once."""
        ...

    def wake(self, pool_id: str) -> None:
        """Look for work for a pool's nodes."""
        ...

    def is_released(self, job: Job) -> bool:
        """Have an ended job's release task run where it must; whether that is over."""
        ...

    def give_up_release(self, job: Job) -> None:
        """Wait no longer for an ended job's preparation and release tasks."""
        ...

    def erase_files(self, node_ids: Iterable[str | None], directory: str) -> None:
        """Remove a job's folder from the nodes that had it."""
        ...


class PoolControl(Protocol):
    """What the allocation does for a job: its auto pool."""

    def make_auto_pool(self, pool_id: str, specification: dict[str, Any], owner: str) -> Pool:
        """Make a pool by the specification of a job."""
        ...

    def delete(self, pool: Pool) -> object:
        """Remove it with its nodes."""
        ...


class JobLife:
    """One account's jobs."""

    def __init__(self, state: AccountState, clock: Clock, timers: Timers, tasks: TaskControl) -> None:
        self._state, self._clock, self._timers, self._tasks = state, clock, timers, tasks
        self.pools: PoolControl | None = None
        self.on_job_over: Callable[[Job], None] = lambda job: None

    def create(self, job_id: str, body: dict[str, Any], schedule: JobSchedule | None = None) -> Job:
        """Make a job of a definition that has its defaults: with its auto pool, and its job manager as first task."""
        now = self._clock.now()
        with self._state.store.transaction():
            job = Job(
                id=job_id, body=body, created=now, state_since=now, changed=now, number=self._state.next_number(),
                schedule_id=None if schedule is None else schedule.id,
            )  # fmt: skip
            if job.auto_pool is not None:
                job.auto_pool_id = self._auto_pool(job, job.auto_pool, schedule)
            self._state.save(job)
            if job.manager is not None:
                task = Task(
                    id=job.manager["id"], job_id=job.id, body=_manager_body(job.manager), created=now, state_since=now,
                    changed=now, number=self._state.next_number(),
                )  # fmt: skip
                self._state.save(task)
        self.watch(job)
        self._tasks.wake(job.pool_id)
        return job

    def _auto_pool(self, job: Job, auto_pool: dict[str, Any], schedule: JobSchedule | None) -> str:
        """The id of the pool made for the job; all jobs of a schedule share one whose lifetime is the schedule's."""
        assert self.pools is not None, "the account sets it"
        shared = schedule is not None and auto_pool["poolLifetimeOption"] == "jobschedule"
        if schedule is not None and shared and (schedule.auto_pool_id or "").lower() in self._state.pools:
            return schedule.auto_pool_id or ""
        prefix = auto_pool.get("autoPoolIdPrefix", "")
        pool_id = f"{prefix}{'_' if prefix else ''}{str(uuid.uuid4()).upper()}"
        owner = f"jobschedule/{schedule.id}" if schedule is not None and shared else f"job/{job.id}"
        self.pools.make_auto_pool(pool_id, auto_pool["pool"], owner)
        if schedule is not None and shared:
            schedule.auto_pool_id = pool_id
            self._state.save(schedule)
        return pool_id

    def end_auto_pool(self, owner: str, pool_id: str | None, auto_pool: dict[str, Any] | None) -> None:
        """What the pool was made for is over: the pool goes too, unless it shall be kept or serves something else."""
        pool = self._state.pools.get((pool_id or "").lower())
        if pool is None or auto_pool is None or auto_pool["keepAlive"] or pool.state is PoolState.DELETING:
            return
        if self.pools is not None and (pool.auto_pool_of or "").lower() == owner.lower():
            self.pools.delete(pool)

    def terminate(self, job: Job, reason: str, *, force: bool = False) -> None:
        """Begin to terminate: running tasks are ended, waiting ones stay active (documented). `force`: without waiting
        for the nodes."""
        job.happen(JobEvent.TERMINATE, self._clock.now())
        job.terminate_reason = reason
        self._quieten(job, Ending.TERMINATE)
        if force:
            self._abandon(job)

    def delete(self, job: Job, *, force: bool = False) -> None:
        """Begin to delete: running tasks are ended first. `force`: without waiting for the nodes."""
        if job.state is not JobState.DELETING:
            job.happen(JobEvent.DELETE, self._clock.now())
            self._quieten(job, Ending.TERMINATE)
        if force:
            self._abandon(job)

    def _abandon(self, job: Job) -> None:
        for task in [task for task in self._state.tasks(job).values() if task.on_node]:
            self._tasks.abandon_run(task)
        self._tasks.give_up_release(job)

    def disable(self, job: Job, option: str) -> None:
        """Begin to disable: running tasks are requeued, terminated or waited for."""
        job.happen(JobEvent.DISABLE, self._clock.now())
        ending = {"requeue": Ending.REQUEUE, "terminate": Ending.TERMINATE}.get(option)
        self._quieten(job, ending)

    def enable(self, job: Job) -> None:
        """Let its tasks run again."""
        job.happen(JobEvent.ENABLE, self._clock.now())
        self._quieten(job, None)

    def _quieten(self, job: Job, ending: Ending | None) -> None:
        with self._state.store.transaction():
            self._state.save(job)
            if ending is not None:
                for task in [task for task in self._state.tasks(job).values() if task.on_node]:
                    self._tasks.end_run(task, ending)
        asyncio.get_running_loop().call_soon(self.settle, job)

    def settle(self, job: Job, action: JobAction = JobAction.NONE, *, manager_ended: bool = False) -> None:
        """After something changed: finish what was begun, or end a job whose work is done, or as a task's end asks."""
        if self._state.jobs.get(job.id.lower()) is not job:
            return
        now = self._clock.now()
        reason = scheduler.job_end(job, self._state.unfinished(job), action, manager_ended=manager_ended)
        if reason is not None:
            self.terminate(job, reason)
            return
        if action is JobAction.DISABLE and job.performs_exit_options and job.state is JobState.ACTIVE:
            self.disable(job, "requeue")  # documented: as the verb with this option
            return
        if job.state is JobState.ENABLING:
            job.happen(JobEvent.QUIET, now)
            self._state.save(job)
            self._tasks.wake(job.pool_id)
        if self._state.running(job):
            return
        if job.state is JobState.DELETING and self._tasks.is_released(job):
            self._timers.cancel("job", job.id.lower())
            nodes = {task.node_id for task in self._state.tasks(job).values()}
            nodes |= {node_id for node_id, _ in self._state.job_tasks[job.id.lower()]}
            self._tasks.erase_files(nodes, job_folder(job.id))
            self._state.drop(job)
            self._over(job)
        elif job.state is JobState.DISABLING or (job.state is JobState.TERMINATING and self._tasks.is_released(job)):
            job.happen(JobEvent.QUIET, now)
            if job.state is JobState.COMPLETED:
                job.ended = now
                self._timers.cancel("job", job.id.lower())
            self._state.save(job)
            if job.state is JobState.COMPLETED:
                self._over(job)

    def _over(self, job: Job) -> None:
        self.end_auto_pool(f"job/{job.id}", job.auto_pool_id, job.auto_pool)
        self.on_job_over(job)

    def watch(self, job: Job) -> None:
        """(Re)arm the job's wall clock; call after it was made or changed."""
        self._timers.cancel("job", job.id.lower())
        if job.max_seconds is not None and job.state not in (JobState.COMPLETED, JobState.DELETING):
            when = job.created + timedelta(seconds=job.max_seconds)
            self._timers.arm("job", job.id.lower(), when, lambda: self._overdue(job))

    def _overdue(self, job: Job) -> None:
        current = self._state.jobs.get(job.id.lower())
        if current is job and job.state not in (JobState.TERMINATING, JobState.COMPLETED, JobState.DELETING):
            self.terminate(job, failures.MAX_WALL_CLOCK)


def _manager_body(manager: dict[str, Any]) -> dict[str, Any]:
    """The definition of the task that a job manager is: what its settings say of the job stays with the job."""
    of_job = ("killJobOnCompletion", "runExclusive", "allowLowPriorityNode")
    return with_defaults({name: value for name, value in manager.items() if name not in of_job}, 0)


def job_folder(job_id: str) -> str:
    """What goes from the nodes with a job: everything of its own; the folder of a schedule stays."""
    return job_directory(job_id) if ":" in job_id else f"workitems/{job_id}"


class Retention:
    """`retentionTime`: the folder of a completed task goes from its node when that is over (REST reference).

    The default of seven days is not watched: a node that is kept so long keeps its files until the job is deleted.
    """

    def __init__(
        self, state: AccountState, clock: Clock, timers: Timers, erase: Callable[[Iterable[str | None], str], None]
    ) -> None:
        self._state, self._clock, self._timers, self._erase = state, clock, timers, erase

    def watch(self, task: Task) -> None:
        """A task is completed, or its constraints changed: its files go when their time is over."""
        name = f"{task.job_id.lower()}/{task.key}"
        self._timers.cancel(_RETENTION, name)
        seconds = task.retention_seconds
        if task.ended is None or task.node_id is None or seconds is None or seconds >= _WATCHED_SECONDS:
            return
        when, run_id = task.ended + timedelta(seconds=seconds), task.run_id
        self._timers.arm(_RETENTION, name, when, lambda: self._over(task, run_id))

    def resume(self) -> None:
        """After a restart."""
        for task in self._state.all_tasks():
            if task.state is TaskState.COMPLETED:
                self.watch(task)

    def _over(self, task: Task, run_id: str | None) -> None:
        job = self._state.jobs.get(task.job_id.lower())
        if job is None or self._state.tasks(job).get(task.key) is not task:
            return
        if task.state is TaskState.COMPLETED and task.run_id == run_id:
            self._erase([task.node_id], task.directory)
