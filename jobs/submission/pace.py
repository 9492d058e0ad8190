"""One pacer for all workers: as fast as it goes, until the service has a limit; then just below what it accepts.

A refusal (429, 503) means a limit, or nothing: services refuse single requests, too, when one of their parts fails.
The two are told apart by what a limit cannot do:

- A limit's allowance is used up at the moment of a refusal. So one request, the probe, is sent at once after it: what
  is accepted then speaks against a limit, what is refused for one.
- Fewer requests meet fewer refusals of a limit, and as many of noise. So before noise is believed, and whenever
  refusals get more than they were, the rate is lowered a little for as many requests as it takes to see.

With noise, refusals cost the refused requests and nothing else; their share is known from then on, and watched.
With a limit, what was accepted between two refusals, divided by the time between, is the service's rate: no guessing,
and better with every refusal. After one the rate is 98 % of that, comes back to it in some seconds along a cubic (as
TCP CUBIC does, RFC 9438), stays close for a while, and goes beyond faster and faster, so that a limit which was lifted
is found in half a minute. A pause that the service asked for (`Retry-After`) is made up for afterwards at twice the
rate, unless it objects.

The beginning is gentle, for a service that allows no bursts: few requests at a time, twice as many with every answer.
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
DOUBLED: Final = 0.25  # seconds in which a first guess of a limit is doubled; a later one in four times as many
ANCHORS: Final = (1.0, 60.0)  # seconds that a refusal must be past, and may be, to measure from
MEASURED: Final = 8  # requests accepted since a refusal, to measure from it
FIRST_GUESS: Final = 10.0  # requests a second, at least
SLOT: Final = 0.05  # seconds in which accepted requests are counted together
JITTER: Final = 0.1  # seconds one may be late and still catch up
MAKE_UP: Final = 1.5  # seconds of a pause that are made up for
FIRST_PAUSE: Final = 0.05  # after a refusal without Retry-After; doubled while nothing is accepted
LONGEST_PAUSE: Final = 20.0
SOON: Final = 0.003  # seconds that a probe can wait
LOOK_BACK: Final = 10.0  # seconds
LEAST: Final = 0.5  # requests a second
RAMP_START: Final = 100.0  # requests a second
RAMP_DOUBLED: Final = 0.05  # seconds
RAMP_END: Final = 10_000.0  # requests a second: from there on no rate is kept
RAMP_WINDOW: Final = 2  # requests under way before anything was accepted
MOST_NOISE: Final = 0.3  # share of refusals above which the service is slowed down for, whatever the cause
LEAST_NOISE: Final = 0.02  # share of refusals below which their cause makes no difference
PROBES: Final = 2  # accepted in a row: then it may be noise
EXCESS: Final = 6.0  # refusals above the known share of noise, summed up, that make it be looked into again
TRIAL: Final = 5.0  # refusals that a trial at a lower rate has to meet, were they noise
LOWER: Final = 0.85  # times what was accepted: the rate of a trial
HIGHER: Final = 2.5
ALLOWANCE: Final = 0.3  # requests that a limit allows while a probe is under way, at which the probe tells something
MANY: Final = 0.04  # share of refusals that a limit which is kept to does not give
NOISE_RETRY: Final = 0.1  # seconds a request that noise refused waits at most; `Retry-After` is of that request then


@dataclass
class Trial:
    """Whether refusals get fewer at a lower rate, or more at a higher one. `share`: how many there were before."""

    share: float
    began: float
    rate: float
    higher: bool
    seen: int = 0
    refused: int = 0


class Pacer:
    """`turn` before every request; `accepted`, `refused` or `lost` (no answer) after it."""

    def __init__(
        self,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pause, self._clock = pause, clock
        self._lock = asyncio.Lock()
        self._answered, self._probe_wanted = asyncio.Event(), asyncio.Event()
        self._in_flight = 0
        self._gate = 0.0  # nothing is sent before
        self._next = 0.0  # when the next one is due
        self._sent = 0.0
        self._late = JITTER  # seconds `_next` may lie in the past
        self._make_up = MAKE_UP
        # Without a known limit: the gentle beginning, until it is as fast as anybody can be.
        self._ramp: tuple[float, float] | None = None  # since when, requests a second then
        self._ramp_accepted = 0
        self._ramping = True
        # With one.
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
        # Noise.
        self._noise: float | None = None  # its share, once it is believed
        self._excess = 0.0
        self._probing = ""  # "", "wanted", "sent"
        self._probe_sent = 0.0
        self._way = 0.0  # seconds that a probe took
        self._probe_again = False
        self._for_noise = 0.0  # probes accepted in a row
        self._probes = PROBES  # how many it takes; more with every trial that found a limit
        self._trial: Trial | None = None
        self._limited = 0.0  # when a limit was met first
        self._judged = -LOOK_BACK  # when a trial ended, or noise was believed
        self.refusals = 0

    async def turn(self) -> float:
        """Wait for one's turn; the time at which it came."""
        now = self._clock()
        if self._base is None and not self._ramping and not self._probing and self._trial is None and now >= self._gate:
            self._in_flight += 1
            return now
        async with self._lock:  # first come, first served
            while (wait := self._due()) != 0:
                if wait > 0:
                    await self._wait(wait)
                else:
                    self._answered.clear()
                    await self._answered.wait()
            self._in_flight += 1
            return self._clock()

    async def _wait(self, seconds: float) -> None:
        """Until then, or until a probe is wanted: it is worth something at once only."""
        if seconds < SOON:
            return await self._pause(seconds)
        self._probe_wanted.clear()
        pause = asyncio.ensure_future(self._pause(seconds))
        pause.add_done_callback(lambda done: done.cancelled() or done.exception())  # heard of, also when it is left
        probe = asyncio.ensure_future(self._probe_wanted.wait())
        try:
            await asyncio.wait((pause, probe), return_when=asyncio.FIRST_COMPLETED)
        finally:
            probe.cancel()
        if pause.done():
            pause.result()
        return None

    def accepted(self) -> None:
        now = self._clock()
        self._end_request()
        self._accepted += 1
        self._ramp_accepted += 1
        self._slot(now)[1] += 1
        self._excess = max(0.0, self._excess - 1.5 * (self._noise or 0.0) - 0.01)
        if self._probing == "sent":
            self._probing, self._way = "", now - self._probe_sent
            if self._base is not None and (now - self._probe_sent) * (self.rate or 0.0) > ALLOWANCE:
                # The way to the service is so long that a limit allows something again when the probe comes.
                share = self._share(now, LOOK_BACK)
                if share <= MANY or self._guessed or now - max(self._judged, self._limited) < LOOK_BACK:
                    return self._slow_down(now, self._probe_sent, None)
                self._for_noise = self._probes
            self._for_noise += 1.0
            self._suspect_noise(now)
        elif self._trial is not None:
            self._trial.seen += 1
            self._judge_trial(now)

    def lost(self) -> None:
        """No answer: says nothing about a rate."""
        self._end_request()
        if self._probing == "sent":
            self._probing = "wanted"

    def refused(self, sent: float, retry_after: float | None) -> None:
        """The answer to a request sent at `sent` was: too many."""
        now = self._clock()
        self._end_request()
        self.refusals += 1
        self._slot(now)[2] += 1
        self._excess += 1.0
        if self._probing == "sent" and sent >= self._probe_sent:
            if self._ramping and not self._probe_again:  # little is known yet, and much depends on it
                self._probing, self._probe_again = "wanted", True
                self._probe_wanted.set()
                return None
            self._probing = ""
            self._for_noise = 0.0
            self._way = now - self._probe_sent
            return self._slow_down(now, self._probe_sent, retry_after)
        if self._probing or sent <= self._episode:
            return
        if self._trial is not None:
            if sent >= self._trial.began:
                self._trial.seen += 1
                self._trial.refused += 1
                self._judge_trial(now)
            return
        if self._noise is not None and self._excess < EXCESS:
            return
        if self._noise is not None:  # more than there were: what is it now?
            self._noise, self._for_noise = None, 0.0
            return self._try_slower(now)
        self._episode = now
        if self._accepted == self._accepted_at_episode:  # nothing was accepted since the last one
            return self._slow_down(now, sent, retry_after)
        self._probing, self._probe_again = "wanted", False
        self._answered.set()
        self._probe_wanted.set()

    def retry_in(self, retry_after: float | None) -> float:
        """Seconds that a refused request waits before it is sent again, beside the pace of all."""
        if self._base is None and (self._noise is not None or self._trial is not None or self._for_noise):
            return min(retry_after or 0.0, NOISE_RETRY)
        return retry_after or 0.0

    @property
    def rate(self) -> float | None:
        """Requests a second now allowed; None when no limit is known."""
        now = self._clock()
        if self._trial is not None:
            return max(LEAST, self._trial.rate * (HIGHER if self._trial.higher else LOWER))
        if self._base is not None:
            passed = max(0.0, now - self._since)
            if self._guessed:
                return self._base * 2 ** min(10.0, passed / self._doubled)
            return self._base * (1 + CUBIC * (min(passed, 120.0) - PLATEAU) ** 3)
        if not self._ramping:
            return None
        if self._ramp is None:
            self._ramp = now, RAMP_START
        since, start = self._ramp
        rate = start * 2 ** min(20.0, max(0.0, now - since) / RAMP_DOUBLED)
        if rate > RAMP_END and self._in_flight < RAMP_WINDOW + self._ramp_accepted // 2:
            self._ramping = False
        return rate

    def _due(self) -> float:
        """Seconds to wait; 0 takes the turn; less than 0: wait for an answer."""
        now = self._clock()
        if self._probing:
            if self._probing == "sent":
                return -1.0
            self._probing, self._probe_sent = "sent", now
            return 0.0
        if now < self._gate:
            return self._gate - now
        rate = self.rate
        if rate is None:
            return 0.0
        if self._base is None and self._trial is None and self._in_flight >= RAMP_WINDOW + self._ramp_accepted:
            return -1.0
        rate = max(LEAST, rate)
        self._next = max(self._next, now - (self._late if self._base is not None else 1 / rate))
        behind = now - self._next
        if behind <= JITTER:
            self._late = JITTER
        due = max(self._next, self._sent + 0.5 / rate) if behind > 0 else self._next
        if due > now:
            return due - now
        self._next += 1 / rate
        self._sent = now
        return 0.0

    def _end_request(self) -> None:
        self._in_flight -= 1
        self._answered.set()

    def _suspect_noise(self, now: float) -> None:
        """A probe was accepted, right after a refusal."""
        if self._for_noise < self._probes:
            return
        self._for_noise = 0.0
        if self._base is not None and self._share(now, LOOK_BACK) > MOST_NOISE:
            return self._slow_down(now, now, None)
        if self._base is not None:
            rate = max(self.rate or self._base, RAMP_START / HIGHER)
            self._trial = Trial(self._share(now, LOOK_BACK), now, rate, True)
        elif self._share(now, 1.0) <= LEAST_NOISE or self.refusals <= 3:
            self._believe_noise(LEAST_NOISE)
        else:
            self._try_slower(now)

    def _try_slower(self, now: float) -> None:
        passed = max(SLOT, min(max(0.25, 6 * self._way), now - max(self._slots[0][0], self._judged)))
        share = self._share(now, max(passed, min(1.0, now - self._judged)))
        if share > MOST_NOISE:
            return self._slow_down(now, now, None)
        self._trial = Trial(max(share, LEAST_NOISE), now, max(self._within(now, passed) / passed, 2 * LEAST), False)
        self._next = now
        return None

    def _judge_trial(self, now: float) -> None:
        """When enough was seen. At a higher rate a limit would refuse most; at a lower one it would refuse nothing."""
        trial = self._trial
        assert trial is not None
        share = trial.refused / trial.seen
        if trial.refused >= 4 and share > MOST_NOISE:
            self._trial, self._judged = None, now
            self._probes *= 2
            return self._slow_down(now, now, None)
        if trial.higher:
            if trial.seen >= 25:
                self._trial = None
                if trial.refused >= 2 and share >= 0.4 * trial.share:
                    return self._believe_noise(share)
                self._base, self._since = trial.rate * HIGHER, now  # no limit here; go on from there
            return None
        expected = trial.share * trial.seen
        if expected < TRIAL and not (trial.refused >= 3 and trial.refused >= 0.5 * expected and trial.seen >= 15):
            return None
        self._trial, self._judged = None, now
        if trial.refused >= max(5, 2 * expected) and trial.seen >= 15:  # more than before: what was a burst is over
            passed = max(SLOT, now - trial.began)
            self._trial = Trial(share, now, self._within(now, passed) / passed, False)
            return None
        if trial.refused >= 0.4 * expected:
            return self._believe_noise((trial.refused + expected) / (2 * trial.seen))
        # A limit: what was accepted before the trial is about the service's rate, or less after pauses.
        self._base, self._guessed, self._since, self._ramping = trial.rate * (1 - BACK), True, now, False
        self._episode, self._doubled = now, 8 * DOUBLED
        return None

    def _believe_noise(self, share: float) -> None:
        self._noise, self._excess, self._for_noise = max(share, LEAST_NOISE), 0.0, 0.0
        self._probes, self._judged = PROBES, self._clock()
        if self._base is not None or self._ramping:
            start = max(RAMP_START, (self.rate or RAMP_START))
            self._base, self._guessed = None, True
            self._ramp, self._ramping = (self._clock(), start), True

    def _slow_down(self, now: float, sent: float, retry_after: float | None) -> None:
        """The refusal was a limit's."""
        moved = self._accepted > self._accepted_at_episode
        self._streak = 0 if moved else self._streak + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._streak) * random.uniform(0.75, 1.5)  # noqa: S311
        if self._streak and retry_after is not None:  # else it is of the request alone: see `retry_in`
            pause = retry_after
        if self._base is None or moved:
            self._learn(now)
        if now - self._next > JITTER:  # while making up for the last pause: that was too much
            self._make_up /= 2
        self._next = max(self._next, now - JITTER)
        self._gate = now + pause
        self._since = self._gate
        self._late = max(JITTER, min(pause, self._make_up))
        self._episode, self._accepted_at_episode = now, self._accepted
        self._noise, self._excess, self._ramping = None, 0.0, False
        self._anchors.append((now, self._accepted))

    def _learn(self, now: float) -> None:
        """A new base. What was accepted lately is at most the service's rate and its burst; what was accepted between
        refusals is at least its rate, and exactly that unless we were so slow that its allowance overflowed."""
        at_most = max(self._within(now, 1.0), self._within(now, 3.0) / 3.0)
        if self._base is None or (rate := self.rate) is None:
            self._base = max(FIRST_GUESS, self._within(now, 1.0) / 2)  # with what it allows in a burst
            self._guessed, self._doubled, self._limited = True, max(DOUBLED, 4 * self._way), now
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

    def _share(self, now: float, seconds: float) -> float:
        refused = sum(slot[2] for slot in self._slots if now - slot[0] <= seconds)
        return refused / max(1.0, refused + self._within(now, seconds))
