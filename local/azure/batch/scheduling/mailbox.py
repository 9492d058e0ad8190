"""Commands to nodes: in order per node, side by side between nodes, all ended by `close`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Mailbox:
    """Runs posted work; nothing outlives `close`."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Task[None]] = {}
        self._all: set[asyncio.Task[None]] = set()

    def post(self, node_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work after everything posted for this node before."""
        before = self._last.get(node_id)
        task = asyncio.get_running_loop().create_task(self._after(before, work))
        self._last[node_id] = task
        self._all.add(task)
        task.add_done_callback(lambda done: self._forget(node_id, done))

    async def idle(self) -> None:
        """Wait until everything posted, and what that posted, is done."""
        while self._all:
            await asyncio.wait(self._all)

    async def close(self) -> None:
        """Cancel what is left."""
        left = list(self._all)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    @staticmethod
    async def _after(before: asyncio.Task[None] | None, work: Callable[[], Awaitable[None]]) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        await work()

    def _forget(self, node_id: str, done: asyncio.Task[None]) -> None:
        self._all.discard(done)
        if self._last.get(node_id) is done:
            del self._last[node_id]
        if not done.cancelled() and done.exception() is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"a command to node {node_id} failed", "exception": done.exception(), "task": done}
            )
