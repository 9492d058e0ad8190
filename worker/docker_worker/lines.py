"""What the worker says: one JSON object a line on stdout for data, one line of words on stderr for errors."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from .text import storable

Say = Callable[..., None]
PROGRESS_SECONDS: Final = 5.0
_MOST_WORDS: Final = 20_000  # characters of one line on stderr


class Output:
    """A copy of one of the process's own streams. A handler that closes or redirects stdout does not reach it.

    `failure`: why a line could not be written. The work never depends on that: see `__main__` for who must tell.
    """

    def __init__(self, descriptor: int) -> None:
        self.failure: OSError | None = None
        try:
            self._descriptor = os.dup(descriptor)
            self._identity = self._file()
        except OSError as error:
            self._descriptor, self.failure = -1, error

    def write(self, line: str) -> None:
        """Write a line, whatever is in it."""
        if self.failure is not None:
            return
        rest = (line + "\n").encode("utf-8", "backslashreplace")
        try:
            if self._file() != self._identity:  # somebody closed the descriptor, and a file took its number
                raise OSError("the stream was closed")
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self.failure = error

    def _file(self) -> tuple[int, int]:
        found = os.fstat(self._descriptor)
        return found.st_dev, found.st_ino


def to(write: Callable[[str], object], **context: object) -> Say:
    """A function that writes its keyword arguments as one JSON line, with the time and what is true of every line."""

    def say(event: str, **facts: object) -> None:
        line = {"event": event, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **context, **facts}
        write(json.dumps(line, default=str, ensure_ascii=False))

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
    """One line on stderr, whatever the text had in it, and whatever became of stderr."""
    line = "docker-worker: " + storable(" ".join(text.split()), _MOST_WORDS)
    try:
        print(line.encode("utf-8", "backslashreplace").decode(), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        Output(2).write(line)
