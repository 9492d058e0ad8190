"""Runs: one attempt of a command from its folder to its last uploaded file.

Owns the order of things within a run and what ends it. What happened is written to the journal, which is how the
scheduler hears of it; whether a failed run is tried again is the scheduler's decision.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from local.node.agent import commands, containers, failures
from local.node.agent.accounts import Account, Accounts
from local.node.agent.config import AgentConfig
from local.node.agent.engine import Engine
from local.node.agent.environment import batch_variables, host_environment
from local.node.agent.images import Images
from local.node.agent.journal import Journal
from local.node.agent.transfer import Transfer
from local.node.contract import ContainerInfo, ContainerSettings, FailureInfo, RunEnded, RunSpec, RunStarted

# A run's container may have any uid (`--user`), and must be able to write here. Azure's own mode is not known: GUESS.
_WORKING_DIR_MODE = 0o777


class Running(Protocol):
    """A command or a container that runs."""

    async def wait(self) -> int: ...
    async def signal(self, name: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    exit_code: int | None = None
    failure: FailureInfo | None = None
    container: ContainerInfo | None = None


@dataclass
class _Live:
    ended: asyncio.Event
    task: asyncio.Task[None] | None = None


class Runs:
    """All runs of the node since its boot."""

    def __init__(
        self,
        config: AgentConfig,
        journal: Journal,
        accounts: Accounts,
        engine: Engine,
        images: Images,
        transfer: Transfer,
    ) -> None:
        self._config, self._journal, self._accounts = config, journal, accounts
        self._engine, self._images, self._transfer = engine, images, transfer
        self._live: dict[str, _Live] = {}
        self._stopping = False

    def start(self, run: RunSpec) -> None:
        """Take a run on, once: a run id that the journal knows is not started again."""
        if self._journal.knows(run.run_id):
            return
        self._journal.accept(run.run_id)
        live = self._live[run.run_id] = _Live(asyncio.Event())
        live.task = asyncio.create_task(self._to_journal(run, live))

    def terminate(self, run_id: str) -> None:
        """End a run; unknown and ended ones are left alone, because the caller's word may have come late."""
        if live := self._live.get(run_id):
            live.ended.set()

    async def terminate_all(self) -> None:
        """The node stops: pass it on to every run and wait for their ends. These runs count as lost, not as ended."""
        self._stopping = True
        tasks = [live.task for live in self._live.values() if live.task]
        for live in self._live.values():
            live.ended.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def execute(self, run: RunSpec, ended: asyncio.Event, on_start: Callable[[], None]) -> Outcome:
        """Do all of a run. Every reason to fail is in the outcome."""
        account: Account | None = None
        outcome = Outcome()
        try:
            task_dir = self._folders(run)
            account = await self._accounts.become(run.user)
            account.own(task_dir / "wd")  # not the folder above it, where the agent itself writes as root
            with (
                (task_dir / "stdout.txt").open("wb", buffering=0) as out,
                (task_dir / "stderr.txt").open("wb", buffering=0) as err,
            ):
                preparing = self._start(run, account, out, err)
                running = await _unless(ended, preparing)
                if running is None:
                    await self._discard_container(run)
                    return Outcome(failure=failures.ended_by_user())
                on_start()
                outcome = await self._watch(run, running, ended)
        except failures.RunFailed as failure:
            outcome = Outcome(failure=failure.info)
        except OSError as error:
            outcome = Outcome(failure=failures.launch_failed(f"{type(error).__name__}: {error}"))
        finally:
            if account:
                await self._accounts.release(account, run.user)
        if account and outcome.exit_code is not None and run.output_files:
            outcome = await self._upload(run, account, outcome)
        return outcome

    async def _to_journal(self, run: RunSpec, live: _Live) -> None:
        node_id = self._config.node.node_id

        def started() -> None:
            self._journal.add(RunStarted(node_id=node_id, run_id=run.run_id, at=datetime.now(UTC)))

        try:
            outcome = await self.execute(run, live.ended, started)
        except Exception as error:  # a bug of ours must end the run too: else its task would run for ever
            outcome = Outcome(failure=failures.launch_failed(f"the node agent failed: {error!r}"))
        if self._stopping:
            outcome = Outcome()
        self._journal.add(
            RunEnded(
                node_id=node_id, run_id=run.run_id, at=datetime.now(UTC), exit_code=outcome.exit_code,
                failure=outcome.failure, container=outcome.container, lost=self._stopping,
            )
        )  # fmt: skip
        del self._live[run.run_id]

    def _folders(self, run: RunSpec) -> Path:
        """The task's folder. Its output files are there from the first moment, also of a run that never starts."""
        task_dir = self._config.root_path / run.directory
        working_dir = task_dir / "wd"
        working_dir.mkdir(parents=True, exist_ok=True)
        working_dir.chmod(_WORKING_DIR_MODE)
        for name in ("stdout.txt", "stderr.txt"):
            (task_dir / name).write_bytes(b"")
        return task_dir

    async def _start(self, run: RunSpec, account: Account, out: BinaryIO, err: BinaryIO) -> Running:
        for resource in run.resource_files:
            for path in await self._transfer.fetch(resource, self._config.root_path / run.directory / "wd"):
                account.own(path)
        if run.container:
            return await self._start_container(run, run.container, account, out, err)
        environment = host_environment(self._config, run, account, self._transfer.imds)
        folder = self._config.root_path / run.directory / "wd"
        return await commands.start(
            run.command_line, account=account, environment=environment, folder=folder, out=out, err=err
        )

    async def _start_container(
        self, run: RunSpec, settings: ContainerSettings, account: Account, out: BinaryIO, err: BinaryIO
    ) -> Running:
        if not self._config.isolated:
            reason = "the process executor runs no containers; start the local Azure with the docker executor"
            raise failures.RunFailed(failures.container_refused(reason))
        await self._images.ensure(settings.image, settings.registry)
        container_id = await containers.create(self._config, run, settings, account)
        return await containers.start(self._engine, container_id, out, err)

    async def _discard_container(self, run: RunSpec) -> None:
        """A run that was ended while its container was made leaves none behind."""
        if run.container and self._config.isolated:
            for container in await self._engine.labelled(f"{containers.LABEL}={run.run_id}"):
                await self._engine.remove(container)

    async def _watch(self, run: RunSpec, running: Running, ended: asyncio.Event) -> Outcome:
        """Wait for the command, its time limit, or the word to end it."""
        waiting = asyncio.create_task(running.wait())
        told = asyncio.create_task(ended.wait())
        await asyncio.wait({waiting, told}, timeout=run.max_wall_clock_seconds, return_when=asyncio.FIRST_COMPLETED)
        failure: FailureInfo | None = None
        if not waiting.done():
            failure = failures.ended_by_user() if told.done() else failures.wall_clock(run.max_wall_clock_seconds or 0)
            await self._end(running, waiting)
        told.cancel()
        code = await waiting
        info = await running.info() if isinstance(running, containers.Container) else None
        if failure is None and code:
            failure = failures.exit_code(code)
        return Outcome(exit_code=code, failure=failure, container=info)

    async def _end(self, running: Running, waiting: asyncio.Task[int]) -> None:
        if self._config.terminate_with == "term":
            await running.signal("TERM")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(waiting), self._config.grace_seconds)
                return
        await running.signal("KILL")

    async def _upload(self, run: RunSpec, account: Account, outcome: Outcome) -> Outcome:
        """Upload what the run's result asks for. An upload that fails makes a good run a failed one."""
        task_dir = self._config.root_path / run.directory
        environment = batch_variables(self._config, run, account)
        result = "taskfailure" if outcome.failure else "tasksuccess"
        with (task_dir / "fileuploadout.txt").open("w") as out, (task_dir / "fileuploaderr.txt").open("w") as err:
            for output in run.output_files:
                if output.condition not in (result, "taskcompletion"):
                    continue
                try:
                    for name, size in await self._transfer.upload(output, task_dir / "wd", environment):
                        out.write(f"{datetime.now(UTC).isoformat()} uploaded {name} ({size} bytes)\n")
                except failures.RunFailed as failure:
                    err.write(
                        f"{datetime.now(UTC).isoformat()} {output.file_pattern}: {failure} {failure.info.details}\n"
                    )
                    outcome = replace(outcome, failure=outcome.failure or failure.info)
        return outcome


async def _unless(ended: asyncio.Event, preparing: Coroutine[None, None, Running]) -> Running | None:
    """What `preparing` makes, or None when the run is ended before (a pull is given up)."""
    task = asyncio.create_task(preparing)
    told = asyncio.create_task(ended.wait())
    await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None
    return await task
