"""A supervisor, and children that write their starts and stops into one file."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from pathlib import Path

from local.paths import Paths
from local.processes.children import Child
from local.processes.supervisor import Supervisor

# Writes its name when it starts and when it is told to stop; `crash` ends it at once the first times.
PROGRAM = textwrap.dedent("""
    import os, signal, sys, time
    name, journal, crashes = sys.argv[1], sys.argv[2], int(sys.argv[3])
    def note(word):
        fd = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(fd, f"{word} {name}\\n".encode())
        os.close(fd)
    def stop(*_):
        note("stop")
        os._exit(0)
    signal.signal(signal.SIGTERM, stop)
    note("start")
    if open(journal).read().count(f"start {name}") <= crashes:
        sys.exit(7)
    time.sleep(60)
""")


class World:
    """A home, the children's journal, and the supervisor's events."""

    def __init__(self, tmp_path: Path) -> None:
        self.paths = Paths(tmp_path / "home")
        self.paths.ensure()
        self.journal = tmp_path / "journal"
        self.stop = asyncio.Event()
        self.ready = asyncio.Event()

    def events(self) -> list[str]:
        return self.journal.read_text().splitlines() if self.journal.exists() else []

    async def until(self, event: str, times: int = 1) -> None:
        async with asyncio.timeout(10):
            while self.events().count(event) < times:  # noqa: ASYNC110  the journal is another process's file
                await asyncio.sleep(0.01)

    def child(self, name: str, crashes: int = 0, ready_seconds: float = 10.0) -> Child:
        async def ready() -> None:
            await self.until(f"start {name}")
            if self.events().count(f"start {name}") <= crashes:
                await asyncio.Event().wait()

        argv = [sys.executable, "-c", PROGRAM, name, str(self.journal), str(crashes)]
        return Child(name=name, argv=argv, ready=ready, ready_seconds=ready_seconds)

    def supervise(self, *table: Child) -> asyncio.Task[None]:
        return asyncio.create_task(Supervisor(self.paths, list(table), self.stop).run(self.ready.set))
