"""Start, stop and look at the local Azure in the background."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from local.azure.paths import PRIVATE_UMASK, Paths
from local.errors import LocalError
from local.supervisor import status_file, supervisor_pid

START_SECONDS = 90.0
STOP_SECONDS = 60.0
ROOT = Path(__file__).resolve().parent.parent


def start(paths: Paths) -> bool:
    """Start it unless it runs; returns when every service answers. True: it was started by this call."""
    if supervisor_pid(paths) is not None:
        return False
    paths.ensure()
    reader, writer = os.pipe()
    log = paths.log / "supervisor.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.supervisor", str(writer)],
            cwd=ROOT,
            pass_fds=[writer],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            umask=PRIVATE_UMASK,
            env={**os.environ, "LOCAL_AZURE_HOME": str(paths.home)},
        )
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        readable, _, _ = select.select([pipe], [], [], START_SECONDS)
        answer = pipe.read(10_000).decode() if readable else ""
    if answer == "ready":
        return True
    if not answer and process.poll() is None:
        process.terminate()
        answer = f"it did not become ready within {START_SECONDS:.0f} s"
    process.wait(STOP_SECONDS)
    raise LocalError(
        f"the local Azure did not start: {answer or 'it ended without a word'}",
        cause=f"the logs: {paths.log}",
        next_step="mend the cause, then: python -m local start",
    )


def stop(paths: Paths) -> bool:
    """Stop the supervisor and with it all children; returns when they are gone. True: it was running."""
    pid = supervisor_pid(paths)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while supervisor_pid(paths) is not None:
        if time.monotonic() > deadline:
            raise LocalError(
                f"the supervisor (pid {pid}) did not stop within {STOP_SECONDS:.0f} s",
                next_step=f"look into {paths.log / 'supervisor.log'}; kill -9 {pid} loses nothing",
            )
        time.sleep(0.05)
    return True


def status(paths: Paths) -> dict[str, int]:
    """Process ids by name; empty if the local Azure does not run."""
    if supervisor_pid(paths) is None:
        return {}
    try:
        return json.loads(status_file(paths).read_text())
    except FileNotFoundError:
        return {"supervisor": supervisor_pid(paths) or 0}
