"""Time, owned in one place: services ask the clock, so that a test moves it instead of sleeping.

Owns now and timers; not what happens when they fire.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Timer(Protocol):
    """Something that will happen unless cancelled."""

    def cancel(self) -> None:
        """Do not call back; harmless when it is too late."""
        ...


class Clock(Protocol):
    """What time it is, and calling back later."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        ...

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Timer:
        """Call back at `when`, or as soon as possible when that has passed."""
        ...


class SystemClock:
    """The machine's clock; timers live on the running event loop."""

    def now(self) -> datetime:
        """The machine's time."""
        return datetime.now(UTC)

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Timer:
        """Call back on the running loop."""
        delay = max(0.0, (when - self.now()).total_seconds())
        return asyncio.get_running_loop().call_later(delay, callback)


class _ManualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that stands still until it is moved; callbacks run inside `advance`, in order of time."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"the start {start.isoformat()} has no time zone; give an aware datetime")
        self._now = start.astimezone(UTC)
        self._order = itertools.count()
        self._timers: list[tuple[datetime, int, _ManualTimer]] = []

    def now(self) -> datetime:
        """Where the hands stand."""
        return self._now

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Timer:
        """Remember the callback; one for the past runs with the next `advance`."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def advance(self, by: timedelta) -> None:
        """Move on, running what falls due, also what the callbacks themselves ask for."""
        end = self._now + by
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            if timer.callback is not None:
                timer.callback()
        self._now = end
