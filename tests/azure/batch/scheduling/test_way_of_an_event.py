"""The way of a node's event to a job's state, as docs/architecture.md tells it, traced: it returns to no file more than
once."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from local.azure.batch.model.states import JobState, TaskState
from local.azure.platform.clock import ManualClock
from local.azure.platform.store import Store
from local.node.contract import RunEnded
from local.node.noop import NoopExecutor
from tests.azure.batch.world import START, World

_BATCH = Path("local/azure/batch")
_CARRIES = {"scheduling/turn.py"}
"""A turn takes what is changed, on every step of the way; so does the model, which is not counted either."""


class Way:
    """The files of scheduling and decisions that are entered from another of them, in order."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        here = _file(frame)
        if event == "call" and here is not None and here != _caller(frame):
            self.files.append(here)


def _file(frame: FrameType) -> str | None:
    name = frame.f_code.co_filename.partition(f"{_BATCH.as_posix()}/")[2]
    return name if name.startswith(("scheduling/", "decisions/")) and name not in _CARRIES else None


def _caller(frame: FrameType) -> str | None:
    """The nearest of these files that is under way."""
    back = frame.f_back
    while back is not None:
        if (name := _file(back)) is not None:
            return name
        back = back.f_back
    return None


async def test_it_returns_to_no_file_more_than_once() -> None:
    clock = ManualClock(START)
    world = World(Store(None), clock, NoopExecutor(automatic=False, now=clock.now))
    await world.open()
    world.pool()
    await world.settle()
    world.executor.node_up(next(iter(world.executor.nodes)))
    job = world.job({"onAllTasksComplete": "terminatejob"})
    task = world.task()
    await world.settle()
    run = world.executor.run_of("t")
    ended = RunEnded(node_id=task.node_id or "", run_id=run, at=clock.now(), exit_code=0)
    way = Way()
    sys.setprofile(way)
    try:
        world.scheduling.loop.report(ended)
    finally:
        sys.setprofile(None)
    assert (task.state, job.state) == (TaskState.COMPLETED, JobState.COMPLETED)
    until = way.files[: _last(way.files, "scheduling/job_life.py")]
    assert until[:3] == ["scheduling/loop.py", "scheduling/task_runs.py", "decisions/scheduler.py"]
    assert {name: count for name, count in Counter(until).items() if count > 2} == {}, until


def _last(files: list[str], name: str) -> int:
    return len(files) - files[::-1].index(name)
