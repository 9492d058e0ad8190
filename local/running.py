"""Whether a local Azure runs in a folder: what its supervisor leaves there, and how everybody else reads it.

Imports next to nothing, because every command asks this first. The supervisor itself is `local/supervisor.py`.
"""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

from local.azure.paths import Paths
from local.errors import LocalError

LOOK_SECONDS = 0.01
PID_SECONDS = 10.0  # from taking the lock to writing the process id: microseconds, on any machine that lives

READY = "ready"  # what `start` is told when all children answer
BUSY = "another supervisor of this folder is running"


def status_file(paths: Paths) -> Path:
    """Process ids by name. It is there while a supervisor runs whose children were all ready: `start` waits for it."""
    return paths.run / "supervisor.json"


def lock_file(paths: Paths) -> Path:
    return paths.run / "supervisor.lock"


def supervisor_pid(paths: Paths) -> int | None:
    """The running supervisor's process id, or None. The lock decides, not the file's text."""
    deadline = time.monotonic() + PID_SECONDS
    while True:
        try:
            with lock_file(paths).open("r+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    text = file.read()
                else:
                    return None
        except FileNotFoundError:
            return None
        if text.isdecimal() and int(text) > 0:  # never 0: a signal sent to it would meet the sender's own group
            return int(text)
        if time.monotonic() > deadline:
            raise LocalError(
                f"{lock_file(paths)} is locked by a process that does not say which ({text!r})",
                cause="something else wrote to that file",
                next_step=f"end the process that has it open (fuser {lock_file(paths)}), then try again",
            )
        time.sleep(LOOK_SECONDS)
