"""One pacer for all workers: as fast as it goes until the service objects, then just below what it accepts.

A refusal means that the service's allowance is used up at that moment. So what was accepted between two refusals,
divided by the time between, is the service's rate: no guessing, and better with every refusal. After one the rate is
98 % of that, comes back to it in some seconds along a cubic (as TCP CUBIC does, RFC 9438), stays close for a while, and
goes beyond faster and faster, so that a limit which was lifted is found in half a minute.
A pause that the service asked for (`Retry-After`) is made up for afterwards at twice the rate, unless it objects.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

BACK: Final = 0.02  # below the measured rate after a refusal
CUBIC: Final = 2e-4  # a second cubed: 4.6 s to come back, +20 % after 15 s, three times the rate after 25 s
PLATEAU: Final = (BACK / CUBIC) ** (1 / 3)
STEADY: Final = 1.5  # seconds before a first guess is doubled every second
ANCHORS: Final = (1.0, 60.0)  # seconds that a refusal must be past, and may be, to measure from
SLOT: Final = 0.05  # seconds in which accepted requests are counted together
JITTER: Final = 0.1  # seconds one may be late and still catch up
MAKE_UP: Final = 1.5  # seconds of a pause that are made up for
FIRST_PAUSE: Final = 0.05  # after a refusal without Retry-After; doubled while nothing is accepted
LONGEST_PAUSE: Final = 20.0
SPORADIC: Final = 0.008  # refusals for each accepted request
LOOK_BACK: Final = 10.0  # seconds
LEAST: Final = 0.5  # requests a second


class Pacer:
    """`turn` before every request, `accepted` or `refused` after it."""

    def __init__(
        self,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pause, self._clock = pause, clock
        self._lock = asyncio.Lock()
        self._gate = 0.0  # nothing is sent before
        self._next = 0.0  # when the next one is due
        self._sent = 0.0
        self._late = JITTER  # seconds `_next` may lie in the past
        self._make_up = MAKE_UP
        self._base: float | None = None  # requests a second; None: no limit known
        self._since = 0.0  # when the rate began to grow from its base
        self._guessed = True
        self._episode = -1.0  # when the last refusal came; those of requests sent before belong to it
        self._accepted = 0
        self._accepted_at_episode = 0
        self._streak = 0  # episodes in a row without anything accepted
        self._anchors: deque[tuple[float, int]] = deque(maxlen=32)
        self._slots: deque[list[float]] = deque()
        self._refusals: deque[float] = deque()  # episodes
        self.refusals = 0

    async def turn(self) -> float:
        """Wait for one's turn; the time at which it came."""
        now = self._clock()
        if self._base is None and now >= self._gate:
            return now
        async with self._lock:  # first come, first served
            while (wait := self._due()) > 0:
                await self._pause(wait)
            return self._clock()

    def accepted(self) -> None:
        now = self._clock()
        self._accepted += 1
        if self._slots and now - self._slots[-1][0] < SLOT:
            self._slots[-1][1] += 1
        else:
            self._slots.append([now, 1])
            while now - self._slots[0][0] > LOOK_BACK:
                self._slots.popleft()

    def refused(self, sent: float, retry_after: float | None) -> None:
        """The answer to a request sent at `sent` was: too many."""
        now = self._clock()
        self.refusals += 1
        if sent <= self._episode:
            if retry_after is not None and now + retry_after > self._gate + 0.5:
                self._gate = now + retry_after
            return
        moved = self._accepted > self._accepted_at_episode
        self._streak = 0 if moved else self._streak + 1
        pause = retry_after
        if pause is None:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._streak) * random.uniform(0.75, 1.5)  # noqa: S311
        self._refusals.append(now)
        if self._base is not None and moved and retry_after is None and self._sporadic(now):
            self._gate = now + pause
            self._episode, self._accepted_at_episode = now, self._accepted
            return
        if self._base is None or moved:
            self._learn(now)
        if now - self._next > JITTER:  # while making up for the last pause: that was too much
            self._make_up /= 2
        self._next = max(self._next, now - JITTER)
        self._gate = now + pause
        self._since = self._gate
        self._late = max(JITTER, min(pause, self._make_up))
        self._episode, self._accepted_at_episode = now, self._accepted
        self._anchors.append((now, self._accepted))

    @property
    def rate(self) -> float | None:
        """Requests a second now allowed; None when no limit is known."""
        if self._base is None:
            return None
        passed = max(0.0, self._clock() - self._since)
        if self._guessed:
            return self._base * 2 ** min(10.0, max(0.0, passed - STEADY))
        return self._base * (1 + CUBIC * (min(passed, 120.0) - PLATEAU) ** 3)

    @property
    def opens_in(self) -> float:
        return max(0.0, self._gate - self._clock())

    def _due(self) -> float:
        """Seconds to wait; 0 takes the turn."""
        now = self._clock()
        if now < self._gate:
            return self._gate - now
        rate = self.rate
        if rate is None:
            return 0.0
        rate = max(LEAST, rate)
        self._next = max(self._next, now - self._late)
        behind = now - self._next
        if behind <= JITTER:
            self._late = JITTER
        due = max(self._next, self._sent + 0.5 / rate) if behind > 0 else self._next
        if due > now:
            return due - now
        self._next += 1 / rate
        self._sent = now
        return 0.0

    def _learn(self, now: float) -> None:
        """A new base. What was accepted lately is at most the service's rate and its burst; what was accepted between
        refusals is at least its rate, and exactly that unless we were so slow that its allowance overflowed."""
        at_most = max(self._within(now, 1.0), self._within(now, 3.0) / 3.0)
        if self._base is None or (rate := self.rate) is None:
            self._base = max(LEAST, self._within(now, 1.0) * (1 - BACK))
            return
        measured = (
            (self._accepted - count) / (now - when)
            for when, count in self._anchors
            if ANCHORS[0] <= now - when <= ANCHORS[1]
        )
        at_least, likely = min(max(measured, default=0.0), at_most), min(rate, at_most)
        if now - self._episode < ANCHORS[0]:
            likely *= 0.9  # too soon to measure
        if at_least >= 0.9 * likely:
            likely = at_least
        self._base = max(LEAST, likely)
        self._guessed = self._guessed and not at_least  # until something was measured, it is found again quickly

    def _sporadic(self, now: float) -> bool:
        """So rare that it need not be a limit: the rate goes on growing, and then they get more if it is one."""
        while now - self._refusals[0] > LOOK_BACK:
            self._refusals.popleft()
        return len(self._refusals) <= SPORADIC * self._within(now, LOOK_BACK)

    def _within(self, now: float, seconds: float) -> float:
        return sum(count for when, count in self._slots if now - when <= seconds)
