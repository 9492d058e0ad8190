"""Pools being made, getting and losing nodes: resize, stop resize, remove nodes, delete; and what becomes of a node:
reboot, reimage, deallocate, start.

Owns allocation; what the nodes do meanwhile is the executor's, which tasks they run is the dispatcher's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from local.azure.batch.model import Ending, Node, Pool
from local.azure.batch.model.node import PendingVerb, new_node_id
from local.azure.batch.model.pool import take_secrets
from local.azure.batch.model.states import AllocationEvent, AllocationState, NodeEvent, PoolState
from local.azure.batch.scheduling import scheduler
from local.azure.batch.scheduling.dispatcher import Dispatcher
from local.node.contract import NodeState

log = logging.getLogger(__name__)
DELETE_AGAIN_SECONDS = 5
_VERB_EVENTS = {PendingVerb.REIMAGE: NodeEvent.REIMAGE, PendingVerb.DEALLOCATE: NodeEvent.DEALLOCATE}
_ENDINGS = {"requeue": Ending.REQUEUE, "terminate": Ending.TERMINATE}


class Allocation:
    """One account's pools and their nodes."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._state, self._clock, self._executor = dispatcher.state, dispatcher.clock, dispatcher.executor
        self._gone: dict[str, asyncio.Event] = {}
        self.on_pool_gone: Callable[[Pool], None] = lambda pool: None
        self.on_pool_made: Callable[[Pool], None] = lambda pool: None
        dispatcher.on_node_settled = self._node_settled

    def make_pool(
        self, pool_id: str, body: dict[str, Any], secrets: dict[str, Any], dedicated: int, low_priority: int,
        auto_pool_of: str | None = None,
    ) -> Pool:  # fmt: skip
        """A new pool of a checked definition, and its nodes asked for."""
        now = self._clock.now()
        pool = Pool(
            id=pool_id, body=body, created=now, state_since=now, changed=now, allocation_since=now,
            number=self._state.next_number(), secrets=secrets, auto_pool_of=auto_pool_of,
        )  # fmt: skip
        self._state.save(pool)
        self.resize(pool, dedicated, low_priority)
        self.on_pool_made(pool)
        return pool

    def make_auto_pool(self, pool_id: str, specification: dict[str, Any], owner: str) -> Pool:
        """Make a pool by the specification of a job."""
        given, secrets = take_secrets({**specification, "id": pool_id})
        dedicated, low_priority = given.pop("targetDedicatedNodes"), given.pop("targetLowPriorityNodes")
        return self.make_pool(pool_id, given, secrets, dedicated, low_priority, owner)

    def resize(self, pool: Pool, dedicated: int, low_priority: int, option: str = "requeue") -> None:
        """Make or remove nodes until the pool has its targets."""
        pool.target_dedicated, pool.target_low_priority, pool.resize_errors = dedicated, low_priority, []
        pool.stopped = False
        pool.allocate(AllocationEvent.RETARGET, self._clock.now())
        with self._state.store.transaction():
            self._state.save(pool)
            for kind, target in ((True, dedicated), (False, low_priority)):
                staying = [
                    node for node in self._state.nodes_of(pool.id) if node.dedicated is kind and not node.leaving
                ]
                for _ in range(target - len(staying)):
                    self._make(pool, kind)
                busy = [(node.id, len(self._state.on_node[node.id])) for node in staying]
                for node_id in scheduler.nodes_to_remove(busy, max(0, len(staying) - target)):
                    self._leave(self._state.nodes[node_id], option)
        self._soon(pool)

    def stop_resize(self, pool: Pool) -> None:
        """End the resize where it stands: nodes that are not allocated yet are given up. The target stays as it was
        asked for, and an error says that it was not met (recorded)."""
        pool.allocate(AllocationEvent.STOP, self._clock.now())
        pool.stopped = True
        with self._state.store.transaction():
            self._state.save(pool)
            for node in self._state.nodes_of(pool.id):
                if node.state is NodeState.CREATING:
                    self._leave(node, "requeue")
        self._soon(pool)

    def remove(self, pool: Pool, nodes: list[Node], option: str) -> None:
        """Take these nodes out of the pool, and its target down with them."""
        pool.allocate(AllocationEvent.RESIZE, self._clock.now())
        pool.resize_errors, pool.stopped = [], False
        with self._state.store.transaction():
            for node in nodes:
                pool.target_dedicated -= node.dedicated
                pool.target_low_priority -= not node.dedicated
                self._leave(node, option)
            self._state.save(pool)
        self._soon(pool)

    def reboot(self, node: Node, option: str) -> None:
        """Reboot when its runs are over; `requeue` and `terminate` end them now."""
        ending = _ENDINGS.get(option)
        node.reboot_pending = True
        if ending is not None:
            node.happen(NodeEvent.REBOOT, self._clock.now())
        self._state.save(node)
        self._end_runs(node, ending)
        self._node_settled(node)

    def remake(self, node: Node, verb: PendingVerb, option: str) -> None:
        """Reimage or deallocate when the node's runs are over; `requeue` and `terminate` end them now."""
        ending = _ENDINGS.get(option)
        node.pending = verb
        if ending is not None:
            node.happen(_VERB_EVENTS[verb], self._clock.now())
        self._state.save(node)
        self._end_runs(node, ending)
        self._node_settled(node)

    def start(self, node: Node) -> None:
        """Give a deallocated node a machine again."""
        node.happen(NodeEvent.START, self._clock.now())
        self._state.save(node)
        self._ask_for(node, self._state.pools[node.pool_id.lower()])

    async def _remake_node(self, node: Node) -> None:
        """The machine goes with all that is on it; a reimaged node gets another one at once."""
        verb = node.pending
        if verb is None or self._state.on_node[node.id] or node.leaving:
            return
        if node.state not in (NodeState.REIMAGING, NodeState.DEALLOCATING):
            node.happen(_VERB_EVENTS[verb], self._clock.now())
            self._state.save(node)
        try:
            await self._executor.delete_node(node.id)
        except Exception:
            self._again(node, "taken down")
            return
        if node.leaving:
            return
        node.pending = None
        node.start_task, node.errors, node.users, node.admins = None, [], [], []
        self._dispatcher.job_tasks.node_booted(node, anew=True)
        if verb is PendingVerb.DEALLOCATE:
            node.happen(NodeEvent.DEALLOCATED, self._clock.now())
            self._state.save(node)
        else:
            self._state.save(node)
            self._ask_for(node, self._state.pools[node.pool_id.lower()])

    def _again(self, node: Node, what: str) -> None:
        log.exception("node %s could not be %s; tried again in %d s", node.id, what, DELETE_AGAIN_SECONDS)
        when = self._clock.now() + timedelta(seconds=DELETE_AGAIN_SECONDS)
        self._clock.call_at(when, lambda: self._node_settled(node))

    def delete(self, pool: Pool) -> asyncio.Event:
        """Remove every node, then the pool; the event is set when it is gone."""
        gone = self._gone.setdefault(pool.id.lower(), asyncio.Event())
        if pool.state is not PoolState.DELETING:
            with self._state.store.transaction():
                pool.delete(self._clock.now())
                self._state.save(pool)
                for node in self._state.nodes_of(pool.id):
                    self._leave(node, "requeue")
        self._soon(pool)
        return gone

    def resume(self) -> None:
        """After a restart: ask again for every node that shall be, and go on removing the others."""
        for pool in list(self._state.pools.values()):
            for node in self._state.nodes_of(pool.id):
                if node.leaving or node.pending is not None:
                    self._node_settled(node)
                elif node.state is not NodeState.DEALLOCATED:
                    self._ask_for(node, pool)
                    if node.reboot_pending:
                        self._node_settled(node)
            self._soon(pool)

    def end_runs(self, node: Node, option: str) -> None:
        """What a deallocation or disable option does to the node's runs."""
        self._end_runs(node, _ENDINGS.get(option))

    def _make(self, pool: Pool, dedicated: bool) -> None:
        now = self._clock.now()
        node = Node(
            id=new_node_id(dedicated), body={}, created=now, state_since=now, changed=now, booted=now,
            pool_id=pool.id, number=self._state.next_number(), dedicated=dedicated, slots=pool.slots,
        )  # fmt: skip
        self._state.save(node)
        self._ask_for(node, pool)

    def _ask_for(self, node: Node, pool: Pool) -> None:
        spec = self._dispatcher.specs.node(node, pool)

        async def make() -> None:
            try:
                await self._executor.create_node(spec)
            except Exception as error:
                log.exception("node %s of pool %s could not be made", node.id, pool.id)
                pool.resize_errors = [{"code": "AllocationFailed", "message": f"A node could not be made: {error}"}]
                self._state.save(pool)
                await self._discard(node)

        self._dispatcher.mailbox.post(node.id, make)

    def _leave(self, node: Node, option: str) -> None:
        if not node.leaving:
            node.happen(NodeEvent.REMOVE, self._clock.now())
            self._state.save(node)
        self._end_runs(node, _ENDINGS.get(option))
        self._node_settled(node)

    def _end_runs(self, node: Node, ending: Ending | None) -> None:
        if ending is not None:
            for task in list(self._state.on_node[node.id].values()):
                self._dispatcher.end_run(task, ending)

    def _node_settled(self, node: Node) -> None:
        """A node changed: if it waits for its runs to end and none is left, go on."""
        if node.id not in self._state.nodes:
            return
        if not self._state.on_node[node.id]:
            if node.leaving:
                self._dispatcher.mailbox.post(node.id, lambda: self._delete_node(node))
            elif node.pending is not None:
                self._dispatcher.mailbox.post(node.id, lambda: self._remake_node(node))
            elif node.reboot_pending:
                self._dispatcher.mailbox.post(node.id, lambda: self._reboot_node(node))
        pool = self._state.pools.get(node.pool_id.lower())
        if pool is not None and pool.allocation is not AllocationState.STEADY:
            self._soon(pool)

    async def _delete_node(self, node: Node) -> None:
        if node.id not in self._state.nodes:
            return
        try:
            await self._executor.delete_node(node.id)
        except Exception:
            self._again(node, "deleted")
            return
        self._forget(node)

    async def _reboot_node(self, node: Node) -> None:
        if not node.reboot_pending or self._state.on_node[node.id]:
            return
        if node.state is not NodeState.REBOOTING:
            node.happen(NodeEvent.REBOOT, self._clock.now())
        node.reboot_pending = False
        self._state.save(node)
        await self._executor.reboot_node(
            node.id, self._dispatcher.specs.node(node, self._state.pools[node.pool_id.lower()])
        )

    async def _discard(self, node: Node) -> None:
        """A node that could not be made, or made again: whatever there is of it goes too."""
        try:
            await self._executor.delete_node(node.id)
        except Exception:
            log.exception("what there is of node %s could not be deleted", node.id)
        self._forget(node)

    def _forget(self, node: Node) -> None:
        if node.id not in self._state.nodes:
            return
        if not node.leaving:
            node.happen(NodeEvent.REMOVE, self._clock.now())  # so that it gets no other run
        self._dispatcher.lose_runs(node.id)
        self._dispatcher.job_tasks.node_gone(node.id)
        self._state.drop(node)
        pool = self._state.pools.get(node.pool_id.lower())
        if pool is not None:
            self._soon(pool)

    def _soon(self, pool: Pool) -> None:
        asyncio.get_running_loop().call_soon(self._settle, pool)

    def _settle(self, pool: Pool) -> None:
        """Whether a resize is over, or a deleted pool gone."""
        if self._state.pools.get(pool.id.lower()) is not pool:
            return
        nodes = self._state.nodes_of(pool.id)
        if pool.state is PoolState.DELETING:
            if not nodes:
                self._state.drop(pool)
                self.on_pool_gone(pool)
                self._gone.pop(pool.id.lower(), asyncio.Event()).set()
            return
        busy = any(node.leaving or node.state is NodeState.CREATING for node in nodes)
        if pool.allocation is not AllocationState.STEADY and not busy:
            pool.allocate(AllocationEvent.DONE, self._clock.now())
            if pool.stopped:
                pool.stopped, pool.resize_errors = False, _stop_errors(pool, nodes)
            self._state.save(pool)


def _stop_errors(pool: Pool, nodes: list[Node]) -> list[dict[str, Any]]:
    """What a stopped resize says of a target that it did not reach (recorded for low priority nodes)."""
    dedicated = sum(node.dedicated for node in nodes)
    missed = {
        "dedicated": dedicated < pool.target_dedicated,
        "low priority": len(nodes) - dedicated < pool.target_low_priority,
    }
    return [
        {
            "code": "ResizeStopped",
            "message": f"Desired number of {kind} nodes could not be allocated due to a stop resize operation",
        }
        for kind, is_missed in missed.items()
        if is_missed
    ]
