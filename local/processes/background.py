"""Start, stop and look at the local Azure in the background."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time

from local.errors import LocalError
from local.paths import CHECKOUT, PRIVATE_UMASK, Paths
from local.processes.running import BUSY, READY, status_file, supervisor_pid

START_SECONDS = 500.0  # longer than all children may take one after the other: who does not answer is then named
STOP_SECONDS = 60.0


def start(paths: Paths) -> bool:
    """Start it unless it runs; returns when every service answers. True: it was started by this call.

    Two calls at once, and a call after one that was interrupted, find a supervisor that is not ready yet: they wait
    for it as if it were their own.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        if supervisor_pid(paths) is None:
            answer = _launch(paths)
            if answer != BUSY:
                return _check(answer, paths)
        elif status_file(paths).exists():
            return False
        if time.monotonic() > deadline:
            return _check(f"the one that is being started was not ready within {START_SECONDS:.0f} s", paths)
        time.sleep(0.05)


def _check(answer: str, paths: Paths) -> bool:
    if answer == READY:
        return True
    raise LocalError(
        f"the local Azure did not start: {answer or 'it ended without a word'}",
        cause=f"the logs: {paths.log}",
        next_step="mend the cause, then: python -m local start",
    )


def _launch(paths: Paths) -> str:
    """Start the supervisor; what it says: READY, BUSY, or what is wrong."""
    paths.ensure()
    reader, writer = os.pipe()
    log = paths.log / "supervisor.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.processes.supervisor", str(writer)],
            cwd=CHECKOUT,
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
    if answer == READY:
        return answer
    if not answer and process.poll() is None:
        process.terminate()
        answer = f"it did not become ready within {START_SECONDS:.0f} s"
    process.wait(STOP_SECONDS)
    return answer


def stop(paths: Paths) -> bool:
    """Stop the supervisor and with it all children; returns when they are gone. True: it was running."""
    pid = supervisor_pid(paths)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
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
    except FileNotFoundError:  # it is starting
        return {"supervisor": supervisor_pid(paths) or 0}
