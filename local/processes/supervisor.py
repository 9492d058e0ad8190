"""The supervisor: one background process that owns every child process of the local Azure.

It starts the children of `children.py` in order, restarts one that dies, and stops them in reverse order on
SIGTERM. Children die with it, kill -9 included (PR_SET_PDEATHSIG), so that nothing of ours runs unowned. A lock on
`run/supervisor.lock` says that one is alive: the kernel frees it however the process ends.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import json
import logging
import os
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Callable

from local.azure.platform.errors import AzureError
from local.azure.platform.ports import NoPortLeft, PortInUse
from local.errors import LocalError
from local.paths import PRIVATE_UMASK, Paths
from local.processes.children import Child, children
from local.processes.running import BUSY, READY, lock_file, status_file

PR_SET_PDEATHSIG = 1
RESTART_DELAYS = (0.2, 1.0, 3.0, 10.0)  # seconds before the first, second, ... restart of a child
QUIET_SECONDS = 60.0  # a child that ran this long starts again with the first delay

log = logging.getLogger("local.processes.supervisor")


class ChildFailed(Exception):
    """A child did not become ready, or died too often."""


def die_with_parent(death_signal: int) -> Callable[[], None]:
    """What a child runs before its program: the kernel shall end it when the supervisor is gone."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def set_death_signal() -> None:
        libc.prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            os._exit(1)

    return set_death_signal


async def launch(child: Child, paths: Paths) -> asyncio.subprocess.Process:
    """Start the child; returns when it is ready. `ChildFailed` (and no process left) if it ends or stays silent."""
    with (paths.log / f"{child.name}.log").open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *child.argv,
            env={**os.environ, **child.env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=die_with_parent(child.stop_signal),
        )
    ready = asyncio.ensure_future(child.ready())
    ended = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({ready, ended}, timeout=child.ready_seconds, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            fate = f"exited with code {process.returncode}" if ended.done() else "did not answer"
            raise ChildFailed(f"{child.name} {fate} within {child.ready_seconds:.0f} s; see {child.name}.log")
        ready.result()
    except BaseException:
        await end(child, process)
        raise
    finally:
        ready.cancel()
        ended.cancel()
    return process


async def end(child: Child, process: asyncio.subprocess.Process) -> None:
    """Stop the child: its signal, its grace in seconds, then SIGKILL."""
    if process.returncode is not None:
        return
    process.send_signal(child.stop_signal)
    try:
        await asyncio.wait_for(process.wait(), child.grace_seconds)
    except TimeoutError:
        log.warning("%s did not stop within %s s: killed", child.name, child.grace_seconds)
        process.kill()
        await process.wait()


class Supervisor:
    """Keeps the children running until `stop` is set."""

    def __init__(self, paths: Paths, table: list[Child], stop: asyncio.Event) -> None:
        self._paths = paths
        self._table = table
        self._stop = stop
        self._pids: dict[str, int] = {}

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Start all in order, say so, keep them; returns after `stop`, with all of them ended in reverse order.

        Raises `ChildFailed` when one cannot be started, or dies again and again.
        """
        keepers: list[asyncio.Task[None]] = []
        stopped = asyncio.create_task(self._stop.wait())
        try:
            for child in self._table:
                process = await launch(child, self._paths)
                self._pids[child.name] = process.pid
                keepers.append(asyncio.create_task(self._keep(child, process)))
            self._write_status()
            on_ready()
            await asyncio.wait({stopped, *keepers}, return_when=asyncio.FIRST_COMPLETED)
            for keeper in keepers:
                if keeper.done():
                    keeper.result()
        finally:
            stopped.cancel()
            for keeper in reversed(keepers):
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)

    async def _keep(self, child: Child, process: asyncio.subprocess.Process) -> None:
        """Start the child again whenever it ends, later each time; when cancelled, stop it."""
        attempt, began = 0, time.monotonic()
        try:
            while True:
                code = await process.wait()
                attempt = 0 if time.monotonic() - began > QUIET_SECONDS else attempt
                log.warning("%s ended with code %s", child.name, code)
                if attempt == len(RESTART_DELAYS):
                    raise ChildFailed(f"{child.name} died {attempt + 1} times in a row; see {child.name}.log")
                await asyncio.sleep(RESTART_DELAYS[attempt])
                attempt, began = attempt + 1, time.monotonic()
                process = await launch(child, self._paths)
                self._pids[child.name] = process.pid
                self._write_status()
        finally:
            await end(child, process)

    def _write_status(self) -> None:
        file = status_file(self._paths)
        new = file.with_suffix(".new")
        new.write_text(json.dumps({"supervisor": os.getpid(), **self._pids}))
        new.replace(file)


def _damage(error: Exception, paths: Paths) -> str:
    if not isinstance(error, sqlite3.DatabaseError):
        return ""
    return f"{paths.database}: {error}. Restore it, or forget everything deployed: python -m local reset --yes"


def main() -> int:
    """Run as the background process. `background.start` reads `READY`, `BUSY` or an error from our descriptor."""
    os.umask(PRIVATE_UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump of any of these processes would hold secrets of the cloud
    paths, ready_fd = Paths.default(), int(sys.argv[1])
    paths.ensure()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")

    def report(text: str) -> None:
        nonlocal ready_fd
        if ready_fd >= 0:
            os.write(ready_fd, text.encode())
            os.close(ready_fd)
            ready_fd = -1

    async def supervise() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await Supervisor(paths, children(paths), stop).run(lambda: report(READY))

    with lock_file(paths).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(BUSY)
            return 1
        status_file(paths).unlink(missing_ok=True)  # of one that was killed
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            asyncio.run(supervise())
        except (ChildFailed, LocalError, PortInUse, NoPortLeft, AzureError, OSError) as error:
            log.error("%s", error)
            report(str(error))
            return 1
        except Exception as error:
            log.exception("the local Azure did not start")
            report(_damage(error, paths) or f"{type(error).__name__}: {error}")
            return 1
        finally:
            status_file(paths).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
