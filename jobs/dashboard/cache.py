"""Answers of the service, each asked for once for everybody who looks, however many browsers and tabs that are.

An answer is kept for some seconds. While it is asked for, all who want it wait for the same request. A failure is kept,
too, for a moment: a service that is away is not asked again by every look.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from ..clock import Clock
from ..errors import JobsError

T = TypeVar("T")
MOST_ANSWERS: Final = 2000
OF_FAILURES: Final = 2.0  # seconds


@dataclass
class _Answer:
    lock: threading.Lock
    until: float = float("-inf")
    value: Any = None
    failure: JobsError | None = None


class Cache:
    """May be used by many threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()
        self.asked = 0  # how often the service was asked

    def get(self, key: Hashable, seconds: float, ask: Callable[[], T]) -> T:
        """The kept answer if it is not older than `seconds`, or a new one. Raises what `ask` raised."""
        with self._lock:
            answer = self._answers.setdefault(key, _Answer(threading.Lock()))
            self._answers.move_to_end(key)
            while len(self._answers) > MOST_ANSWERS:
                self._answers.popitem(last=False)
        with answer.lock:
            if self._clock.monotonic() >= answer.until:
                self.asked += 1
                try:
                    answer.value, answer.failure = ask(), None
                    answer.until = self._clock.monotonic() + seconds
                except JobsError as error:
                    answer.value, answer.failure = None, error
                    answer.until = self._clock.monotonic() + OF_FAILURES
            if answer.failure is not None:
                raise answer.failure
            return cast(T, answer.value)

    def forget(self) -> None:
        """After a change: everything is asked for again."""
        with self._lock:
            self._answers.clear()
