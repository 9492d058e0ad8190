"""Time, owned in one place: services ask the clock, so that a test moves it instead of sleeping.

Owns now and timers; not what happens when they fire. The running local Azure has a clock that can be moved ahead
(`python -m local clock`): schedules, retention and autoscaling then happen at once. Tokens and signatures do not move
with it, because clients compare them with the machine's clock.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from local.paths import Paths, write_private


class Timer(Protocol):
    """Something that will happen unless cancelled."""

    def cancel(self) -> None:
        """Do not call back; harmless when it is too late."""
        ...


class Clock(Protocol):
    """What time it is, and calling back later."""

    @property
    def offset(self) -> timedelta:
        """How far it was moved ahead of the clock that clients have."""
        ...

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        ...

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Timer:
        """Call back at `when`, or as soon as possible when that has passed."""
        ...


def clients_now(clock: Clock) -> datetime:
    """The time by which tokens and signatures are judged."""
    return clock.now() - clock.offset


class SystemClock:
    """The machine's clock; timers live on the running event loop."""

    offset = timedelta(0)

    def now(self) -> datetime:
        """The machine's time."""
        return datetime.now(UTC)

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Timer:
        """Call back on the running loop."""
        delay = max(0.0, (when - self.now()).total_seconds())
        return asyncio.get_running_loop().call_later(delay, callback)


class _MovableTimer:
    def __init__(self, when: datetime, callback: Callable[[], None], clock: MovableClock) -> None:
        self._when = when
        self._callback = callback
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self.arm()

    def arm(self) -> None:
        delay = max(0.0, (self._when - self._clock.now()).total_seconds())
        self._handle = self._loop.call_later(delay, self._fire)

    def arm_again(self) -> None:
        """From another thread: count from the time that it is now."""
        self._loop.call_soon_threadsafe(self._arm_again)

    def cancel(self) -> None:
        self._handle.cancel()
        self._clock.forget(self)

    def _arm_again(self) -> None:
        if not self._handle.cancelled():
            self._handle.cancel()
            self.arm()

    def _fire(self) -> None:
        self._clock.forget(self)
        self._callback()


class MovableClock:
    """The machine's clock, and what it was moved ahead by; that is kept on disk, because state has its times."""

    def __init__(self, paths: Paths) -> None:
        self._file = paths.state / "clock.json"
        kept = json.loads(self._file.read_text())["seconds"] if self._file.exists() else 0.0
        self.offset = timedelta(seconds=kept)
        self._timers: set[_MovableTimer] = set()

    def now(self) -> datetime:
        """The machine's time, moved."""
        return datetime.now(UTC) + self.offset

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Timer:
        """Call back on the running loop."""
        timer = _MovableTimer(when, callback, self)
        self._timers.add(timer)
        return timer

    def forget(self, timer: _MovableTimer) -> None:
        self._timers.discard(timer)

    def move(self, by: timedelta) -> None:
        """Move ahead, from any thread; timers that fall due fire at once. Time never goes back: ValueError."""
        if by < timedelta(0):
            raise ValueError(f"time does not go back: {by.total_seconds():g} seconds")
        self.offset += by
        write_private(self._file, json.dumps({"seconds": self.offset.total_seconds()}).encode())
        for timer in self._timers.copy():
            timer.arm_again()


class _ManualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that stands still until it is moved; callbacks run inside `advance`, in order of time."""

    offset = timedelta(0)

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"the start {start.isoformat()} has no time zone; give an aware datetime")
        self._now = start.astimezone(UTC)
        self._order = itertools.count()
        self._timers: list[tuple[datetime, int, _ManualTimer]] = []

    def now(self) -> datetime:
        """The time that `advance` has reached."""
        return self._now

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Timer:
        """Call back once `advance` reaches `when`; a time in the past is due with the next `advance`."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def advance(self, by: timedelta) -> None:
        """Move the time on and run the callbacks that are due, also those that callbacks themselves add."""
        end = self._now + by
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            if timer.callback is not None:
                timer.callback()
        self._now = end
