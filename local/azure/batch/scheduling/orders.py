"""What nodes are told, and what it means when one cannot be told: orders of one node in sequence, side by side between
nodes.

Owns the way to the executor. An order leaves when the turn that gave it is on disk; what became of it comes back as an
event.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from local.azure.batch.decisions.run_specs import SpecWriter
from local.azure.batch.model import Job, Node, Pool, Task
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.states import TAKES_TASKS
from local.azure.batch.scheduling.loop import Loop
from local.azure.platform.clock import Clock
from local.node.contract import Executor, FailureInfo, NodeState, NodeUnreachable, RunEnded, RunSpec

log = logging.getLogger(__name__)


class Orders:
    """One account's."""

    def __init__(self, state: AccountState, clock: Clock, executor: Executor, specs: SpecWriter, loop: Loop) -> None:
        self.executor, self.specs, self.mailbox = executor, specs, Mailbox()
        self._state, self._clock, self._loop = state, clock, loop

    def post(self, node_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Have something done with a node, after all that was ordered for it before."""
        self._loop.command(lambda: self.mailbox.post(node_id, work))

    # -- runs --------------------------------------------------------------------------------------------------------

    def start_task(self, task: Task, job: Job, node: Node, pool: Pool) -> None:
        """Start the task's own command, unless the run is to end already."""
        if task.ending is None:
            self.start_run(node.id, self.specs.task(task, job, node, pool))

    def start_run(self, node_id: str, spec: RunSpec) -> None:
        """Start a run; starting it twice is harmless."""
        self._about_run(node_id, spec.run_id, lambda: self.executor.start_run(node_id, spec))

    def terminate_run(self, node_id: str, run_id: str) -> None:
        """End a run whose end is waited for."""
        self._about_run(node_id, run_id, lambda: self.executor.terminate_run(node_id, run_id))

    def stop_run(self, node_id: str, run_id: str) -> None:
        """End a run of which nothing is expected any more."""

        async def stop() -> None:
            try:
                await self.executor.terminate_run(node_id, run_id)
            except NodeUnreachable:
                log.debug("node %s is gone, and run %s with it", node_id, run_id)

        self.post(node_id, stop)

    def refuse_run(self, node_id: str, run_id: str, failure: FailureInfo) -> None:
        """A run that cannot begin has ended."""
        self._loop.post(RunEnded(node_id=node_id, run_id=run_id, at=self._clock.now(), failure=failure))

    def _about_run(self, node_id: str, run_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Tell a node about a run; a node that does not answer has lost it and gets no other until it reports."""

        async def attempt() -> None:
            if not self._knows(run_id):
                return
            try:
                await work()
            except NodeUnreachable:
                log.warning("node %s does not answer; its run %s is requeued", node_id, run_id)
                self._unreachable(node_id, run_id)
            except Exception as error:
                log.exception("node %s could not be told about run %s", node_id, run_id)
                failure = FailureInfo(category="servererror", code="CommandLaunchFailed", message=str(error))
                self.refuse_run(node_id, run_id, failure)

        self.post(node_id, attempt)

    def _knows(self, run_id: str) -> bool:
        state = self._state
        return run_id in state.runs or run_id in state.job_task_runs or run_id in state.coordination_runs

    def _unreachable(self, node_id: str, run_id: str) -> None:
        with self._loop.turn():
            node = self._state.nodes.get(node_id)
            if node is not None and node.state in TAKES_TASKS:
                node.become(NodeState.UNKNOWN, self._clock.now())
                self._state.save(node)
            self._loop.post(RunEnded(node_id=node_id, run_id=run_id, at=self._clock.now(), lost=True))

    # -- files -------------------------------------------------------------------------------------------------------

    def erase_files(self, node_ids: Iterable[str | None], directory: str) -> None:
        """Remove a folder from the nodes that had it."""
        for node_id in node_ids:
            if node_id is not None and node_id in self._state.nodes:
                self.post(node_id, lambda node_id=node_id: self._delete_files(node_id, directory))

    async def _delete_files(self, node_id: str, directory: str) -> None:
        try:
            await self.executor.delete_file(node_id, directory, True)
        except (FileNotFoundError, NodeUnreachable):
            log.debug("no files %s on node %s", directory, node_id)

    async def close(self) -> None:
        """Give up what no node was told yet: it is told again after the next start."""
        await self.mailbox.close()


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
