"""What the worker says: one JSON object a line on stdout for data, one line of words on stderr for errors."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

Say = Callable[..., None]
PROGRESS_SECONDS: Final = 5.0


def to(stream: TextIO, **context: object) -> Say:
    """A function that writes its keyword arguments as one JSON line, with the time and what is true of every line."""

    def say(event: str, **facts: object) -> None:
        line = {"event": event, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **context, **facts}
        print(json.dumps(line, default=str, ensure_ascii=False), file=stream, flush=True)

    return say


def bound(say: Say, **context: object) -> Say:
    """`say` with more that is true of every line."""

    def narrower(event: str, **facts: object) -> None:
        say(event, **{**context, **facts})

    return narrower


class Seldom:
    """True at most once in some seconds: so that a fast handler does not fill the log."""

    def __init__(self, seconds: float = PROGRESS_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock, self._last = seconds, clock, clock()

    def due(self) -> bool:
        now = self._clock()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


def complain(text: str) -> None:
    """One line on stderr, whatever the text had in it."""
    print("docker-worker: " + " ".join(text.split()), file=sys.stderr, flush=True)
