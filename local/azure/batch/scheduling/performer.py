"""Carries out commands: to nodes, through the executor, those of one node in sequence and side by side between nodes;
and timers on the cloud's clock.

The only part of the scheduling that waits for anything. What became of a command comes back to the loop as an event.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from local.azure.batch.model import Pool
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.scheduling.loop import Loop
from local.azure.batch.scheduling.messages import (
    AnnouncePoolGone,
    Arm,
    AwaitNode,
    Command,
    CreateNode,
    Disarm,
    EraseFiles,
    MachineGone,
    MachineStays,
    NodeFree,
    NodeNotMade,
    RebootNode,
    RunUnreachable,
    StartRun,
    StopRun,
    TakeDown,
    TerminateRun,
)
from local.azure.platform.clock import Clock, Timer
from local.node.contract import Executor, FailureInfo, NodeUnreachable, RunEnded

log = logging.getLogger(__name__)


class Performer:
    """One account's. `pool_gone` is called for each pool that is gone."""

    def __init__(
        self, state: AccountState, clock: Clock, executor: Executor, loop: Loop, pool_gone: Callable[[Pool], None]
    ) -> None:
        self.mailbox = Mailbox()
        self._state = state
        self._clock = clock
        self._executor = executor
        self._loop = loop
        self._pool_gone = pool_gone
        self._timers: dict[tuple[str, str], Timer] = {}
        self._works: dict[type, Callable[..., Awaitable[None]]] = {
            StartRun: self._start_or_terminate_run,
            TerminateRun: self._start_or_terminate_run,
            StopRun: self._stop_run,
            EraseFiles: self._erase_files,
            CreateNode: self._create_node,
            RebootNode: self._reboot_node,
            TakeDown: self._take_down,
            AwaitNode: self._await_node,
        }

    def perform(self, command: Command) -> None:
        """Carry out a command of a turn that is written."""
        if isinstance(command, Arm):
            self._arm(command)
        elif isinstance(command, Disarm):
            self._disarm(command.kind, command.name)
        elif isinstance(command, AnnouncePoolGone):
            self._pool_gone(command.pool)
        else:
            self.mailbox.post(command.node_id, partial(self._works[type(command)], command))

    async def close(self) -> None:
        """Stop timers, and give up what no node was told yet: it is told again after the next start."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        await self.mailbox.close()

    # -- timers ------------------------------------------------------------------------------------------------------

    def _arm(self, command: Arm) -> None:
        place = (command.kind, command.name)
        if command.if_idle and place in self._timers:
            return
        self._disarm(*place)
        self._timers[place] = self._clock.call_at(command.when, lambda: self._fire(place, command.event))

    def _fire(self, place: tuple[str, str], event: object) -> None:
        self._timers.pop(place, None)
        self._loop.report(event)

    def _disarm(self, kind: str, name: str) -> None:
        timer = self._timers.pop((kind, name), None)
        if timer is not None:
            timer.cancel()

    # -- runs --------------------------------------------------------------------------------------------------------

    async def _start_or_terminate_run(self, command: StartRun | TerminateRun) -> None:
        node_id, run_id = command.node_id, command.run_id
        if not self._state.knows_run(run_id):
            return
        try:
            if isinstance(command, StartRun):
                await self._executor.start_run(node_id, command.spec)
            else:
                await self._executor.terminate_run(node_id, run_id)
        except NodeUnreachable:
            log.warning("node %s does not answer; its run %s is requeued", node_id, run_id)
            self._loop.report(RunUnreachable(node_id, run_id))
        except Exception as error:
            log.exception("node %s could not be told about run %s", node_id, run_id)
            failure = FailureInfo(category="servererror", code="CommandLaunchFailed", message=str(error))
            self._loop.report(RunEnded(node_id=node_id, run_id=run_id, at=self._clock.now(), failure=failure))

    async def _stop_run(self, command: StopRun) -> None:
        try:
            await self._executor.terminate_run(command.node_id, command.run_id)
        except NodeUnreachable:
            log.debug("node %s is gone, and run %s with it", command.node_id, command.run_id)

    async def _erase_files(self, command: EraseFiles) -> None:
        try:
            await self._executor.delete_file(command.node_id, command.directory, True)
        except (FileNotFoundError, NodeUnreachable):
            log.debug("no files %s on node %s", command.directory, command.node_id)

    # -- machines ----------------------------------------------------------------------------------------------------

    async def _create_node(self, command: CreateNode) -> None:
        try:
            await self._executor.create_node(command.spec)
        except Exception as error:
            log.exception("node %s of pool %s could not be made", command.node_id, command.spec.pool_id)
            self._loop.report(NodeNotMade(command.node_id, str(error)))

    async def _reboot_node(self, command: RebootNode) -> None:
        await self._executor.reboot_node(command.node_id, command.spec)

    async def _take_down(self, command: TakeDown) -> None:
        node = self._state.nodes.get(command.node_id)
        if node is None or not node.goes_down:
            return
        try:
            await self._executor.delete_node(command.node_id)
        except Exception:
            log.exception("the machine of node %s could not be deleted", command.node_id)
            self._loop.report(MachineStays(command.node_id))
        else:
            self._loop.report(MachineGone(command.node_id))

    async def _await_node(self, command: AwaitNode) -> None:
        self._loop.report(NodeFree(command.node_id))


class Mailbox:
    """Runs posted work, of one node in sequence and side by side between nodes; nothing outlives `close`."""

    def __init__(self) -> None:
        self._works: dict[str, deque[Callable[[], Awaitable[None]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, node_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work after everything posted for this node before."""
        works = self._works.get(node_id)
        if works is not None:
            works.append(work)
            return
        self._works[node_id] = works = deque([work])
        task = asyncio.get_running_loop().create_task(self._run(node_id, works))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait until everything posted, and what that posted, is done."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel what is left."""
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._works.clear()

    async def _run(self, node_id: str, works: deque[Callable[[], Awaitable[None]]]) -> None:
        while works:
            try:
                await works.popleft()()
            except Exception as error:  # what was posted behind it is done all the same
                message = f"a command to node {node_id} failed"
                asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
        self._works.pop(node_id, None)
