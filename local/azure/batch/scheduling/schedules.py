"""Job schedules at work: they make jobs by the clock, and go when they are told to or have nothing left to make.

What is due when is decided in `model/recurrence.py`; what becomes of a job is `job_life.py`'s.
"""

from __future__ import annotations

from datetime import datetime

from local.azure.batch.decisions import failures
from local.azure.batch.model import JobSchedule
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.recurrence import decide, wake_at
from local.azure.batch.model.states import JobScheduleEvent, JobScheduleState, JobState
from local.azure.batch.scheduling.events import JobOver, ScheduleSettled
from local.azure.batch.scheduling.job_life import JobLife
from local.azure.batch.scheduling.loop import Loop
from local.azure.batch.scheduling.timers import Timers
from local.azure.platform.clock import Clock

_TIMER = "job schedule"
_OVER = frozenset({JobState.COMPLETED})


class Schedules:
    """One account's."""

    def __init__(self, state: AccountState, clock: Clock, loop: Loop, timers: Timers, jobs: JobLife) -> None:
        self._state, self._clock, self._loop, self._timers, self._jobs = state, clock, loop, timers, jobs

    def update(self, schedule: JobSchedule) -> None:
        """A client made or changed it."""
        with self._loop.turn():
            self._state.save(schedule)
            self._soon(schedule)

    def settle(self, event: ScheduleSettled) -> None:
        """Do what is due now: make a job, end the schedule, or remove it; and wait for what comes next."""
        schedule = self._state.schedules.get(event.key)
        if schedule is None:
            return
        self._timers.cancel(_TIMER, schedule.key)
        jobs = self._state.jobs_of(schedule)
        active = [job for job in jobs if job.state not in _OVER]
        if schedule.state is JobScheduleState.ACTIVE:
            self._make_what_is_due(schedule, job_is_active=bool(active))
        elif schedule.state is JobScheduleState.TERMINATING and not active:
            self._complete(schedule, self._clock.now())
        elif schedule.state is JobScheduleState.DELETING and not jobs:
            self._end_auto_pool(schedule)
            self._state.drop(schedule)

    def _make_what_is_due(self, schedule: JobSchedule, *, job_is_active: bool) -> None:
        now, recurrence = self._clock.now(), schedule.recurrence
        decision = decide(recurrence, schedule.next_run, now, job_is_active=job_is_active)
        schedule.next_run = decision.next_run
        if decision.make:
            schedule.jobs_made += 1
            schedule.recent_job = f"{schedule.id}:job-{schedule.jobs_made}"
        self._state.save(schedule)
        if decision.make:
            self._jobs.create(schedule.recent_job or "", schedule.specification, schedule)
        if decision.over:
            self._complete(schedule, now)
            return
        when = wake_at(recurrence, schedule.next_run, now)
        if when is not None:
            self._timers.arm(_TIMER, schedule.key, when, lambda: self._soon(schedule))

    def terminate(self, schedule: JobSchedule, *, force: bool = False) -> None:
        """End its job, then itself."""
        with self._loop.turn():
            schedule.happen(JobScheduleEvent.TERMINATE, self._clock.now())
            self._state.save(schedule)
            for job in self._state.jobs_of(schedule):
                if job.state not in (JobState.TERMINATING, JobState.COMPLETED, JobState.DELETING):
                    self._jobs.terminate(job, failures.SCHEDULE_TERMINATED, force=force)
            self._soon(schedule)

    def delete(self, schedule: JobSchedule, *, force: bool = False) -> None:
        """Delete its jobs, then itself."""
        with self._loop.turn():
            if schedule.state is not JobScheduleState.DELETING:
                schedule.happen(JobScheduleEvent.DELETE, self._clock.now())
                self._state.save(schedule)
            for job in self._state.jobs_of(schedule):
                self._jobs.delete(job, force=force)
            self._soon(schedule)

    def change_state(self, schedule: JobSchedule, event: JobScheduleEvent) -> None:
        """Disable (it makes no job), or enable again: a job that fell due meanwhile is made now, if its start window
        is not over."""
        with self._loop.turn():
            schedule.happen(event, self._clock.now())
            self._state.save(schedule)
            self._soon(schedule)

    def resume(self) -> None:
        """After a restart."""
        for schedule in list(self._state.schedules.values()):
            if schedule.state is JobScheduleState.DELETING:
                for job in self._state.jobs_of(schedule):
                    self._jobs.delete(job)
            elif schedule.state is JobScheduleState.TERMINATING:
                for job in self._state.jobs_of(schedule):
                    if job.state not in (JobState.TERMINATING, JobState.COMPLETED, JobState.DELETING):
                        self._jobs.terminate(job, failures.SCHEDULE_TERMINATED)
            self._soon(schedule)

    def _complete(self, schedule: JobSchedule, now: datetime) -> None:
        schedule.happen(JobScheduleEvent.OVER, now)
        schedule.ended, schedule.next_run = now, None
        self._state.save(schedule)
        self._end_auto_pool(schedule)

    def _end_auto_pool(self, schedule: JobSchedule) -> None:
        auto_pool = schedule.specification["poolInfo"].get("autoPoolSpecification")
        self._jobs.end_auto_pool(f"jobschedule/{schedule.id}", schedule.auto_pool_id, auto_pool)

    def job_over(self, event: JobOver) -> None:
        """A job is over: perhaps the next is due, or the schedule waited for it."""
        if event.job.schedule_id is not None:
            self._loop.post_late(ScheduleSettled(event.job.schedule_id.lower()))

    def _soon(self, schedule: JobSchedule) -> None:
        self._loop.post_late(ScheduleSettled(schedule.key))
