"""Job preparation and release with a real agent process: files, variables, and a service that is killed meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from local.azure.batch.model.states import JobState, TaskState
from local.azure.batch.scheduling import job_life
from local.azure.platform.certificates import ensure_authority
from local.azure.platform.clock import ManualClock
from local.azure.platform.store import Store
from local.node.contract import NodeEvent
from local.node.process_executor import ProcessExecutor
from local.node.relay import NodeRelay
from local.paths import Paths
from tests.azure.batch.world import World
from tests.node.specs import fake_imds

READY = "$AZ_BATCH_JOB_PREP_WORKING_DIR/ready"


def job_tasks(gate: Path) -> dict[str, object]:
    """A preparation that waits until something is written to the gate, and a release that shows what it was."""
    prepare = f"sh -c 'echo x >> $AZ_BATCH_NODE_SHARED_DIR/count; cat {gate} > ready'"
    return {
        "jobPreparationTask": {"commandLine": prepare},
        "jobReleaseTask": {"commandLine": f"sh -c 'cat {READY}'"},
    }


class Service(World):
    """A scheduler whose nodes are processes of this machine."""

    def __init__(self, paths: Paths, store: Store, clock: ManualClock) -> None:
        executor = ProcessExecutor(paths, NodeRelay(range(0), fake_imds))
        super().__init__(store, clock, executor)  # type: ignore[arg-type]
        self.processes = executor
        self.paths = paths
        self._grown = asyncio.Event()

    def on_event(self, event: NodeEvent) -> None:
        super().on_event(event)
        self._grown.set()

    async def until(self, wanted: Callable[[], object]) -> None:
        """Wait for reports until it is so."""
        async with asyncio.timeout(60):
            while not wanted():
                await self._grown.wait()
                self._grown.clear()
                await self.settle()

    async def dies(self) -> None:
        await self.close()
        await self.processes.close()

    def folder(self, task: str) -> Path:
        (node_id,) = self.state.nodes
        return self.paths.state / "process-nodes" / node_id / "tasks" / "workitems/job/job-1" / task


@pytest_asyncio.fixture
async def service(
    tmp_path: Path,
    runtime: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[list[Service]]:
    """The services of the test, the present one last; its node ends with it."""
    monkeypatch.setattr(Paths, "sockets", property(lambda self: runtime))
    paths = Paths(tmp_path)
    paths.ensure()
    ensure_authority(paths)
    made = [Service(paths, Store(None), ManualClock(datetime.now(UTC)))]
    await made[0].open()
    made[0].pool()
    yield made
    for node_id in list(made[-1].state.nodes):
        await made[-1].processes.delete_node(node_id)
    await made[-1].dies()


async def test_a_preparation_that_ends_while_the_service_is_dead_is_not_run_again(
    service: list[Service], tmp_path: Path
) -> None:
    gate, first = tmp_path / "gate", service[-1]
    os.mkfifo(gate)
    first.job(job_tasks(gate))
    first.task(command_line=f"sh -c 'cat {READY}; test -d $AZ_BATCH_JOB_PREP_DIR'")
    await first.until(lambda: any(one.started for one in first.state.job_tasks["job"].values()))
    await first.dies()
    await asyncio.to_thread(gate.write_text, "prepared\n")  # waits for its reader
    second = Service(first.paths, first.store, first.clock)
    service.append(second)
    await second.open()
    task = second.state.tasks(second.state.jobs["job"])["t"]
    await second.until(lambda: task.state is TaskState.COMPLETED)
    assert task.result == "success", task.failure
    assert (second.folder("t") / "stdout.txt").read_text() == "prepared\n"
    assert (second.folder("t").parents[3] / "shared/count").read_text() == "x\n"
    job = second.state.jobs["job"]
    second.scheduling.do(job_life.terminate, job, "enough")
    await second.until(lambda: job.state is JobState.COMPLETED)
    assert (second.folder("jobrelease") / "stdout.txt").read_text() == "prepared\n"
