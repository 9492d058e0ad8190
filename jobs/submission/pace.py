"""One pacer for all workers: as fast as it goes, until the service has a limit; then just below what it accepts.

A refusal (429, 503) means a limit, or nothing: services refuse single requests, too, when one of their parts fails.
Both are told apart by what they do when the rate changes:

- Above a limit most requests are refused, one after the other. Noise refuses one here and there: after it most are
  accepted. So refusals that come thick mean a limit at once; how thick they have to come grows with every one that
  stood alone.
- A share of refusals that is neither is looked into: the rate is lowered by a third for some requests. A limit refuses
  none of them, noise the same share as before. Refusals below a rate that was measured are looked into, too: the rate
  is raised. A limit refuses most of what is too much, noise the same share.

With noise, refusals cost the refused requests and nothing else; their share is known from then on, and watched.
With a limit, what was accepted between two refusals, divided by the time between, is the service's rate: no guessing,
and better with every refusal. After one the rate is 98 % of that, comes back to it in some seconds along a cubic (as
TCP CUBIC does, RFC 9438), stays close for a while, and goes beyond faster and faster, so that a limit which was lifted
is found in half a minute. A pause that the service asked for (`Retry-After`) is made up for afterwards at twice the
rate, unless it objects.

The beginning is gentle, for a service that allows no bursts: two requests at a time, then more, the more are accepted.
A service nearby answers so soon that its first refusals are known before many more requests are sent. One further away
gets `GENTLE_BURST` requests and then `GENTLE_RATE` a second for the first second; each refusal halves that rate.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

BACK: Final = 0.02  # below the measured rate after a refusal
CUBIC: Final = 2e-4  # a second cubed: 4.6 s to come back, +20 % after 15 s, three times the rate after 25 s
PLATEAU: Final = (BACK / CUBIC) ** (1 / 3)
DOUBLED: Final = 0.3  # seconds in which a first guess of a limit is doubled; a later one in four times as many
ANCHORS: Final = (2.0, 60.0)  # seconds that a refusal must be past, and may be, to measure from
MEASURED: Final = 8  # requests accepted since a refusal, to measure from it
FIRST_GUESS: Final = 10.0  # requests a second, at least
SLOT: Final = 0.05  # seconds in which accepted requests are counted together
JITTER: Final = 0.1  # seconds one may be late and still catch up
CATCH_UP: Final = 8.0  # requests that are caught up with at most
MAKE_UP: Final = 1.5  # seconds of a pause that are made up for
FIRST_PAUSE: Final = 0.05  # after a refusal without Retry-After; doubled while nothing is accepted
LONGEST_PAUSE: Final = 20.0
LOOK_BACK: Final = 10.0  # seconds
LEAST: Final = 0.5  # requests a second
RAMP_WINDOW: Final = 2  # requests under way in the beginning
RAMP_ACCEPTED: Final = 14  # requests accepted for each that may be under way besides
RAMP_FAR: Final = 20.0  # more of them for each second of the way: a limit allows more meanwhile
RAMP_SURE: Final = 150  # requests accepted, after which one more may be under way for every two
FAR: Final = 0.1  # seconds of a way from which a trial costs less than what a limit refuses in the beginning
NEAR: Final = 0.02  # seconds of a way in which a limit allows next to nothing
RAMP_ENDS: Final = 8  # requests under way, at least
GENTLE: Final = 1.0  # seconds in which a service that is not nearby gets few requests
GENTLE_FROM: Final = 0.006  # seconds of a way
GENTLE_BURST: Final = 8  # requests that are sent at once
GENTLE_RATE: Final = 36.0  # requests a second after that
THICK: Final = (3.0, 6.0)  # refusals, less half of those accepted between, that mean a limit: at first, at most
ALONE: Final = 0.5  # what a refusal that stood alone adds to it
LEAST_NOISE: Final = 0.015  # share of refusals below which their cause makes no difference
SHARE_OF: Final = 1.0  # seconds in which refusals are compared with what was accepted
LATELY: Final = 0.2  # seconds over which a growing rate is measured, at least
LATELY_WAYS: Final = 4.0  # times the way, at least
FEW: Final = 5  # refusals that say nothing of a share
TRIAL: Final = 6.0  # refusals that a trial at a lower rate has to meet, were they noise
SURE: Final = 3  # refusals at a lower rate that are noise for sure: the trial may end
LONGEST_TRIAL: Final = 4.0  # seconds
LOWER: Final = 0.7  # times the rate
HIGHER: Final = 2.5
HIGHER_FOR: Final = 40  # requests
MOST_NOISE: Final = 0.3  # share of refusals above which it is a limit at a higher rate
DOUBT: Final = (0.5, 60.0)  # seconds between two trials at a higher rate: at first, after many that found a limit
ODD: Final = 3  # refusals in a row below the measured rate
NOISE_RETRY: Final = 0.1  # seconds a request that noise refused waits at most; `Retry-After` is of that request then


@dataclass
class Trial:
    """Whether refusals get fewer at a lower rate, or more at a higher one. `share`: how many there were before."""

    share: float
    began: float
    before: float  # requests a second
    higher: bool
    seen: int = 0
    refused: int = 0

    @property
    def rate(self) -> float:
        return self.before * (HIGHER if self.higher else LOWER)


class Pacer:
    """`turn` before every request; `accepted`, `refused` or `lost` (no answer) after it."""

    def __init__(
        self,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pause, self._clock = pause, clock
        self._lock = asyncio.Lock()
        self._answered = asyncio.Event()
        self._in_flight = 0
        self._way = 0.0  # seconds that a request takes at least
        self._gate = 0.0  # nothing is sent before
        self._next = 0.0  # when the next one is due
        self._sent = 0.0
        self._late = JITTER  # seconds `_next` may lie in the past
        self._make_up = MAKE_UP
        self._ramp: int | None = 0  # requests accepted since the gentle beginning; None: it is over
        self._begun: float | None = None  # when the first request was sent
        self._gentle_rate = GENTLE_RATE
        self._gentle_next = 0.0  # when the next one of the first second is due
        self._eased = 0.0  # when that rate was halved; refusals of requests sent before are of the same cause
        # With a limit.
        self._base: float | None = None  # requests a second; None: no limit known
        self._since = 0.0  # when the rate began to grow from its base
        self._guessed = True
        self._doubled = DOUBLED
        self._episode = -1.0  # when the last refusal came; those of requests sent before belong to it
        self._accepted = 0
        self._accepted_at_episode = 0
        self._streak = 0  # episodes in a row without anything accepted
        self._anchors: deque[tuple[float, int]] = deque(maxlen=32)
        self._slots: deque[list[float]] = deque()  # when, accepted, refused
        # With noise, or what may be.
        self._noise = 0.0  # its share
        self._thick = 0.0  # refusals, less half of those accepted since
        self._limit_at = THICK[0]
        self._odd = 0
        self._trial: Trial | None = None
        self._judged = -LOOK_BACK  # when a trial ended
        self._doubt = DOUBT[0]
        self.refusals = 0

    async def turn(self) -> float:
        """Wait for one's turn; the time at which it came."""
        now = self._clock()
        if self._base is None and self._ramp is None and self._trial is None and now >= self._gate:
            self._in_flight += 1
            return now
        async with self._lock:  # first come, first served
            while (wait := self._due()) != 0:
                if wait > 0:
                    await self._pause(wait)
                else:
                    self._answered.clear()
                    await self._answered.wait()
            self._in_flight += 1
            return self._clock()

    def accepted(self, sent: float) -> None:
        """The answer to a request sent at `sent` was no refusal."""
        now = self._clock()
        self._way = min(self._way or now - sent, now - sent)
        self._end_request()
        self._accepted += 1
        self._slot(now)[1] += 1
        if self._thick:
            self._thick = max(0.0, self._thick - 0.5)
            if self._thick == 0.0:
                self._limit_at = min(THICK[1], self._limit_at + ALONE)
        if self._ramp is not None:
            self._ramp += 1
        if self._trial is not None and sent >= self._trial.began:
            self._trial.seen += 1
            self._judge_trial(now)

    def lost(self) -> None:
        """No answer: says nothing about a rate."""
        self._end_request()

    def refused(self, sent: float, retry_after: float | None) -> None:
        """The answer to a request sent at `sent` was: too many."""
        now = self._clock()
        self._end_request()
        self._way = min(self._way or now - sent, now - sent)
        self.refusals += 1
        self._slot(now)[2] += 1
        if self._base is not None and self._trial is None:
            return self._refused_with_limit(now, sent, retry_after)
        if sent <= self._episode:
            return None
        if self._is_gentle(now) and sent > self._eased:
            self._eased, self._gentle_rate, self._gentle_next = now, self._gentle_rate / 2, now + 1 / self._gentle_rate
        self._thick += 1.0
        if self._trial is not None and sent >= self._trial.began:
            self._trial.seen += 1
            self._trial.refused += 1
        if self._thick >= self._limit_at:
            return self._slow_down(now, retry_after)
        if self._trial is not None:
            return self._judge_trial(now)
        if (self._ramp is None or self._way > FAR) and now - self._judged > SHARE_OF:
            passed = min(SHARE_OF, max(SLOT, now - self._slots[0][0]))
            refused = sum(slot[2] for slot in self._slots if now - slot[0] <= passed)
            # What it is at least: so few may be more by chance.
            share = self._share(now, passed) * max(0.0, 1 - refused**-0.5)
            if refused >= FEW and not self._is_gentle(now) and share > 1.2 * self._noise + LEAST_NOISE:
                self._try(now, share, self._lately(now, passed), higher=False)
        return None

    def retry_in(self, retry_after: float | None) -> float:
        """Seconds that a refused request waits before it is sent again, beside the pace of all."""
        return min(retry_after or 0.0, NOISE_RETRY) if self._base is None else retry_after or 0.0

    @property
    def rate(self) -> float | None:
        """Requests a second now allowed; None when no limit is known."""
        if self._trial is not None:
            return max(LEAST, self._trial.rate)
        if self._base is None:
            return None
        passed = max(0.0, self._clock() - self._since)
        if self._guessed:
            return self._base * 2 ** min(10.0, passed / self._doubled)
        return self._base * (1 + CUBIC * (min(passed, 120.0) - PLATEAU) ** 3)

    def _due(self) -> float:
        """Seconds to wait; 0 takes the turn; less than 0: wait for an answer."""
        now = self._clock()
        if now < self._gate:
            return self._gate - now
        if self._begun is None:
            self._begun, self._gentle_next = now, now - GENTLE_BURST / GENTLE_RATE
        if self._base is None and self._ramp is not None:
            if self._is_gentle(now):
                return self._gentle_due(now)
            window = RAMP_WINDOW + RAMP_FAR * self._way + self._ramp / RAMP_ACCEPTED
            window += max(0.0, self._ramp - RAMP_SURE) / 2
            if self._thick and self._limit_at == THICK[0] and self._way < NEAR:
                window = 1.0  # the first refusals: one at a time shows what they are
            if self._in_flight + 1 > window:
                return -1.0
            if window > RAMP_ENDS and self._in_flight < window / 2:
                self._ramp = None  # there are not as many workers
        rate = self.rate
        if rate is None:
            return 0.0
        rate = max(LEAST, rate)
        self._next = max(self._next, now - self._late)
        behind = now - self._next
        if behind <= self._jitter:
            self._late = self._jitter
        due = max(self._next, self._sent + 0.5 / rate) if behind > 0 else self._next
        if due > now:
            return due - now
        self._next += 1 / rate
        self._sent = now
        return 0.0

    def _is_gentle(self, now: float) -> bool:
        """Whether this is the first second of a service that is not nearby."""
        if self._ramp is None or self._base is not None or self._trial is not None or self._begun is None:
            return False
        return self._way > GENTLE_FROM and now - self._begun < GENTLE

    def _gentle_due(self, now: float) -> float:
        self._gentle_next = max(self._gentle_next, now - GENTLE_BURST / self._gentle_rate)
        if self._gentle_next > now:
            return self._gentle_next - now
        self._gentle_next += 1 / self._gentle_rate
        return 0.0

    @property
    def _jitter(self) -> float:
        return min(JITTER, self._make_up, CATCH_UP / max(LEAST, self.rate or LEAST))

    def _end_request(self) -> None:
        self._in_flight -= 1
        self._answered.set()

    def _refused_with_limit(self, now: float, sent: float, retry_after: float | None) -> None:
        if sent <= self._episode:
            return None
        if self._accepted > self._accepted_at_episode:
            self._odd = self._odd + 1 if not self._guessed and now - self._since < PLATEAU else 0
        if self._odd < ODD or now - self._judged < self._doubt:
            return self._slow_down(now, retry_after)
        self._odd = 0
        return self._try(now, self._share(now, SHARE_OF), self._base or LEAST, higher=True)

    def _try(self, now: float, share: float, rate: float, *, higher: bool) -> None:
        self._trial = Trial(share, now, rate, higher)
        self._thick, self._next = 0.0, now

    def _judge_trial(self, now: float) -> None:
        """When enough was seen. At a higher rate a limit would refuse most; at a lower one it would refuse nothing."""
        trial = self._trial
        assert trial is not None
        enough = trial.seen >= (HIGHER_FOR if trial.higher else TRIAL / trial.share)
        if not enough and now - trial.began < LONGEST_TRIAL and (trial.higher or trial.refused < SURE):
            return
        if trial.higher and trial.refused > MOST_NOISE * trial.seen:
            return self._slow_down(now, None)
        self._trial, self._judged = None, now
        if trial.higher:  # no limit here
            self._doubt = DOUBT[0]
            self._base, self._noise, self._ramp = None, trial.refused / trial.seen, 0
        elif trial.refused > max(1, trial.share * trial.seen / 4):
            self._noise = (trial.refused / trial.seen + trial.share) / 2
        else:  # a limit: what was accepted before the trial is about the service's rate
            self._base, self._guessed, self._since, self._doubled = trial.before * (1 - BACK), True, now, 8 * DOUBLED
            self._episode, self._accepted_at_episode = now, self._accepted

    def _slow_down(self, now: float, retry_after: float | None) -> None:
        """The refusal was a limit's."""
        if self._trial is not None:
            self._trial, self._judged, self._doubt = None, now, min(DOUBT[1], 2 * self._doubt)
        self._thick, self._ramp = 0.0, None
        moved = self._accepted > self._accepted_at_episode
        self._streak = 0 if moved else self._streak + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._streak) * random.uniform(0.75, 1.5)  # noqa: S311
        if self._streak and retry_after is not None:  # else it is of the request alone: see `retry_in`
            pause = retry_after
        if self._base is None or moved:
            self._learn(now)
        if now - self._next > 1.5 / max(
            LEAST, self.rate or LEAST
        ):  # while making up for the last pause: that was too much
            self._make_up /= 2
        self._next = max(self._next, now - self._jitter)
        self._gate = now + pause
        self._since = self._gate
        self._late = min(pause, self._make_up) if pause > 2 * JITTER else self._jitter
        self._episode, self._accepted_at_episode = now, self._accepted
        self._anchors.append((now, self._accepted))

    def _learn(self, now: float) -> None:
        """A new base. What was accepted lately is at most the service's rate and its burst; what was accepted between
        refusals is at least its rate, and exactly that unless we were so slow that its allowance overflowed."""
        at_most = max(self._within(now, 1.0), self._within(now, 3.0) / 3.0)
        if self._base is None or (rate := self.rate) is None:
            self._base = max(FIRST_GUESS, self._within(now, 1.0) / 2)  # with what it allows in a burst
            self._guessed, self._doubled = True, max(DOUBLED, 6 * self._way)
            return
        measured = (
            (self._accepted - count) / (now - when)
            for when, count in self._anchors
            if ANCHORS[0] <= now - when <= ANCHORS[1] and self._accepted - count >= MEASURED
        )
        at_least, likely = min(max(measured, default=0.0), at_most), min(rate, at_most)
        self._doubled *= 4
        if not at_least and self._anchors:  # the first second
            when, count = self._anchors[0]
            if self._accepted - count >= MEASURED and now - when >= 0.2:
                likely = min(likely, 0.9 * (self._accepted - count) / (now - when))
        if at_least >= 0.9 * likely:
            likely = at_least
        self._base = max(LEAST, likely)
        # Until what was measured explains the refusal, the rate is found again quickly.
        self._guessed = self._guessed and at_least < 0.7 * rate

    def _slot(self, now: float) -> list[float]:
        if not self._slots or now - self._slots[-1][0] >= SLOT:
            self._slots.append([now, 0, 0])
            while now - self._slots[0][0] > LOOK_BACK:
                self._slots.popleft()
        return self._slots[-1]

    def _within(self, now: float, seconds: float) -> float:
        return sum(slot[1] for slot in self._slots if now - slot[0] <= seconds)

    def _lately(self, now: float, passed: float) -> float:
        """Requests a second that are accepted: in the beginning more at the end of the last second than in all of it,
        and a trial at less than it could be costs more than what it finds out."""
        short = min(passed, max(LATELY, LATELY_WAYS * self._way))
        return max(self._within(now, passed) / passed, self._within(now, short) / (short + SLOT))

    def _share(self, now: float, seconds: float) -> float:
        refused = sum(slot[2] for slot in self._slots if now - slot[0] <= seconds)
        return refused / max(1.0, refused + self._within(now, seconds))
