"""Workers, a pacer and a service in simulated time: 20 seconds take a tenth of one, and a seed gives one outcome.

The service allows requests by a token bucket (`rate`, `burst`), refuses a share of them without any reason (`noise`),
or both, and carries out one request after the other, each in 1/`speed` seconds.

`python -m tests.jobs.submission.pacing` prints the table of docs/submission.md: which limits the pacer keeps to by the
three bars, beside what can be reached at all (`Knowing`, `KnowingLater`).
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from jobs.submission.pace import Pacer

NEVER: Final = float("inf")
SECONDS: Final = 20.0
RATES: Final = (10, 15, 25, 40, 80, 150, 300)  # requests a second
BURSTS: Final = (10, 20, 40, 100)
WAYS: Final = (0.001, 0.005, 0.02, 0.05, 0.1, 0.3)  # seconds, there and back
LEAST_ACCEPTED: Final = 0.95  # share of the limit, after the first second
MOST_REFUSED: Final = 0.02  # share of the requests, after the first second
MOST_REFUSED_FIRST: Final = 0.10  # within it


class Paces(Protocol):
    def due(self) -> float: ...
    def take(self) -> None: ...
    def accepted(self, sent: float) -> None: ...
    def refused(self, sent: float, retry_after: float | None) -> None: ...


@dataclass(kw_only=True)
class SimulatedService:
    """`accepted` and `refused`: when each request came to the service, in seconds since the beginning."""

    rate: float = NEVER  # requests a second; NEVER: there is no limit
    burst: float = 1.0
    noise: float = 0.0  # share of the requests
    retry_after: float | None = None
    latency: float = 0.0  # seconds, there and back
    jitter: float = 0.0  # share of the latency that it takes longer at most
    speed: float = 1000.0  # requests a second that it can carry out
    seed: int = 0
    pacer: Callable[[SimulatedService], Paces] = lambda service: Pacer(clock=lambda: service.now)
    now: float = 0.0
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._tokens = self.burst
        self._filled = 0.0
        self._busy_until = 0.0

    def run(
        self, *, workers: int, seconds: float = NEVER, requests: int = 1 << 30, then: Callable[[], None] | None = None
    ) -> None:
        """Until so many seconds have passed or so many requests were accepted. `then` is called at half the time.

        A refused request is set aside, and another one is sent meanwhile.
        """
        pacer, idle, numbers = self.pacer(self), workers, itertools.count()
        events: list[tuple[float, int, float, bool | None]] = []  # when, a number, when sent, the answer
        while self.now < seconds and len(self.accepted) < requests:
            wait = NEVER
            while idle and (wait := pacer.due()) <= 0:
                pacer.take()
                idle -= 1
                heapq.heappush(events, (self.now + self._way(), next(numbers), self.now, None))
                wait = NEVER
            if wait < NEVER and (not events or self.now + wait <= events[0][0]):
                self.now += max(wait, 1e-9)
            else:
                when, _, sent, answer = heapq.heappop(events)
                self.now = max(self.now, when)
                if answer is None:
                    answered, allowed = self._carry_out()
                    heapq.heappush(events, (answered, next(numbers), sent, allowed))
                elif answer:
                    idle += 1
                    pacer.accepted(sent)
                else:
                    idle += 1
                    pacer.refused(sent, self.retry_after)
            if then and self.now > seconds / 2:
                then()
                then = None

    def share_refused(self, since: float, until: float = NEVER) -> float:
        refused = self.refused_between(since, until)
        return refused / max(1, refused + self.accepted_between(since, until))

    def accepted_between(self, since: float, until: float = NEVER) -> int:
        return sum(since <= when < until for when in self.accepted)

    def refused_between(self, since: float, until: float = NEVER) -> int:
        return sum(since <= when < until for when in self.refused)

    def _carry_out(self) -> tuple[float, bool]:
        allowed = self._allows()
        (self.accepted if allowed else self.refused).append(self.now)
        self._busy_until = max(self._busy_until, self.now) + (1.0 if allowed else 0.2) / self.speed
        return self._busy_until + self._way(), allowed

    def _way(self) -> float:
        return self.latency / 2 * (1 + (self.jitter * self._dice.random() if self.jitter else 0.0))

    def _allows(self) -> bool:
        if self._dice.random() < self.noise:
            return False
        if self.rate == NEVER:
            return True
        self._tokens = min(self.burst, self._tokens + (self.now - self._filled) * self.rate)
        self._filled = self.now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Knowing:
    """A pacer that knows the limit: what nobody does better."""

    def __init__(self, service: SimulatedService) -> None:
        self._service = service
        self._next = -(service.burst - 1) / service.rate

    def due(self) -> float:
        return max(0.0, self._next - self._service.now)

    def take(self) -> None:
        self._next += 1 / self._service.rate

    def accepted(self, sent: float) -> None:
        pass

    def refused(self, sent: float, retry_after: float | None) -> None:
        pass


class KnowingLater:
    """A pacer that begins as ours does, and knows the limit as soon as it hears of the first refusal: what nobody does
    better with this beginning."""

    def __init__(self, service: SimulatedService) -> None:
        self._service = service
        self._ours: Pacer | None = Pacer(clock=lambda: service.now)
        self._next = 0.0

    def due(self) -> float:
        return self._ours.due() if self._ours else max(0.0, self._next - self._service.now)

    def take(self) -> None:
        if self._ours:
            self._ours.take()
        else:
            self._next += 1 / self._service.rate

    def accepted(self, sent: float) -> None:
        if self._ours:
            self._ours.accepted(sent)

    def refused(self, sent: float, retry_after: float | None) -> None:
        if self._ours:
            self._ours = None
            self._next = self._service.now + 1 / self._service.rate


@dataclass(frozen=True)
class Outcome:
    """Of one limit: the three figures that the bars are about."""

    rate: int
    burst: int
    way: float
    accepted: float  # share of the limit, after the first second
    refused: float
    refused_first: float

    @property
    def missed(self) -> str:
        """Which bars."""
        found = [
            "accepted" if self.accepted < LEAST_ACCEPTED else "",
            "refused" if self.refused >= MOST_REFUSED else "",
            "refused at first" if self.refused_first >= MOST_REFUSED_FIRST else "",
        ]
        return ", ".join(filter(None, found))


def keep_to(rate: int, burst: int, way: float, **others: Any) -> Outcome:
    """20 seconds of one limit, with as many workers as it takes, 32 to 100; these may not reach a limit far away."""
    workers = int(min(100, max(32, 1.5 * rate * way)))
    service = SimulatedService(rate=rate, burst=burst, latency=way, speed=2000, **others)
    service.run(workers=workers, seconds=SECONDS)
    reachable = min(float(rate), 0.98 * workers / way)
    accepted = service.accepted_between(1.0, SECONDS) / (SECONDS - 1.0) / reachable
    return Outcome(rate, burst, way, accepted, service.share_refused(1.0, SECONDS), service.share_refused(0.0, 1.0))


def sweep(ways: tuple[float, ...] = WAYS, rates: tuple[int, ...] = RATES, **others: Any) -> Iterator[Outcome]:
    for way, burst, rate in itertools.product(ways, BURSTS, rates):
        yield keep_to(rate, burst, way, **others)


def main() -> None:
    print("| way, ms | knows the limit | knows it after the first refusal | the pacer | the pacer's misses |")
    print("|---|---|---|---|---|")
    for way in WAYS:
        met = [sum(not one.missed for one in sweep((way,), pacer=pacer)) for pacer in (Knowing, KnowingLater)]
        ours = list(sweep((way,)))
        misses: dict[str, list[str]] = {}
        for one in ours:
            if one.missed:
                misses.setdefault(one.missed, []).append(f"{one.rate}/{one.burst}")
        told = "; ".join(f"{bars}: {' '.join(names)}" for bars, names in misses.items())
        print(f"| {way * 1000:g} | {met[0]} | {met[1]} | {sum(not one.missed for one in ours)} | {told} |", flush=True)


if __name__ == "__main__":
    main()
