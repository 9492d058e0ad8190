"""Workers, a pacer and a service in simulated time: a second takes no second, and a seed gives one outcome.

The service allows requests by a token bucket (`rate`, `burst`), refuses a share of them without any reason (`noise`),
or both, and carries out one request after the other, each in 1/`speed` seconds.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from jobs.submission.pace import Pacer

NEVER: Final = float("inf")


@dataclass(kw_only=True)
class SimulatedService:
    """`accepted` and `refused`: when each request was, in seconds since the beginning."""

    rate: float = NEVER  # requests a second; NEVER: there is no limit
    burst: float = 1.0
    noise: float = 0.0  # share of the requests
    retry_after: float | None = None
    latency: float = 0.0  # seconds, there and back
    speed: float = 1000.0  # requests a second that it can carry out
    seed: int = 0
    now: float = 0.0
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._tokens, self._filled, self._busy_until = self.burst, 0.0, 0.0
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def run(
        self, *, workers: int, seconds: float = NEVER, requests: int = 1 << 30, then: Callable[[], None] | None = None
    ) -> None:
        """Until so many seconds have passed or so many requests were accepted. `then` is called at half the time."""
        asyncio.run(self._run(workers, seconds, requests, then))

    def share_refused(self, since: float, until: float = NEVER) -> float:
        refused = sum(since <= when < until for when in self.refused)
        return refused / max(1, refused + self.accepted_between(since, until))

    def accepted_between(self, since: float, until: float = NEVER) -> int:
        return sum(since <= when < until for when in self.accepted)

    async def _run(self, workers: int, seconds: float, requests: int, then: Callable[[], None] | None) -> None:
        pacer = Pacer(self._sleep, lambda: self.now)
        everyone = [asyncio.create_task(self._work(pacer, requests)) for _ in range(workers)]
        while self.now < seconds and len(self.accepted) < requests:
            for _ in range(6):
                await asyncio.sleep(0)
            if not self._sleepers:
                continue
            at, _, future = heapq.heappop(self._sleepers)
            self.now = max(self.now, at)
            if then and self.now > seconds / 2:
                then()
                then = None
            if not future.done():
                future.set_result(None)
        for task in everyone:
            task.cancel()
        await asyncio.gather(*everyone, return_exceptions=True)

    async def _sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), future))
        await future

    async def _work(self, pacer: Pacer, requests: int) -> None:
        """A refused request is set aside for as long as the pacer says, and another one is sent meanwhile."""
        while len(self.accepted) < requests:
            sent = await pacer.turn()
            await self._sleep(self.latency / 2)
            allowed = self._allows()
            (self.accepted if allowed else self.refused).append(self.now)
            self._busy_until = max(self._busy_until, self.now) + (1.0 if allowed else 0.2) / self.speed
            await self._sleep(self._busy_until - self.now + self.latency / 2)
            if allowed:
                pacer.accepted(sent)
            else:
                pacer.refused(sent, self.retry_after)

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
