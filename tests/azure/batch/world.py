"""One Batch account's scheduler without HTTP, on a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from local.azure.batch.decisions.run_specs import SpecWriter
from local.azure.batch.model import Job, Pool, Task
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.job import with_defaults as job_defaults
from local.azure.batch.model.task import with_defaults as task_defaults
from local.azure.batch.scheduling import allocation, assignment, job_life
from local.azure.batch.scheduling.assembly import Scheduling
from local.azure.platform.clock import ManualClock
from local.azure.platform.store import Store
from local.node.contract import ApplicationPackage, FileSystemMount, NodeEvent
from local.node.noop import NoopExecutor

START = datetime(2026, 1, 1, tzinfo=UTC)


class NoStorage:
    """An account without auto-storage, packages and mounts."""

    def packages(self, references: Iterable[dict[str, str]]) -> tuple[ApplicationPackage, ...]:
        return ()

    def auto_storage_container(self, name: str) -> tuple[str, str | None]:
        return "", None

    def mounts(self, pool: Pool) -> tuple[FileSystemMount, ...]:
        return ()


class World:
    """One account's scheduler on a manual clock and a store in memory; no HTTP."""

    def __init__(self, store: Store, clock: ManualClock, executor: NoopExecutor) -> None:
        self.store = store
        self.clock = clock
        self.executor = executor
        self.state = AccountState(store, "account")
        specs = SpecWriter("account", "https://127.0.0.1:1", lambda resource_id: None, NoStorage(), lambda *run: "")
        self.scheduling = Scheduling(self.state, clock, executor, specs)

    def on_event(self, event: NodeEvent) -> None:
        self.scheduling.loop.post(event)

    async def open(self) -> None:
        await self.executor.open(self.on_event)
        self.scheduling.resume()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)
            self.scheduling.loop.settle()
            await self.scheduling.idle()

    async def close(self) -> None:
        await self.scheduling.close()

    async def advance(self, **by: float) -> None:
        self.scheduling.loop.settle()  # what was reported before
        self.clock.advance(timedelta(**by))
        await self.settle()

    def pool(self, nodes: int = 1) -> None:
        body = {"id": "pool", "vmSize": "x", "virtualMachineConfiguration": {}, "taskSlotsPerNode": 1}
        self.scheduling.do(allocation.make_pool, "pool", body, {}, nodes, 0)

    def job(self, more: dict[str, object] | None = None, **constraints: str) -> Job:
        body = job_defaults({"id": "job", "poolInfo": {"poolId": "pool"}, "constraints": constraints, **(more or {})})
        return self.scheduling.do(job_life.create, "job", body)

    def task(
        self,
        name: str = "t",
        retries: int = 0,
        depends_on: dict[str, object] | None = None,
        command_line: str = "x",
        **constraints: str,
    ) -> Task:
        limits = {"maxTaskRetryCount": retries, **constraints}
        now = self.clock.now()
        body = task_defaults(
            {"id": name, "commandLine": command_line, "constraints": limits, "dependsOn": depends_on or {}}, 0
        )
        task = Task(
            id=name, job_id="job", body=body, created=now, state_since=now, changed=now, number=self.state.next_number()
        )
        with self.scheduling.loop.turn() as turn:
            turn.add(task)
            assignment.wake(turn, "pool")
        return task
