"""Waiting for what nodes report, without polling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from local.node.contract import NodeChanged, NodeEvent, NodeState, RunEnded, RunStarted


class Events:
    """Collects events; `until` returns the first that fits, past or future."""

    def __init__(self) -> None:
        self.all: list[NodeEvent] = []
        self._grown = asyncio.Event()

    def __call__(self, event: NodeEvent) -> None:
        """Take an event, as an executor's receiver does."""
        self.all.append(event)
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    async def until(self, fits: Callable[[NodeEvent], bool], seconds: float = 30, after: int = 0) -> NodeEvent:
        """The first fitting event at or after position `after`."""

        async def found() -> NodeEvent:
            position = after
            while True:
                grown = self._grown
                for event in self.all[position:]:
                    if fits(event):
                        return event
                position = len(self.all)
                await grown.wait()

        try:
            return await asyncio.wait_for(found(), seconds)
        except TimeoutError:
            raise AssertionError(f"no such event in {seconds} s, but: {self.all[after:]}") from None

    async def ended(self, run_id: str, seconds: float = 30) -> RunEnded:
        """The end of a run."""
        event = await self.until(lambda one: isinstance(one, RunEnded) and one.run_id == run_id, seconds)
        assert isinstance(event, RunEnded)
        return event

    async def started(self, run_id: str) -> RunStarted:
        """The start of a run."""
        event = await self.until(lambda one: isinstance(one, RunStarted) and one.run_id == run_id)
        assert isinstance(event, RunStarted)
        return event

    async def node(
        self, *states: NodeState, after: int = 0, node_id: str | None = None, seconds: float = 60
    ) -> NodeChanged:
        """A node's arrival in one of these states."""
        event = await self.until(
            lambda one: isinstance(one, NodeChanged) and one.state in states and node_id in (None, one.node_id),
            seconds,
            after,
        )
        assert isinstance(event, NodeChanged)
        return event
