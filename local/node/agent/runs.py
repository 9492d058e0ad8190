"""Runs: one attempt of a command from its folder to its last uploaded file.

Owns the order of things within a run and what ends it. What happened is written to the journal, which is how the
scheduler hears of it; whether a failed run is tried again is the scheduler's decision.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO, Protocol, TextIO

from local.node.agent import commands, containers, failures
from local.node.agent.accounts import Account, Accounts
from local.node.agent.beneath import Beneath
from local.node.agent.config import AgentConfig
from local.node.agent.engine import Engine
from local.node.agent.environment import batch_variables, host_environment
from local.node.agent.images import Images
from local.node.agent.journal import Journal
from local.node.agent.packages import Packages
from local.node.agent.transfer import Transfer
from local.node.contract import ContainerInfo, ContainerSettings, FailureInfo, RunEnded, RunSpec, RunStarted

# A run's container may have any uid (`--user`), and must be able to write here. Azure's own mode is not known: [guess].
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
        packages: Packages,
        transfer: Transfer,
    ) -> None:
        self._config = config
        self._journal = journal
        self._accounts = accounts
        self._engine = engine
        self._images = images
        self._packages = packages
        self._transfer = transfer
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
        """End a run. One that has ended already is left alone, because the request may be late. One that never arrived
        (the local Azure was killed before it sent it) is reported as ended, and is not started any more."""
        if live := self._live.get(run_id):
            live.ended.set()
        elif not self._journal.knows(run_id):
            self._journal.accept(run_id)
            node_id = self._config.node.node_id
            ended = RunEnded(node_id=node_id, run_id=run_id, at=datetime.now(UTC), failure=failures.ended_by_user())
            self._journal.add(ended)

    async def terminate_all(self) -> None:
        """End every run because the node stops, and wait for them. They are reported as lost, not as ended."""
        self._stopping = True
        tasks = [live.task for live in self._live.values() if live.task]
        for live in self._live.values():
            live.ended.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def execute(self, run: RunSpec, ended: asyncio.Event, on_start: Callable[[], None]) -> Outcome:
        """Do all of a run. A run that fails raises nothing: the outcome has the reason."""
        account: Account | None = None
        outcome = Outcome()
        try:
            with self._task_folder(run) as task, _new(task, "stdout.txt") as out, _new(task, "stderr.txt") as err:
                account = await self._accounts.become(run.user)
                with task.folder("wd", make=True) as working_dir:
                    os.fchmod(working_dir.fileno(), _WORKING_DIR_MODE)
                    account.own(working_dir.fileno())  # not the folder above it, where the agent itself writes as root
                    preparing = self._start(run, account, working_dir, out, err)
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
            try:
                outcome = await self._upload(run, account, outcome)
            except OSError as error:
                failure = failures.upload(0, "", f"{type(error).__name__}: {error}")
                outcome = replace(outcome, failure=outcome.failure or failure)
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
                node_id=node_id,
                run_id=run.run_id,
                at=datetime.now(UTC),
                exit_code=outcome.exit_code,
                failure=outcome.failure,
                container=outcome.container,
                lost=self._stopping,
            )
        )
        del self._live[run.run_id]

    def _task_folder(self, run: RunSpec, reader: Account | None = None) -> Beneath:
        """The task's folder, made if it is missing. Tasks may have written all around it: no link is followed to it."""
        with Beneath.at(self._config.root_path, reader) as root:
            return root.folder(run.directory, make=True)

    async def _start(
        self, run: RunSpec, account: Account, working_dir: Beneath, out: BinaryIO, err: BinaryIO
    ) -> Running:
        await self._packages.ensure(run.application_packages)
        for resource in run.resource_files:
            await self._transfer.fetch(resource, working_dir, account)
        if run.container:
            return await self._start_container(run, run.container, account, out, err)
        environment = host_environment(self._config, run, account, self._transfer.imds)
        return await commands.start(
            run.command_line, account=account, environment=environment, working_dir=working_dir, out=out, err=err
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
        """Wait until the command ends, its time is over, or it is to be ended."""
        waiting = asyncio.create_task(running.wait())
        ending = asyncio.create_task(ended.wait())
        await asyncio.wait({waiting, ending}, timeout=run.max_wall_clock_seconds, return_when=asyncio.FIRST_COMPLETED)
        failure: FailureInfo | None = None
        if not waiting.done():
            failure = (
                failures.ended_by_user() if ending.done() else failures.wall_clock(run.max_wall_clock_seconds or 0)
            )
            await self._end(running, waiting)
        ending.cancel()
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
        result = "taskfailure" if outcome.failure else "tasksuccess"
        variables = batch_variables(self._config, run, account)
        reader = containers.reader_of(run.container, account) if run.container else account
        with (
            self._task_folder(run, reader) as task,
            _log(task, "fileuploadout.txt") as out,
            _log(task, "fileuploaderr.txt") as err,
        ):
            for output in run.output_files:
                if output.condition not in (result, "taskcompletion"):
                    continue
                for one in await self._transfer.upload(output, task, variables):
                    at = datetime.now(UTC).isoformat()
                    if one.failure:
                        reason = f"{one.failure.code}: {one.failure.message} {one.failure.details}"
                        err.write(f"{at} {output.file_pattern}: {one.file!r}: {reason}\n")
                        outcome = replace(outcome, failure=outcome.failure or one.failure)
                    elif one.skipped:
                        err.write(f"{at} {output.file_pattern}: {one.file!r}: {one.skipped}\n")
                    else:
                        out.write(f"{at} uploaded {one.name} ({one.size} bytes)\n")
        return outcome


def _new(task: Beneath, name: str) -> BinaryIO:
    """A file of the agent's own in the task's folder, unbuffered; it replaces whatever has the name."""
    return os.fdopen(task.create_file(name), "wb", buffering=0)


def _log(task: Beneath, name: str) -> TextIO:
    """The same for text, in which a task's names may stand."""
    return os.fdopen(task.create_file(name), "w", encoding="utf-8", errors="backslashreplace")


async def _unless(ended: asyncio.Event, preparing: Coroutine[None, None, Running]) -> Running | None:
    """Return what `preparing` makes, or None when the run is ended before that; a pull is then given up."""
    task = asyncio.create_task(preparing)
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None
    return await task
