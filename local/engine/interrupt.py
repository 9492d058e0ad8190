"""Ctrl-C: the first asks for an orderly end, the second ends everything at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TextIO


@contextlib.contextmanager
def interruptible(cancel: Callable[[], None], kill: Callable[[], None], err: TextIO) -> Iterator[None]:
    """Handle SIGINT and SIGTERM inside the block, in the main thread (elsewhere Python allows no handlers)."""
    presses = 0

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        if presses == 1:
            print(
                "^C received; cancelling. What is under way may finish. If you would like to terminate immediately, "
                "press ^C again.",
                file=err,
                flush=True,
            )
            threading.Thread(target=cancel, name="cancel", daemon=True).start()
        else:
            kill()
            os._exit(130)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
