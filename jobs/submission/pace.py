"""One pacer for all workers: as fast as it goes, until the service has a limit; then just below what it accepts.

A refusal (429, 503) means a limit, or nothing: services refuse single requests, too, when one of their parts fails.
Which of the two it was is decided by what a limit can do. A limit is taken for a token bucket: it allows `rate`
requests a second, and saves what is not used up to a burst. Noise refuses a share of the requests, whatever their rate.

- A refusal says that the bucket holds less than one token. So whatever is accepted after it was allowed since, and what
  was accepted between two refusals, divided by the time between, is the rate (`Bucket`).
- A bucket does not refuse what it holds a token for. So after a refusal the rate is lowered for a few requests: a
  refusal while at least `IMPOSSIBLE` tokens were saved is noise, and so is the refusal before it. The same follows when
  more is accepted than at the rate at which a refusal came.
- Above a limit most requests are refused. Once noise is known, only refusals that come thick are looked at: a
  sequential likelihood ratio of `LIMIT_REFUSES` against `NOISE_REFUSES`, whose threshold grows with every time that it
  came to nothing.
- A limit that is only a little below the rate refuses a share as noise does. A share that is new is tried at a lower
  rate (`Trial`): there a limit refuses none, noise the same.

With noise, refusals cost the refused requests and nothing else. With a limit, the rate is lowered to what was measured,
less the error of the measurement, and comes back along a cubic (as TCP CUBIC does, RFC 9438), faster and faster beyond
it; so every refusal makes the measurement longer and the error smaller, and a limit that was lifted is found.

The beginning is gentle: `FIRST_BURST` requests, `FIRST_RATE` a second, after a second more with each; or as many at a
time as are `GROWTH` of those accepted, which is faster when the service is nearby. How many a limit refuses until the
first refusal is known is the rate above the limit times the way, so a limit far away costs more: docs/submission.md has
what can be reached at all, and what is.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

LEAST: Final = 0.5  # requests a second
FIRST_PAUSE: Final = 0.05  # seconds, when nothing was accepted since the last refusal; doubled with each
LONGEST_PAUSE: Final = 20.0
PATIENT: Final = 2  # refusals in a row without anything accepted, from which on `Retry-After` holds up everything
NOISE_RETRY: Final = 0.1  # seconds a request that noise refused waits at most; `Retry-After` is of that request then
JITTER: Final = 0.1  # seconds one may be late and still catch up
CATCH_UP: Final = 8.0  # requests that are caught up with at most
LOOK: Final = 0.005  # seconds between two looks whether an answer allows more, at most

# The beginning.
FIRST_BURST: Final = 8  # requests
FIRST_RATE: Final = 20.0  # requests a second
FIRST_SECOND: Final = 1.0
FASTER: Final = 60.0  # requests a second more, with each second after the first
GROWTH: Final = 0.07  # requests under way, for each that was accepted
SURE: Final = 200  # requests accepted, after which more are allowed under way: one for every `SURE_GROWTH`
SURE_GROWTH: Final = 4.0
MOST_UNDER_WAY: Final = 100  # then the beginning is over

# Whether it is a limit.
NOISE_REFUSES: Final = 0.1  # share of the requests
LIMIT_REFUSES: Final = 0.6  # well above the limit
REFUSAL: Final = math.log(LIMIT_REFUSES / NOISE_REFUSES)  # what one adds to the logarithm of the likelihood ratio
ACCEPTANCE: Final = math.log((1 - LIMIT_REFUSES) / (1 - NOISE_REFUSES))
SLACK: Final = 0.1  # so that a whole number of refusals reaches a threshold
TWO: Final = 2 * REFUSAL - SLACK
THREE: Final = 3 * REFUSAL - SLACK
FOUR: Final = 4 * REFUSAL - SLACK
DOUBT: Final = 0.5 * REFUSAL  # added to the threshold each time that refusals were too few
MOST_DOUBT: Final = 12.0
BURST: Final = 10  # requests that every limit is taken to allow at once
FEW: Final = 100  # requests accepted; before them the first refusal is looked into at once
IMPOSSIBLE: Final = 2.0  # tokens saved, with which a bucket does not refuse
BELIEF: Final = 0.4  # in a limit, for each refusal that it may have made
DISBELIEF: Final = 3.0  # for each that it cannot have made
CERTAIN: Final = 8.0  # from refusals as thick as that: then only more accepted shows that there is none
BETWEEN: Final = 3  # requests accepted between two refusals, for the second to say anything of noise
MORE: Final = 1.05  # times the rate of the refusal, and
MORE_REQUESTS: Final = 3.0  # requests more than that: no limit refused it

# With a limit.
SAVED: Final = 8.0  # tokens that a bucket can save at least: `BURST`, less what is under way
BACK: Final = 0.02  # below the measured rate after a refusal, at least
FURTHEST_BACK: Final = 0.3  # and at most
ERRORS: Final = 1.5  # below it by so many times the error of the measurement
PLATEAU: Final = 4.6  # seconds to come back to the measured rate, at most: +20 % after 15 s, three times it after 25 s
OF_MEASURED: Final = 0.7  # that time as a part of the time measured over
COME_BACK: Final = 8.0  # requests in that time, at least
COME_BACK_WAYS: Final = 4.0  # times the way, at least
LOOKED_INTO: Final = 8.0  # requests in which the rate comes back after a first refusal
DIP: Final = 0.25  # by which the rate is lower for
DIP_REQUESTS: Final = 8  # requests after a refusal: two tokens are saved meanwhile
OVERSHOOT: Final = 0.55  # part of the rate at a refusal that is tried when the limit is only known to be below
SLOWEST: Final = 9.8  # requests a second while a limit is not known: no limit is taken to be lower
FOUND_AGAIN: Final = 0.3  # seconds in which that grows by e
A_SIXTH: Final = 1 / 6  # of the rate at which it was refused is tried after the first second
FIRST_REFUSED: Final = 0.09  # share of the first second's requests that may be refused, before it is looked further
LESS: Final = 0.7  # times the rate, when there were too few answers to measure

# A new share of refusals.
SHARE_OF: Final = 1.0  # seconds
ENOUGH: Final = 5  # refusals, to speak of a share
NEW_SHARE: Final = (1.2, 0.015)  # times the known one, and more than it
TRIED_AT: Final = 0.7  # times the rate
DECIDED: Final = 4.0  # logarithm of the likelihood ratio
LONGEST_TRIAL: Final = 4.0  # seconds
SPREAD_KEPT: Final = 0.8  # of how much longer the longest of the last requests took than the shortest of all
SLOT: Final = 0.02  # seconds in which answers are counted together
LOOK_BACK: Final = 5.0  # seconds
MEMORY: Final = 60.0  # seconds that a refusal is measured from
LOW_MEMORY: Final = 15.0  # seconds that a least rate is believed


@dataclass
class Answers:
    """What was answered in one `SLOT`."""

    when: float
    accepted: int = 0
    refused: int = 0


@dataclass
class Measured:
    """Requests a second that a bucket allows; `error` is a share of it. `requests` were accepted meanwhile."""

    rate: float
    error: float
    requests: int


class Bucket:
    """What the answers say of a limit, if it is a token bucket. Times are those at which requests were sent."""

    def __init__(self) -> None:
        self.accepted = 0
        self.least = 0.0  # requests a second that it allows at least
        self.spread = 0.0  # seconds by which requests may come closer together than they were sent
        self._least_at = 0.0
        self._burst: int | None = None  # it is full at the beginning, so this is its burst at most
        self._refusals: deque[tuple[float, int]] = deque(maxlen=32)  # when, and what was accepted before
        self._saved = 0.0  # tokens that it holds at least
        self._saved_at = 0.0

    def accept(self, sent: float) -> None:
        self.accepted += 1
        self._saved = max(0.0, self._save(sent) - 1.0)

    def refuse(self, sent: float) -> None:
        if self._burst is None:
            self._burst = self.accepted + 1
        self._refusals.append((sent, self.accepted))
        self._save(sent)
        self._saved = 0.0

    def saved(self, sent: float) -> float:
        """The tokens that it held at least when a request came that was sent then, and was refused."""
        return self._save(sent)

    def forget(self) -> None:
        """The limit is not what it was: only the last two refusals count."""
        self.least = self._saved = 0.0
        self._burst = self.accepted + 1  # or any other
        while len(self._refusals) > 2:
            self._refusals.popleft()

    def allows_more_than(self, rate: float, sent: float) -> bool:
        """Whether what was accepted since the last refusal could not be at this rate."""
        when, before = self._refusals[-1]
        count = self.accepted - before
        return count >= DIP_REQUESTS and count - 1 >= MORE * rate * (sent - when + self.spread) + MORE_REQUESTS

    def measure(self, now: float, way: float, answers: deque[Answers]) -> Measured | None:
        """From the interval between the last refusal and one before it that says most. None: none says enough.

        What may have been saved above `SAVED` and lost makes an interval say less of the highest rate.
        """
        least = self.least if now - self._least_at <= LOW_MEMORY else 0.0
        last, total = self._refusals[-1]
        best: tuple[float, int, float] | None = None
        for when, before in reversed(self._refusals):
            seconds, count = last - when, total - before
            if seconds > MEMORY:
                break
            if seconds <= 0 or count < BETWEEN:
                continue
            if seconds > 0.05 and count > BETWEEN:
                least = self._at_least((count - 1) / (seconds + self.spread), least, now)
            most = (count + 1) / seconds
            if most < least or (best is not None and most > best[0]):
                continue
            lost = max(0.0, _most_saved(count, seconds, when + way, answers) - SAVED)
            most += 1.5 * lost / seconds
            if best is None or most < best[0]:
                best = most, count, seconds
        least = self._least_of_bursts(now, least, answers)
        if best is None or best[0] < least:
            return None
        most, count, seconds = best
        rate = max(least, count / seconds)
        if most - (count + 1) / seconds > 0.1 * rate:
            return None
        return Measured(rate, max(most - rate, rate - max(least, (count - 1) / (seconds + self.spread))) / rate, count)

    def _save(self, sent: float) -> float:
        self._saved = min(SAVED, self._saved + self.least * max(0.0, sent - self._saved_at))
        self._saved_at = max(sent, self._saved_at)
        return self._saved

    def _at_least(self, rate: float, least: float, now: float) -> float:
        if rate > least:
            self.least = rate
            self._least_at = now
        return max(rate, least)

    def _least_of_bursts(self, now: float, least: float, answers: deque[Answers]) -> float:
        """Whatever was accepted in some time is at most the burst and what was allowed in that time."""
        count, burst = 0, self.accepted if self._burst is None else self._burst
        for slot in reversed(answers):
            count += slot.accepted
            seconds = now - slot.when
            if seconds >= 0.1:
                least = self._at_least((count - burst) / (seconds + self.spread), least, now)
        return least


def _most_saved(count: int, seconds: float, since: float, answers: deque[Answers]) -> float:
    """Tokens that a bucket of unlimited size would have held at most, at the rate of the whole interval."""
    most, left = 0.0, count
    for slot in reversed(answers):
        if slot.when < since:
            break
        left -= slot.accepted
        most = max(most, count / seconds * (slot.when - since) - left)
    return most


@dataclass
class Trial:
    """Whether a share of refusals is the same at a lower rate. `before`: requests a second."""

    share: float
    began: float
    before: float
    seen: int = 0
    refused: int = 0
    _noise: float = field(default=0.0, init=False)  # logarithm of the likelihood ratio

    @property
    def rate(self) -> float:
        return max(LEAST, TRIED_AT * self.before)

    def saw(self, refused: bool, now: float) -> bool | None:
        """Whether it is noise; None: not yet known."""
        self.seen += 1
        self.refused += refused
        share = max(0.01, min(0.5, 0.7 * self.share))  # it was looked into because it was high
        none = min(0.02, share / 8)
        self._noise += math.log(share / none) if refused else math.log((1 - share) / (1 - none))
        if abs(self._noise) < DECIDED and now - self.began <= LONGEST_TRIAL:
            return None
        return self._noise > 0


class Pacer:
    """`turn` before every request; `accepted`, `refused` or `lost` (no answer) after it.

    `due` and `take` are what `turn` is made of, for those who simulate time.
    """

    def __init__(
        self,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pause = pause
        self._clock = clock
        self._lock = asyncio.Lock()
        self._under_way = 0
        self._way = 0.0  # seconds that a request takes at least
        self._gate = 0.0  # nothing is sent before
        self._next = 0.0  # when the next one is due
        self._bucket = Bucket()
        self._answers: deque[Answers] = deque()
        # The beginning.
        self._begun: float | None = None  # when the first request was sent
        self._beginning = True
        self._grown = 0  # requests accepted that count for how many may be under way
        # With a limit.
        self._base: float | None = None  # requests a second; None: no limit known
        self._searching = False  # the rate grows from the base until it is refused
        self._back = BACK
        self._come_back = PLATEAU  # seconds
        self._since = 0.0  # when the rate began to grow from its base
        self._dip = 0  # requests for which it is lower still
        self._refused_at = math.inf  # the rate at the last refusal
        self._lifted_at = math.inf  # the rate above which there is no limit, when more than that is accepted
        self._reacted = -1.0  # to the last refusal; those of requests sent before belong to it
        self._accepted_then = 0
        self._in_a_row = 0  # refusals reacted to, without anything accepted between
        # With noise, or what may be.
        self._thick = 0.0  # logarithm of the likelihood ratio
        self._belief = 0.0  # in a limit: the same of what was refused since
        self._doubt = 0.0  # its threshold, once there was a reason to have one
        self._noise = 0.0  # its share
        self._trial: Trial | None = None
        self._tried = -LOOK_BACK
        self.refusals = 0

    async def turn(self) -> float:
        """Wait for one's turn; the time at which it came."""
        now = self._clock()
        if self._base is None and not self._beginning and self._trial is None and now >= self._gate:
            self._under_way += 1
            return now
        async with self._lock:  # first come, first served
            while (wait := self.due()) > 0:
                # In the beginning an answer may allow more before the time has come.
                await self._pause(min(wait, LOOK) if self._base is None and self._clock() >= self._gate else wait)
            self.take()
            return self._clock()

    def due(self) -> float:
        """Seconds until the next request may be sent."""
        now = self._clock()
        if now < self._gate:
            return self._gate - now
        if self._begun is None:
            self._begun = now
            self._next = now - FIRST_BURST / FIRST_RATE
        rate = self.rate
        if rate is not None:
            self._next = max(self._next, now - min(JITTER, CATCH_UP / rate))
        elif not self._beginning or self._under_way + 1 <= self._window:
            return 0.0
        else:
            self._next = max(self._next, now - FIRST_BURST / FIRST_RATE)
        return max(0.0, self._next - now)

    def take(self) -> None:
        """Send what is due."""
        now, rate = self._clock(), self.rate
        if rate is not None:
            self._next += 1 / rate
            self._dip -= 1
        elif self._beginning:
            if self._under_way + 1 <= self._window:
                self._beginning = self._window <= MOST_UNDER_WAY
                self._next = max(self._next, now - JITTER)
            self._next += 1 / (FIRST_RATE + FASTER * max(0.0, self._age(now) - FIRST_SECOND))
        self._under_way += 1

    def accepted(self, sent: float) -> None:
        """The answer to a request sent at `sent` was no refusal."""
        now = self._clock()
        self._answered(now, sent).accepted += 1
        self._bucket.accept(sent)
        self._grown += 1
        if self._thick:
            self._thick = max(0.0, self._thick + ACCEPTANCE)
            if self._thick == 0.0 and self._base is None:
                self._doubt = min(MOST_DOUBT, max(self._doubt, THREE) + DOUBT)
        if self._trial is not None:
            self._try_on(now, sent, refused=False)
        elif self._follows(sent) and self._bucket.allows_more_than(self._lifted_at, sent):
            self._is_noise(max(0.02, self._noise), now)

    def _follows(self, sent: float) -> bool:
        """Whether it was sent at a rate that follows a limit."""
        return self._base is not None and not self._searching and sent > self._reacted

    def lost(self) -> None:
        """No answer: says nothing about a rate."""
        self._under_way -= 1

    def refused(self, sent: float, retry_after: float | None) -> None:
        """The answer to a request sent at `sent` was: too many."""
        now = self._clock()
        self._answered(now, sent).refused += 1
        self.refusals += 1
        self._thick += REFUSAL
        if self._is_impossible(sent):
            self._belief -= DISBELIEF
            if self._belief < 0:
                self._is_noise(NOISE_REFUSES, now)
            return
        self._bucket.refuse(sent)
        if self._trial is not None:
            self._try_on(now, sent, refused=True)
            if self._trial is None:
                return
        elif self._base is not None:
            if sent <= self._reacted:
                self._measure_again(now)
            else:
                self._refused_again(now, sent, retry_after)
            return
        if self._thick >= self._threshold:
            self._look_into(now)
        elif self._trial is None and self._grown >= SURE and now - self._tried > SHARE_OF:
            self._try_share(now)

    def retry_in(self, retry_after: float | None) -> float:
        """Seconds that a refused request waits before it is sent again, beside the pace of all."""
        return min(retry_after or 0.0, NOISE_RETRY) if self._base is None else retry_after or 0.0

    @property
    def rate(self) -> float | None:
        """Requests a second now allowed; None when no limit is known."""
        if self._trial is not None:
            return self._trial.rate
        return None if self._base is None else self._rate_at(self._clock())

    def _rate_at(self, when: float) -> float:
        assert self._base is not None
        passed = max(0.0, when - self._since)
        if self._searching:
            return self._base * math.exp(min(10.0, passed / max(FOUND_AGAIN, 2 * self._way)))
        rate = self._base * (1 + self._back * ((min(passed, 120.0) - self._come_back) / self._come_back) ** 3)
        return max(LEAST, min(rate, (1 - DIP) * self._base) if self._dip > 0 else rate)

    @property
    def _window(self) -> float:
        """How many may be under way in the beginning, whatever the time."""
        return 1 + GROWTH * self._grown + max(0, self._grown - SURE) / SURE_GROWTH

    @property
    def _threshold(self) -> float:
        """How thick refusals have to be, to be looked into."""
        if self._trial is not None:
            return max(self._doubt, 8.0)
        if self._doubt:
            return self._doubt
        if self._bucket.accepted < BURST:
            return FOUR
        return 0.0 if self._bucket.accepted < FEW else THREE

    def _age(self, now: float) -> float:
        return now - (now if self._begun is None else self._begun)

    def _answered(self, now: float, sent: float) -> Answers:
        self._under_way -= 1
        self._way = min(self._way or now - sent, now - sent)
        longer = 2 * min(now - sent - self._way, self._way)
        self._bucket.spread = max(longer, SPREAD_KEPT * self._bucket.spread)
        if not self._answers or now - self._answers[-1].when >= SLOT:
            self._answers.append(Answers(now))
            while now - self._answers[0].when > LOOK_BACK:
                self._answers.popleft()
        return self._answers[-1]

    def _look_into(self, now: float) -> None:
        """The first refusal, or refusals that come thick: it may be a limit, at about the rate of the last answers."""
        if self._doubt:  # what was measured before was noise
            self._bucket.forget()
        self._trial = None
        self._beginning = False
        self._belief = math.inf if self._thick >= CERTAIN else max(0.0, self._thick - REFUSAL)
        self._reacted = now
        self._accepted_then = self._bucket.accepted
        self._in_a_row = 0
        self._refused_at = self._lifted_at = self._lately(now)
        self._follow(self._refused_at, FURTHEST_BACK, LOOKED_INTO, now)
        # In the first second only a few may be refused: what is under way is waited for.
        self._next = now + max(1 / self._rate_at(now), self._way if self._age(now) < FIRST_SECOND else 0.0)
        self._measure_again(now)

    def _measure_again(self, now: float) -> None:
        """A refusal of a request that was sent before the rate was lowered: how much is accepted above the limit."""
        if self._searching and self._age(now) < FIRST_SECOND:
            return
        measured = self._bucket.measure(now, self._way, self._answers)
        if measured is not None:
            self._keep_to(measured, now)
        elif not self._searching and self._thick >= max(TWO, self._doubt):
            self._search(now)

    def _is_impossible(self, sent: float) -> bool:
        """Whether a limit that was measured cannot have refused it."""
        if self._base is None or self._trial is not None or sent <= self._reacted:
            return False
        accepted = self._bucket.accepted - self._accepted_then
        return accepted >= BETWEEN and self._bucket.saved(sent) >= IMPOSSIBLE

    def _refused_again(self, now: float, sent: float, retry_after: float | None) -> None:
        """A refusal of a request that was sent after the rate was lowered."""
        accepted = self._bucket.accepted - self._accepted_then
        self._belief += BELIEF
        if self._thick >= THREE and accepted < BETWEEN and not self._searching and self._back < 0.1:
            self._bucket.forget()
        rate = self._rate_at(sent)
        self._refused_at = rate if sent >= self._since else max(self._refused_at, rate)
        self._lifted_at = max(self._lifted_at, rate) if math.isinf(self._belief) else self._refused_at
        self._in_a_row = 0 if accepted else self._in_a_row + 1
        if self._in_a_row >= PATIENT:
            longer = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._in_a_row) * random.uniform(0.75, 1.5)  # noqa: S311
            self._gate = now + (longer if retry_after is None else retry_after)
        self._since = max(now, self._gate)
        measured = self._bucket.measure(now, self._way, self._answers)
        if measured is not None:
            self._keep_to(measured, self._since)
        elif accepted >= BETWEEN:
            below = max(1.05 * self._bucket.least, OVERSHOOT * self._refused_at)
            self._follow(below, FURTHEST_BACK, LOOKED_INTO, self._since)
        elif self._thick >= max(TWO, self._doubt) and not self._searching:
            self._search(now)
        else:
            assert self._base is not None
            self._base = max(LEAST, self._bucket.least, LESS * self._base)
        self._next = max(self._gate, now) + 1 / self._rate_at(max(now, self._gate))
        self._reacted = now
        self._accepted_then = self._bucket.accepted

    def _keep_to(self, measured: Measured, since: float) -> None:
        back = max(BACK, min(FURTHEST_BACK, ERRORS * measured.error))
        self._follow(measured.rate, back, max(COME_BACK, OF_MEASURED * measured.requests), since)

    def _follow(self, rate: float, back: float, requests: float, since: float) -> None:
        """Just below `rate`, for as long as `requests` take, and then beyond it."""
        self._searching = False
        self._base = rate
        self._back = back
        self._since = since
        self._dip = DIP_REQUESTS
        self._come_back = max(min(PLATEAU, requests / rate), COME_BACK_WAYS * self._way)

    def _search(self, now: float) -> None:
        """A limit that is far below the rate: begin with little, and grow until it refuses."""
        self._searching = True
        self._dip = 0
        self._thick = 0.0
        self._since = now
        self._base = max(SLOWEST, 0.8 * self._bucket.least)
        if self._age(now) >= FIRST_SECOND:
            self._base = max(self._base, A_SIXTH * self._refused_at)
        elif self.refusals + 2 > FIRST_REFUSED * (self._bucket.accepted + 1 + self.refusals):
            assert self._begun is not None
            self._since = self._begun + FIRST_SECOND
        self._next = now + 1 / self._base

    def _is_noise(self, share: float, now: float) -> None:
        """No limit refused: go on from what is under way."""
        if self._base is not None:
            self._beginning = True
            self._grown = SURE
            self._tried = now
        self._base = None
        self._searching = False
        self._noise = share
        self._thick = 0.0
        self._doubt = min(MOST_DOUBT, max(THREE, self._doubt) + REFUSAL)

    def _try_share(self, now: float) -> None:
        """Begin a trial when more is refused than what is known as noise: what it is at least, as few may be chance."""
        passed = min(SHARE_OF, max(0.05, now - self._answers[0].when))
        slots = [slot for slot in self._answers if now - slot.when <= passed]
        refused, accepted = sum(slot.refused for slot in slots), sum(slot.accepted for slot in slots)
        share = refused / max(1, refused + accepted)
        factor, more = NEW_SHARE
        if refused >= ENOUGH and share * (1 - refused**-0.5) > factor * self._noise + more:
            self._trial = Trial(share, now, max(accepted / passed, self._lately(now)))
            self._next = now

    def _try_on(self, now: float, sent: float, *, refused: bool) -> None:
        trial = self._trial
        assert trial is not None
        if sent < trial.began or (noise := trial.saw(refused, now)) is None:
            return
        self._trial = None
        self._tried = now
        if noise:
            self._is_noise((trial.refused / trial.seen + trial.share) / 2, now)
            return
        self._reacted = now
        self._accepted_then = self._bucket.accepted
        self._beginning = False
        self._belief = DECIDED
        self._refused_at = self._lifted_at = trial.before
        self._follow(trial.before, 0.1, 2 * trial.before, now)

    def _lately(self, now: float) -> float:
        """Requests a second that were answered."""
        passed = min(max(0.2, 4 * self._way), max(SLOT, self._age(now)))
        return sum(slot.accepted + slot.refused for slot in self._answers if now - slot.when <= passed) / passed
