"""When a job schedule makes its jobs. Pure: times in, decisions out.

Rules (REST reference of `BatchJobScheduleConfiguration`, 2025-06-01): the first job is due at `doNotRunUntil`, or at
once; without a recurrence interval it is the only one. At most one job of a schedule is under way at a time: one that
is due meanwhile is made when the one before is over, if the start window is not over by then; else it is left out. Of
several that fell due at once, only the last counts: nothing is carried into the next interval. After `doNotRunAfter` no
job is made. The schedule is over when no further job can come and none is under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


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
