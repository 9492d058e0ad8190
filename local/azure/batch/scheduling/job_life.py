"""The life of jobs: they are made with their auto pool and job manager; terminating, deleting, disabling and enabling
take as long as their tasks need to stop, and terminating and deleting as long as their release tasks run.

Owns what happens to a job as a whole; single tasks and nodes are the dispatcher's, who makes jobs by the clock is in
`schedules.py`.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from local.azure.batch.decisions import failures, scheduler
from local.azure.batch.decisions.scheduler import JobStep
from local.azure.batch.model import Ending, Job, JobSchedule, Task
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.states import JobEvent, JobState, PoolState
from local.azure.batch.model.task import job_directory, with_defaults
from local.azure.batch.scheduling.dispatcher import Dispatcher
from local.azure.batch.scheduling.events import AutoPoolOver, AutoPoolWanted, JobOver, JobSettled
from local.azure.batch.scheduling.job_tasks import JobTasks
from local.azure.batch.scheduling.loop import Loop
from local.azure.batch.scheduling.orders import Orders
from local.azure.batch.scheduling.timers import Timers
from local.azure.platform.clock import Clock


class JobLife:
    """One account's jobs."""

    def __init__(
        self, state: AccountState, clock: Clock, loop: Loop, timers: Timers, orders: Orders, job_tasks: JobTasks,
        dispatcher: Dispatcher,
    ) -> None:  # fmt: skip
        self._state, self._clock, self._loop, self._timers = state, clock, loop, timers
        self._orders, self._job_tasks, self._dispatcher = orders, job_tasks, dispatcher

    def create(self, job_id: str, body: dict[str, Any], schedule: JobSchedule | None = None) -> Job:
        """Make a job of a definition that has its defaults: with its auto pool, and its job manager as first task."""
        now = self._clock.now()
        with self._loop.turn():
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
            self._dispatcher.wake(job.pool_id)
        return job

    def _auto_pool(self, job: Job, auto_pool: dict[str, Any], schedule: JobSchedule | None) -> str:
        """The id of the pool made for the job; all jobs of a schedule share one whose lifetime is the schedule's."""
        shared = schedule is not None and auto_pool["poolLifetimeOption"] == "jobschedule"
        if schedule is not None and shared and (schedule.auto_pool_id or "").lower() in self._state.pools:
            return schedule.auto_pool_id or ""
        prefix = auto_pool.get("autoPoolIdPrefix", "")
        pool_id = f"{prefix}{'_' if prefix else ''}{str(uuid.uuid4()).upper()}"
        owner = f"jobschedule/{schedule.id}" if schedule is not None and shared else f"job/{job.id}"
        self._loop.post(AutoPoolWanted(pool_id, auto_pool["pool"], owner))
        if schedule is not None and shared:
            schedule.auto_pool_id = pool_id
            self._state.save(schedule)
        return pool_id

    def end_auto_pool(self, owner: str, pool_id: str | None, auto_pool: dict[str, Any] | None) -> None:
        """What the pool was made for is over: the pool goes too, unless it shall be kept or serves something else."""
        pool = self._state.pools.get((pool_id or "").lower())
        if pool is None or auto_pool is None or auto_pool["keepAlive"] or pool.state is PoolState.DELETING:
            return
        if (pool.auto_pool_of or "").lower() == owner.lower():
            self._loop.post(AutoPoolOver(pool.id))

    def terminate(self, job: Job, reason: str, *, force: bool = False) -> None:
        """Begin to terminate: running tasks are ended, waiting ones stay active (documented). `force`: without waiting
        for the nodes."""
        with self._loop.turn():
            job.happen(JobEvent.TERMINATE, self._clock.now())
            job.terminate_reason = reason
            self._quieten(job, Ending.TERMINATE)
            if force:
                self._abandon(job)

    def delete(self, job: Job, *, force: bool = False) -> None:
        """Begin to delete: running tasks are ended first. `force`: without waiting for the nodes."""
        with self._loop.turn():
            if job.state is not JobState.DELETING:
                job.happen(JobEvent.DELETE, self._clock.now())
                self._quieten(job, Ending.TERMINATE)
            if force:
                self._abandon(job)

    def _abandon(self, job: Job) -> None:
        for task in self._state.running_tasks(job):
            self._dispatcher.abandon_run(task)
        self._job_tasks.give_up(job)
        self._loop.post(JobSettled(job))

    def disable(self, job: Job, option: str) -> None:
        """Begin to disable: running tasks are requeued, terminated or waited for."""
        with self._loop.turn():
            job.happen(JobEvent.DISABLE, self._clock.now())
            ending = {"requeue": Ending.REQUEUE, "terminate": Ending.TERMINATE}.get(option)
            self._quieten(job, ending)

    def enable(self, job: Job) -> None:
        """Let its tasks run again."""
        with self._loop.turn():
            job.happen(JobEvent.ENABLE, self._clock.now())
            self._quieten(job, None)

    def _quieten(self, job: Job, ending: Ending | None) -> None:
        self._state.save(job)
        if ending is not None:
            for task in self._state.running_tasks(job):
                self._dispatcher.end_run(task, ending)
        self._loop.post(JobSettled(job))

    def settle(self, event: JobSettled) -> None:
        """After something changed: finish what was begun, or end a job whose work is done, or as a task's end asks."""
        job, action = event.job, event.action
        if self._state.jobs.get(job.id.lower()) is not job:
            return
        reason = scheduler.job_end(job, self._state.unfinished(job), action, manager_ended=event.manager_ended)
        step = scheduler.job_step(job, self._state.running(job), reason, action)
        if step is JobStep.TERMINATE:
            self.terminate(job, reason or "")
        elif step is JobStep.DISABLE:
            self.disable(job, "requeue")  # documented: as the verb with this option
        elif step in (JobStep.GO_ON, JobStep.REST):
            job.happen(JobEvent.QUIET, self._clock.now())
            self._state.save(job)
            self._dispatcher.wake(job.pool_id)
        elif step is JobStep.FINISH and self._job_tasks.is_released(job):
            job.happen(JobEvent.QUIET, self._clock.now())
            job.ended = self._clock.now()
            self._state.save(job)
            self._over(job)
        elif step is JobStep.FORGET and self._job_tasks.is_released(job):
            nodes = {task.node_id for task in self._state.tasks(job).values()}
            nodes |= {node_id for node_id, _ in self._state.job_tasks[job.id.lower()]}
            self._orders.erase_files(nodes, job_folder(job.id))
            self._state.drop(job)
            self._over(job)

    def _over(self, job: Job) -> None:
        self._timers.cancel("job", job.id.lower())
        self.end_auto_pool(f"job/{job.id}", job.auto_pool_id, job.auto_pool)
        self._loop.post(JobOver(job))

    def update(self, job: Job) -> None:
        """A client changed its definition: take its limits, and end it if there is nothing left to wait for."""
        with self._loop.turn():
            self._state.save(job)
            self.watch(job)
            self._loop.post(JobSettled(job))
            self._dispatcher.wake(job.pool_id)

    def resume(self) -> None:
        """After a restart."""
        for job in list(self._state.jobs.values()):
            self.watch(job)
            self._loop.post(JobSettled(job))

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
