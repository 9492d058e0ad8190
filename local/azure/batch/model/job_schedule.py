"""A job schedule, and when it makes its jobs, which is decided by pure functions: times in, decisions out.

Rules (REST reference of `BatchJobScheduleConfiguration`, 2025-06-01): the first job is due at `doNotRunUntil`, or at
once; without a recurrence interval it is the only one. At most one job of a schedule is under way at a time: one that
is due meanwhile is made when the one before is over, if the start window is not over by then; else it is left out. Of
several that fell due at once, only the last counts: nothing is carried into the next interval. After `doNotRunAfter` no
job is made. The schedule is over when no further job can come and none is under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from local.azure.batch.model.durations import parse_duration, parse_stamp, stamp
from local.azure.batch.model.job import shown_specification, with_defaults
from local.azure.batch.model.record import Stamped
from local.azure.batch.model.states import JOB_SCHEDULE, JobScheduleEvent, JobScheduleState


@dataclass(kw_only=True)
class JobSchedule(Stamped):
    """`next_run` is the time of the next job, None when there will be none; `jobs_made` numbers its jobs."""

    number: int
    state: JobScheduleState = JobScheduleState.ACTIVE
    next_run: datetime | None = None
    jobs_made: int = 0
    recent_job: str | None = None
    ended: datetime | None = None
    auto_pool_id: str | None = None  # the pool that all of its jobs share (poolLifetimeOption jobschedule)

    def happen(self, event: JobScheduleEvent, now: datetime) -> None:
        """Go to the next state; IllegalTransition when there is none."""
        JOB_SCHEDULE.advance(self, event, now)

    @property
    def key(self) -> str:
        """How it is found: ids compare without case."""
        return self.id.lower()

    @property
    def recurrence(self) -> Recurrence:
        """When it makes jobs."""
        given = self.body["schedule"]
        return Recurrence(
            until=parse_stamp(given["doNotRunUntil"]) if "doNotRunUntil" in given else None,
            after=parse_stamp(given["doNotRunAfter"]) if "doNotRunAfter" in given else None,
            window=parse_duration(given["startWindow"]) if "startWindow" in given else None,
            interval=parse_duration(given["recurrenceInterval"]) if "recurrenceInterval" in given else None,
        )

    @property
    def specification(self) -> dict[str, Any]:
        """The definition of its jobs, with all defaults."""
        return self.body["jobSpecification"]

    def view(self, base_url: str) -> dict[str, Any]:
        """The job schedule on the wire."""
        execution: dict[str, Any] = {}
        if self.next_run is not None:
            execution["nextRunTime"] = stamp(self.next_run)
        if self.recent_job is not None:
            execution["recentJob"] = {"id": self.recent_job, "url": f"{base_url}/jobs/{self.recent_job}"}
        if self.ended is not None:
            execution["endTime"] = stamp(self.ended)
        return {
            **self.body,
            "jobSpecification": shown_specification(self.specification),
            "url": f"{base_url}/jobschedules/{self.id}",
            "state": self.state.value,
            **self.stamps(),
            "executionInfo": execution,
        }


def schedule_with_defaults(body: dict[str, Any]) -> dict[str, Any]:
    """The definition with what the service fills in: that of its jobs (recorded)."""
    return {**body, "jobSpecification": with_defaults(body["jobSpecification"])}


@dataclass(frozen=True)
class Recurrence:
    """A schedule's four settings; each may be absent."""

    until: datetime | None = None
    after: datetime | None = None
    window: timedelta | None = None
    interval: timedelta | None = None

    def first(self, now: datetime) -> datetime:
        """When the first job of a schedule that is made (or changed) now is due."""
        return max(now, self.until) if self.until is not None else now


@dataclass(frozen=True)
class Decision:
    """`make`: a job is made now. `next_run`: when the next is due. `over`: the schedule is completed."""

    make: bool
    next_run: datetime | None
    over: bool = False


def decide(recurrence: Recurrence, next_run: datetime | None, now: datetime, *, job_is_active: bool) -> Decision:
    """What a schedule that is active does now; `next_run` is what it waited for."""
    if next_run is None or (recurrence.after is not None and now >= recurrence.after):
        return Decision(False, None, over=not job_is_active)
    if now < next_run:
        return Decision(False, next_run)
    due, following = _latest(recurrence, next_run, now)
    in_time = recurrence.window is None or now - due <= recurrence.window
    if in_time and not job_is_active:
        return Decision(True, following)
    if in_time:
        return Decision(False, due)
    return Decision(False, following, over=following is None and not job_is_active)


def wake_at(recurrence: Recurrence, next_run: datetime | None, now: datetime) -> datetime | None:
    """When to decide again though nothing else happens; None: not by the clock."""
    times = [next_run, recurrence.after]
    if next_run is not None and next_run <= now:  # a job is due, and waits for the one before
        times += [next_run + recurrence.interval if recurrence.interval else None]
    future = [time for time in times if time is not None and time > now]
    return min(future, default=None)


def _latest(recurrence: Recurrence, next_run: datetime, now: datetime) -> tuple[datetime, datetime | None]:
    """(the last time until now at which a job fell due, the one after)."""
    if recurrence.interval is None:
        return next_run, None
    due = next_run + (now - next_run) // recurrence.interval * recurrence.interval
    return due, due + recurrence.interval
