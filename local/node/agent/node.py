"""The node's life from boot to idle: users, application packages, engine, images, start task; and its orderly stop.

The agent reports boot states only; that a node is `running` is the scheduler's knowledge. Facts: a
failed prefetch makes the node `unusable` and is not retried; a start task runs at each boot, and its failure makes the
node `starttaskfailed` where the pool waits for it.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from local.node.agent import containers, failures
from local.node.agent.accounts import AccountRefused, Accounts
from local.node.agent.beneath import Beneath
from local.node.agent.config import ROOT_FOLDERS, AgentConfig
from local.node.agent.engine import Engine, EngineError
from local.node.agent.images import Images
from local.node.agent.journal import Journal
from local.node.agent.mounts import Mounts
from local.node.agent.packages import DOWNLOAD, Packages
from local.node.agent.runs import Runs
from local.node.contract import NodeChanged, NodeState, RunEnded, RunSpec

_ENGINE_SECONDS = 60
_FOREVER = -1


class Node:
    """One node. `state` is the last state that it reported."""

    def __init__(
        self,
        config: AgentConfig,
        journal: Journal,
        accounts: Accounts,
        engine: Engine,
        images: Images,
        packages: Packages,
        mounts: Mounts,
        runs: Runs,
    ) -> None:
        self._config = config
        self._journal = journal
        self._accounts = accounts
        self._engine = engine
        self._images = images
        self._packages = packages
        self._mounts = mounts
        self._runs = runs
        self._boot_id = uuid.uuid4().hex
        self._now = NodeChanged(node_id=config.node.node_id, state=NodeState.STARTING, at=datetime.now(UTC))
        self._stopping = asyncio.Event()

    @property
    def state(self) -> NodeState:
        """The last state."""
        return self._now.state

    async def boot(self) -> None:
        """Bring the node up. When it cannot be used, its last event has the reason."""
        self._set_state(NodeState.STARTING)
        lost = self._lost_runs()
        try:
            self._make_folders()
            await self._accounts.prepare(self._config.node.user_accounts)
            await self._packages.ensure(self._config.node.application_packages)
            await self._mounts.mount(
                self._config.node.mounts
            )  # before any container, which would not see a later mount
            await self._prepare_containers(lost)
        except failures.RunFailed as failure:
            details = "; ".join(value for _, value in failure.info.details)
            return self._set_state(
                NodeState.UNUSABLE, errors=((failure.info.code, f"{failure.info.message}: {details}"),)
            )
        except (AccountRefused, EngineError, OSError) as error:
            return self._set_state(
                NodeState.UNUSABLE, errors=(("NodeNotReady", str(error)),)
            )  # [guess]: the code is ours
        if self._config.node.start_task:
            await self._start_task(self._config.node.start_task)
        else:
            self._set_state(NodeState.IDLE)

    async def stop(self) -> None:
        """End all runs, then unmount the file systems."""
        self._stopping.set()
        await self._runs.terminate_all()
        await self._mounts.close()

    def _lost_runs(self) -> list[str]:
        """Report the runs of before the boot as lost, before any new run can start: their processes are gone."""
        lost = self._journal.unfinished()
        for run_id in lost:
            self._journal.add(
                RunEnded(node_id=self._config.node.node_id, run_id=run_id, at=datetime.now(UTC), lost=True)
            )
        return lost

    def _make_folders(self) -> None:
        """The node root's folders. After a reboot tasks have written there: what is no folder now is an error."""
        with Beneath.at(self._config.root_path) as root:
            for name in ROOT_FOLDERS:
                with root.folder(name, make=True) as folder:
                    os.fchmod(folder.fileno(), 0o1777 if name == "shared" else 0o755)
        for beginning in (containers.ENVIRONMENT_FILE, DOWNLOAD):
            for left_over in Path(self._config.state).glob(f"{beginning}*"):
                left_over.unlink()  # of an agent that was killed while it made a container or downloaded a package

    async def _prepare_containers(self, lost: list[str]) -> None:
        """With a container configuration: the engine, then the images. The leftovers of lost runs are removed."""
        images = self._config.node.container_images
        if images is None or not self._config.isolated:
            return
        await self._engine.wait_ready(_ENGINE_SECONDS)
        for run_id in lost:
            for container in await self._engine.labelled(f"{containers.LABEL}={run_id}"):
                await self._engine.remove(container)
        for image in images:
            await self._images.ensure(image)

    async def _start_task(self, run: RunSpec) -> None:
        node = self._config.node
        waiting = NodeState.WAITING_FOR_START_TASK if node.start_task_wait else NodeState.IDLE
        attempts, retries = node.start_task_retries, 0
        while True:
            started = datetime.now(UTC)
            self._set_state(waiting, start_task_started=started, start_task_retries=retries)
            outcome = await self._runs.execute(run, self._stopping, lambda: None)
            if self._stopping.is_set():
                return  # the node goes down: it says nothing of a start task that it broke off itself
            if outcome.failure is None or (attempts != _FOREVER and retries >= attempts):
                break
            retries += 1
        failed = outcome.failure is not None and node.start_task_wait
        self._set_state(
            NodeState.START_TASK_FAILED if failed else NodeState.IDLE,
            start_task_started=started,
            start_task_ended=datetime.now(UTC),
            start_task_retries=retries,
            start_task_exit_code=outcome.exit_code,
            start_task_failure=outcome.failure,
        )

    def _set_state(self, state: NodeState, **more: object) -> None:
        node_id = self._config.node.node_id
        fresh = NodeChanged(node_id=node_id, state=state, at=datetime.now(UTC), boot_id=self._boot_id)
        self._now = replace(fresh, **more)  # type: ignore[arg-type]
        self._journal.add(self._now)
