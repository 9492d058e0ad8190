"""The supervisor owns its children: order, restarts, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes.running import status_file
from local.processes.supervisor import ChildFailed
from tests.local.processes.world import World
from tests.scenarios.machine import kill_all


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_children_start_in_order_and_stop_in_reverse(world: World) -> None:
    task = world.supervise(world.child("a"), world.child("b"))
    await asyncio.wait_for(world.ready.wait(), 10)
    world.stop.set()
    await task
    assert world.events() == ["start a", "start b", "stop b", "stop a"]


async def test_a_child_that_dies_is_started_again_and_the_others_stay(world: World) -> None:
    task = world.supervise(world.child("a"), world.child("b"))
    await asyncio.wait_for(world.ready.wait(), 10)
    pid = int(status_file(world.paths).read_text().split('"a": ')[1].split(",")[0])
    os.kill(pid, signal.SIGKILL)
    await world.until("start a", times=2)
    assert world.events().count("start b") == 1
    world.stop.set()
    await task
    assert world.events()[-2:] == ["stop b", "stop a"]


async def test_a_child_that_never_becomes_ready_stops_the_start_and_is_named(world: World) -> None:
    task = world.supervise(world.child("a"), world.child("b", crashes=99))
    with pytest.raises(ChildFailed, match=r"b exited with code 7 .*see b\.log"):
        await asyncio.wait_for(task, 10)
    assert world.events()[-1] == "stop a"
    assert not world.ready.is_set()


@contextlib.contextmanager
def supervising(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A supervisor that is a process of its own, with the children a and b, both ready."""
    script = textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        from tests.local.processes.world import World
        async def main():
            world = World(Path({str(tmp_path)!r}))
            task = world.supervise(world.child("a"), world.child("b"))
            await world.ready.wait()
            print("ready", flush=True)
            await task
        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "ready\n"
        yield supervisor


def test_children_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        supervisor.kill()
    asyncio.run(World(tmp_path).until("stop a"))
    asyncio.run(World(tmp_path).until("stop b"))


def test_the_scenarios_kill_all_at_once(tmp_path: Path) -> None:
    """None is started again, none saves itself on the kernel's SIGTERM, and none is gone before its turn."""
    with supervising(tmp_path) as supervisor:
        processes = json.loads(status_file(World(tmp_path).paths).read_text())
        assert processes["supervisor"] == supervisor.pid
        kill_all(processes)
    assert World(tmp_path).events() == ["start a", "start b"]
