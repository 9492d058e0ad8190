"""SIGTERM and SIGHUP as exceptions, so that what a verb cleans up after itself is cleaned up then, too.

Python does so for Ctrl-C only; the other two end the process at once: a user stays on a node, the cursor stays hidden,
a half-written file stays. A signal that was ignored when the process started (`nohup`) stays ignored.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from .exits import Exit

ENDING: Final = {signal.SIGHUP: Exit.HUNG_UP, signal.SIGTERM: Exit.TERMINATED}


class Ended(KeyboardInterrupt):
    """One of these signals came. Like Ctrl-C it is nobody's error to handle but the command line's."""

    def __init__(self, exit_code: Exit) -> None:
        super().__init__(exit_code.name)
        self.exit = exit_code


def raise_on_end() -> None:
    """From now on SIGHUP and SIGTERM raise `Ended` in the main thread. A Ctrl-C that was held back until Python had
    started (by `make up`) is heard now."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def undisturbed() -> Iterator[None]:
    """While a verb cleans up, which takes seconds: none of these signals and no Ctrl-C breaks that off."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (*ENDING, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Ended(ENDING[signal.Signals(number)])
