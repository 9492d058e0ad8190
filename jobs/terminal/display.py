"""Words for people while work is done: what happens to the display has no effect on the work.

A reader that left (`2>&1 | head`), a full disk behind stderr, a terminal that was stopped (Ctrl-S) or closed: the words
are lost, the work goes on at its speed, and the exit code is the work's. So one thread writes, straight to the file
descriptor (no lock of Python's is held while it is blocked), and nobody waits for it for long.
"""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from typing import Final

from .render import LONGEST_WAIT, Render
from .visible import visible
from .wording import folded, pasteable

PENDING: Final = 100  # texts; what comes while so many wait is dropped


class Display:
    """Where a verb that works says how far it is. `words` are waited for a little, `progress` is not."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._descriptor = render.words_descriptor
        self._waiting: queue.Queue[str] = queue.Queue(PENDING)
        self._thread: threading.Thread | None = None

    def words(self, text: str) -> None:
        """Plans, results and next steps."""
        self.progress(text)
        if self._descriptor is None:
            return
        with self._waiting.all_tasks_done:
            self._waiting.all_tasks_done.wait_for(lambda: not self._waiting.unfinished_tasks, LONGEST_WAIT)

    def progress(self, text: str) -> None:
        """How far it is."""
        if self._descriptor is None:  # no file: a test's
            with suppress(OSError, ValueError):
                self._render.words(text)
            return
        with suppress(queue.Full):
            self._waiting.put_nowait(text)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, daemon=True)
            self._thread.start()

    def _write(self) -> None:
        assert self._descriptor is not None
        while True:
            text = visible(pasteable(self._waiting.get()))
            if self._render.live:
                text = folded(text, self._render.live_size[0])
            data = f"{text}\n".encode(errors="backslashreplace")
            with suppress(OSError):
                while data:
                    data = data[os.write(self._descriptor, data) :]
            self._waiting.task_done()
