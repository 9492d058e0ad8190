"""The life of jobs: terminating, deleting, disabling and enabling take as long as their tasks need to stop, and
terminating and deleting as long as their release tasks run.

Owns what happens to a job as a whole; single tasks and nodes are the dispatcher's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from local.azure.batch.model import Ending, Job, Task
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.states import JobEvent, JobState
from local.azure.batch.scheduling import failures, scheduler
from local.azure.batch.scheduling.exit_conditions import JobAction
from local.azure.batch.scheduling.timers import Timers
from local.azure.platform.clock import Clock


class TaskControl(Protocol):
    """What the dispatcher does for a job: with its runs, its pool and its files."""

    def end_run(self, task: Task, ending: Ending) -> None:
        """Have a running task stopped."""
        ...

    def wake(self, pool_id: str) -> None:
        """Look for work for a pool's nodes."""
        ...

    def is_released(self, job: Job) -> bool:
        """Have an ended job's release task run where it must; whether that is over."""
        ...

    def erase_files(self, node_ids: Iterable[str | None], directory: str) -> None:
        """Remove a job's folder from the nodes that had it."""
        ...


class JobLife:
    """One account's jobs."""

    def __init__(self, state: AccountState, clock: Clock, timers: Timers, tasks: TaskControl) -> None:
        self._state, self._clock, self._timers, self._tasks = state, clock, timers, tasks

    def terminate(self, job: Job, reason: str) -> None:
        """Begin to terminate: running tasks are ended, waiting ones stay active (documented)."""
        job.happen(JobEvent.TERMINATE, self._clock.now())
        job.terminate_reason = reason
        self._quieten(job, Ending.TERMINATE)

    def delete(self, job: Job) -> None:
        """Begin to delete: running tasks are ended first."""
        job.happen(JobEvent.DELETE, self._clock.now())
        self._quieten(job, Ending.TERMINATE)

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

    def settle(self, job: Job, action: JobAction = JobAction.NONE) -> None:
        """After something changed: finish what was begun, or end a job whose work is done, or as a task's end asks."""
        if self._state.jobs.get(job.id.lower()) is not job:
            return
        now = self._clock.now()
        reason = scheduler.job_end(job, self._state.unfinished(job), action)
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
            self._tasks.erase_files(nodes, f"workitems/{job.id}")
            self._state.drop(job)
        elif job.state is JobState.DISABLING or (job.state is JobState.TERMINATING and self._tasks.is_released(job)):
            job.happen(JobEvent.QUIET, now)
            if job.state is JobState.COMPLETED:
                job.ended = now
                self._timers.cancel("job", job.id.lower())
            self._state.save(job)

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
