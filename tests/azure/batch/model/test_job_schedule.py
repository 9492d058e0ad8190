"""When a schedule makes its jobs: decisions only, no clock runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.azure.batch.model.job_schedule import Decision, Recurrence, decide, wake_at

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def every(minutes: float, window: float | None = None, after: float | None = None) -> Recurrence:
    return Recurrence(
        interval=timedelta(minutes=minutes),
        window=None if window is None else timedelta(minutes=window),
        after=None if after is None else at(after),
    )


@pytest.mark.parametrize(
    ("recurrence", "next_run", "now", "active", "decision"),
    [
        (Recurrence(), at(0), at(0), False, Decision(True, None)),
        (Recurrence(), None, at(0), True, Decision(False, None)),
        (Recurrence(), None, at(0), False, Decision(False, None, over=True)),
        (Recurrence(window=timedelta(minutes=1)), at(0), at(2), False, Decision(False, None, over=True)),
        (every(10), at(10), at(9), False, Decision(False, at(10))),
        (every(10), at(10), at(10), False, Decision(True, at(20))),
        (every(10), at(10), at(12), True, Decision(False, at(10))),  # waits for the one before
        (every(10), at(10), at(12), False, Decision(True, at(20))),  # which is over now
        (every(10, window=1), at(10), at(12), False, Decision(False, at(20))),  # too late: left out
        (every(10), at(10), at(45), False, Decision(True, at(50))),  # only the last of those that fell due
        (every(10, after=20), at(20), at(20), False, Decision(False, None, over=True)),
        (every(10, after=20), at(20), at(25), True, Decision(False, None)),
    ],
)
def test_what_a_schedule_does_at_a_moment(
    recurrence: Recurrence, next_run: datetime | None, now: datetime, active: bool, decision: Decision
) -> None:
    assert decide(recurrence, next_run, now, job_is_active=active) == decision


def test_the_first_job_is_due_at_once_or_when_it_may_run() -> None:
    assert Recurrence().first(at(3)) == Recurrence(until=at(1)).first(at(3)) == at(3)
    assert Recurrence(until=at(5)).first(at(3)) == at(5)


@given(st.integers(1, 500), st.integers(0, 2000), st.integers(0, 2000), st.booleans())
def test_a_recurring_schedule_keeps_its_rhythm_and_never_waits_for_the_past(
    interval: int, first: int, passed: int, active: bool
) -> None:
    decision = decide(every(interval), at(first), at(first + passed), job_is_active=active)
    assert (
        decision.next_run is not None and (decision.next_run - at(first)) % timedelta(minutes=interval) == timedelta()
    )
    assert decision.make is not active
    wake = wake_at(every(interval), decision.next_run, at(first + passed))
    assert wake is not None and at(first + passed) < wake <= at(first + passed + interval)
