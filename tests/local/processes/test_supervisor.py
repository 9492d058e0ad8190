"""The supervisor owns its children: order, restarts, and their end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from local.paths import Paths
from local.processes.children import Child
from local.processes.running import status_file
from local.processes.supervisor import ChildFailed, Supervisor

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


class Stage:
    def __init__(self, tmp_path: Path) -> None:
        self.paths = Paths(tmp_path / "home")
        self.paths.ensure()
        self.journal = tmp_path / "journal"
        self.stop = asyncio.Event()
        self.ready = asyncio.Event()

    def words(self) -> list[str]:
        return self.journal.read_text().splitlines() if self.journal.exists() else []

    async def until(self, word: str, times: int = 1) -> None:
        async with asyncio.timeout(10):
            while self.words().count(word) < times:  # noqa: ASYNC110  the journal is another process's file
                await asyncio.sleep(0.01)

    def child(self, name: str, crashes: int = 0, ready_seconds: float = 10.0) -> Child:
        async def ready() -> None:
            await self.until(f"start {name}")
            if self.words().count(f"start {name}") <= crashes:
                await asyncio.Event().wait()

        argv = [sys.executable, "-c", PROGRAM, name, str(self.journal), str(crashes)]
        return Child(name=name, argv=argv, ready=ready, ready_seconds=ready_seconds)

    def supervise(self, *table: Child) -> asyncio.Task[None]:
        return asyncio.create_task(Supervisor(self.paths, list(table), self.stop).run(self.ready.set))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_children_start_in_order_and_stop_in_reverse(stage: Stage) -> None:
    task = stage.supervise(stage.child("a"), stage.child("b"))
    await asyncio.wait_for(stage.ready.wait(), 10)
    stage.stop.set()
    await task
    assert stage.words() == ["start a", "start b", "stop b", "stop a"]


async def test_a_child_that_dies_is_started_again_and_the_others_stay(stage: Stage) -> None:
    task = stage.supervise(stage.child("a"), stage.child("b"))
    await asyncio.wait_for(stage.ready.wait(), 10)
    pid = int(status_file(stage.paths).read_text().split('"a": ')[1].split(",")[0])
    os.kill(pid, signal.SIGKILL)
    await stage.until("start a", times=2)
    assert stage.words().count("start b") == 1
    stage.stop.set()
    await task
    assert stage.words()[-2:] == ["stop b", "stop a"]


async def test_a_child_that_never_becomes_ready_stops_the_start_and_is_named(stage: Stage) -> None:
    task = stage.supervise(stage.child("a"), stage.child("b", crashes=99))
    with pytest.raises(ChildFailed, match=r"b exited with code 7 .*see b\.log"):
        await asyncio.wait_for(task, 10)
    assert stage.words()[-1] == "stop a"
    assert not stage.ready.is_set()


def test_children_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        from tests.local.processes.test_supervisor import Stage
        async def main():
            stage = Stage(Path({str(tmp_path)!r}))
            task = stage.supervise(stage.child("a"))
            await stage.ready.wait()
            print("ready", flush=True)
            await task
        asyncio.run(main())
    """)
    supervisor = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline() == "ready\n"
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    asyncio.run(Stage(tmp_path).until("stop a"))
