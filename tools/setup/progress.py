"""What a person sees while steps work: lines that stay, and one line of states that is rewritten on a terminal.

A step gets two functions. `Say` writes a line that stays. `Show` takes the state that the step is in ("812 of 1,732
packages"); the newest one counts. On a terminal the states of all steps share the last line; in a log they are written
as a line, only when nothing else was written for some seconds, so that a long step is never silent.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

Say = Callable[[str], None]
Show = Callable[[str], None]

QUIET_SECONDS = 5.0  # a log is never silent for longer
REWRITE_SECONDS = 0.2


class Display:
    """The lines of one set-up, written by several threads. Used as a context manager; leaving it clears the states."""

    def __init__(self, out: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out or sys.stderr
        self._terminal = self._out.isatty() and os.environ.get("TERM") not in (None, "", "dumb")
        self._clock = clock
        self._begin = self._written = clock()
        self._states: dict[str, str] = {}
        self._shown = ""
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True, name="progress")

    def __enter__(self) -> Display:
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._ticker.join()
        with self._lock:
            self._clear()

    def say(self, text: str) -> None:
        """Write a line that stays."""
        with self._lock:
            self._clear()
            self._write("".join(f"    {line}\n" for line in text.splitlines()))

    def show(self, step: str, state: str) -> None:
        """Say which state a step is in; "" while it has nothing to count."""
        with self._lock:
            self._states[step] = state

    def done(self, step: str) -> None:
        """The step is over: its state is shown no more."""
        with self._lock:
            self._states.pop(step, None)

    def refresh(self) -> None:
        """Write the states if it is time to."""
        with self._lock:
            now = self._clock()
            if not self._states:
                self._clear()
            elif self._terminal:
                width = shutil.get_terminal_size().columns
                line = one_line(self._states, now - self._begin, width - 5)
                if line != self._shown:
                    self._clear()
                    self._write(f"    {line}")
                    self._shown = line
            elif now - self._written >= QUIET_SECONDS:
                self._write(f"    {one_line(self._states, now - self._begin)}\n")

    def _tick(self) -> None:
        while not self._closed.wait(REWRITE_SECONDS):
            self.refresh()

    def _clear(self) -> None:
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = ""

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
        self._written = self._clock()


def one_line(states: dict[str, str], seconds: float, width: int | None = None) -> str:
    """`[0:42] Pulumi CLI: 812 of 1,732 packages | Azurite: 120 of 250 packages`, not longer than `width`."""
    parts = [f"{step}: {state}" if state else step for step, state in states.items()]
    line = f"[{int(seconds) // 60}:{int(seconds) % 60:02}] {' | '.join(parts)}"
    return line if width is None or len(line) <= width else f"{line[: width - 1]}…"


def through(say: Say, *, clock: Callable[[], float] = time.monotonic) -> Show:
    """A `Show` for a caller that has a `Say` alone: the newest state as a line, at most every few seconds."""
    written = clock()

    def show(state: str) -> None:
        nonlocal written
        if state and clock() - written >= QUIET_SECONDS:
            written = clock()
            say(state)

    return show


@contextmanager
def elapsing(say: Say, what: str) -> Iterator[None]:
    """While the block works: a line every few seconds that tells for how long it has been at it."""
    begin, over = time.monotonic(), threading.Event()

    def tick() -> None:
        while not over.wait(QUIET_SECONDS):
            say(f"{what}: {time.monotonic() - begin:.0f} s so far")

    ticker = threading.Thread(target=tick, daemon=True, name="elapsing")
    ticker.start()
    try:
        yield
    finally:
        over.set()
        ticker.join()


def time_left(done: float, total: float, seconds: float) -> str:
    """`about 2 min left`, from the share of the work that was done in `seconds`; "" where that tells nothing yet."""
    if done <= 0 or seconds < QUIET_SECONDS or done < total / 100:
        return ""
    left = seconds * max(total - done, 0) / done
    return f"about {left / 60:.0f} min left" if left >= 90 else f"about {max(round(left, -1), 10):.0f} s left"
