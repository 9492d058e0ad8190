"""The worker's log: one JSON object a line on stdout for events, text on stderr for errors; and what can be
stored and shown of a text that others wrote."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

Log = Callable[..., None]
PROGRESS_SECONDS: Final = 5.0
_MOST_WORDS: Final = 20_000  # characters of one line on stderr


class Output:
    """A copy of stdout or stderr that a handler cannot close or redirect.

    `failure`: why a line could not be written. The work goes on; `__main__` reports it where the output is the result.
    """

    def __init__(self, descriptor: int) -> None:
        self.failure: OSError | None = None
        try:
            self._descriptor = os.dup(descriptor)
            self._identity = self._file()
        except OSError as error:
            self._descriptor = -1
            self.failure = error

    def write(self, line: str) -> None:
        """Write a line; characters that UTF-8 cannot encode are escaped."""
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


def json_log(write: Callable[[str], object], **context: object) -> Log:
    """A `Log` that writes an event and its facts as one JSON line, with the time and the fields of `context`."""

    def log(event: str, **facts: object) -> None:
        line = {"event": event, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **context, **facts}
        write(json.dumps(line, default=str, ensure_ascii=False))

    return log


def with_fields(log: Log, **context: object) -> Log:
    """A `Log` with more fields on every line."""

    def log_with_fields(event: str, **facts: object) -> None:
        log(event, **{**context, **facts})

    return log_with_fields


class RateLimit:
    """`due()` is true at most once in `seconds`, so that a fast handler does not fill the log."""

    def __init__(self, seconds: float = PROGRESS_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last = clock()

    def due(self) -> bool:
        now = self._clock()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


def print_error(*lines: str) -> None:
    """Print lines on stderr, whatever characters they have, also when stderr was closed or replaced."""
    text = "docker-worker: " + storable("\n".join(" ".join(line.splitlines()) for line in lines), _MOST_WORDS)
    try:
        print(text.encode("utf-8", "backslashreplace").decode(), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        Output(2).write(text)


# NUL ends a text for many programs, and PostgreSQL refuses it; half of a surrogate pair cannot be encoded at all. Other
# control characters would drive a terminal that shows them.
_UNSTORABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def units(text: str) -> int:
    """The length of a text as NVARCHAR counts it: a character beyond the first 65,536 takes two."""
    return len(text) + sum(character > "\uffff" for character in text)


def storable(text: str, most: int) -> str:
    """A text for an NVARCHAR column of `most` units: what cannot be stored becomes an escape, the rest is cut."""
    text = _UNSTORABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text[:most])
    return text.encode("utf-16-le")[: 2 * most].decode("utf-16-le", "ignore")  # never half of a character
