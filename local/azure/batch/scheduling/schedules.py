"""Job schedules at work: they make jobs by the clock, and go when they are told to or have nothing left to make.

What is due when is decided in `model/job_schedule.py`; what becomes of a job is in `job_life.py`.
"""

from __future__ import annotations

from local.azure.batch.decisions import failures
from local.azure.batch.model import JobSchedule
from local.azure.batch.model.job_schedule import decide, wake_at
from local.azure.batch.model.states import JobScheduleEvent, JobScheduleState, JobState
from local.azure.batch.scheduling import job_life
from local.azure.batch.scheduling.messages import Arm, Disarm, JobOver, ScheduleSettled
from local.azure.batch.scheduling.turn import Turn

_TIMER = "job schedule"
_ENDED = frozenset({JobState.TERMINATING, JobState.COMPLETED, JobState.DELETING})


def look(turn: Turn, schedule: JobSchedule) -> None:
    """It was made or changed: do what is due when all else is done."""
    turn.look(ScheduleSettled(schedule.key))


def settle(turn: Turn, event: ScheduleSettled) -> None:
    """Do what is due now: make a job, end the schedule, or remove it; and wait for what comes next."""
    schedule = turn.state.schedules.get(event.key)
    if schedule is None:
        return
    turn.command(Disarm(_TIMER, schedule.key))
    jobs = turn.state.jobs_of(schedule)
    active = [job for job in jobs if job.state is not JobState.COMPLETED]
    if schedule.state is JobScheduleState.ACTIVE:
        _make_what_is_due(turn, schedule, job_is_active=bool(active))
    elif schedule.state is JobScheduleState.TERMINATING and not active:
        _complete(turn, schedule)
    elif schedule.state is JobScheduleState.DELETING and not jobs:
        _end_auto_pool(turn, schedule)
        turn.drop(schedule)


def _make_what_is_due(turn: Turn, schedule: JobSchedule, *, job_is_active: bool) -> None:
    recurrence = schedule.recurrence
    decision = decide(recurrence, schedule.next_run, turn.now, job_is_active=job_is_active)
    with turn.change(schedule):
        schedule.next_run = decision.next_run
        if decision.make:
            schedule.jobs_made += 1
            schedule.recent_job = f"{schedule.id}:job-{schedule.jobs_made}"
    if decision.make:
        job_life.create(turn, schedule.recent_job or "", schedule.specification, schedule)
    if decision.over:
        _complete(turn, schedule)
        return
    when = wake_at(recurrence, schedule.next_run, turn.now)
    if when is not None:
        turn.command(Arm(_TIMER, schedule.key, when, ScheduleSettled(schedule.key)))


def terminate(turn: Turn, schedule: JobSchedule, *, force: bool = False) -> None:
    """End its job, then itself."""
    with turn.change(schedule):
        schedule.happen(JobScheduleEvent.TERMINATE, turn.now)
    _terminate_jobs(turn, schedule, force=force)
    look(turn, schedule)


def _terminate_jobs(turn: Turn, schedule: JobSchedule, *, force: bool = False) -> None:
    for job in turn.state.jobs_of(schedule):
        if job.state not in _ENDED:
            job_life.terminate(turn, job, failures.SCHEDULE_TERMINATED, force=force)


def delete(turn: Turn, schedule: JobSchedule, *, force: bool = False) -> None:
    """Delete its jobs, then itself."""
    if schedule.state is not JobScheduleState.DELETING:
        with turn.change(schedule):
            schedule.happen(JobScheduleEvent.DELETE, turn.now)
    for job in turn.state.jobs_of(schedule):
        job_life.delete(turn, job, force=force)
    look(turn, schedule)


def change_state(turn: Turn, schedule: JobSchedule, event: JobScheduleEvent) -> None:
    """Disable (it makes no job), or enable again: a job that fell due meanwhile is made now, if its start window is
    not over."""
    with turn.change(schedule):
        schedule.happen(event, turn.now)
    look(turn, schedule)


def resume(turn: Turn) -> None:
    """After a restart."""
    for schedule in list(turn.state.schedules.values()):
        if schedule.state is JobScheduleState.DELETING:
            delete(turn, schedule)
        elif schedule.state is JobScheduleState.TERMINATING:
            _terminate_jobs(turn, schedule)
        look(turn, schedule)


def _complete(turn: Turn, schedule: JobSchedule) -> None:
    with turn.change(schedule):
        schedule.happen(JobScheduleEvent.OVER, turn.now)
        schedule.ended = turn.now
        schedule.next_run = None
    _end_auto_pool(turn, schedule)


def _end_auto_pool(turn: Turn, schedule: JobSchedule) -> None:
    auto_pool = schedule.specification["poolInfo"].get("autoPoolSpecification")
    job_life.end_auto_pool(turn, f"jobschedule/{schedule.id}", schedule.auto_pool_id, auto_pool)


def job_over(turn: Turn, event: JobOver) -> None:
    """A job is over: perhaps the next is due, or the schedule waited for it."""
    if event.job.schedule_id is not None:
        turn.look(ScheduleSettled(event.job.schedule_id.lower()))
