"""Whether a local Azure runs in a folder, and the files by which others know: process ids, lock, `cloud.json`.

Imports next to nothing, because every command looks there first. The supervisor itself is `supervisor.py`.
"""

from __future__ import annotations

import fcntl
import json
import time
from pathlib import Path
from typing import Any

from local.errors import LocalError
from local.paths import Paths

LOOK_SECONDS = 0.01
PID_SECONDS = 10.0  # from taking the lock to writing the process id: microseconds, on any machine that lives

READY = "ready"  # what the supervisor sends to `background.start` when all children answer
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


def read_cloud(paths: Paths) -> dict[str, Any]:
    """The content of `cloud.json`; `LocalError` if the local Azure does not run, or the file is not what it wrote."""
    if supervisor_pid(paths) is None:
        raise LocalError("the local Azure does not run", next_step="python -m local start   (or: make up)")
    try:
        return json.loads(paths.cloud_json.read_text())
    except (OSError, ValueError) as error:
        raise LocalError(
            f"{paths.cloud_json} cannot be read",
            cause=f"something else changed it ({error})",
            next_step="python -m local stop, then: python -m local start   (it is written again)",
        ) from None
