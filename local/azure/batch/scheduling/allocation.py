"""Pools being made, getting and losing nodes: resize, stop resize, remove nodes, delete; and what becomes of a node:
reboot, reimage, deallocate, start.

Owns allocation; what the nodes do meanwhile is the executor's, which tasks they run is the dispatcher's.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

from local.azure.batch.decisions import scheduler
from local.azure.batch.decisions.scheduler import NodeStep
from local.azure.batch.model import Ending, Node, Pool
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.node import PendingVerb, new_node_id
from local.azure.batch.model.pool import take_secrets
from local.azure.batch.model.states import NODE, AllocationEvent, AllocationState, NodeEvent, PoolState
from local.azure.batch.scheduling.dispatcher import Dispatcher
from local.azure.batch.scheduling.events import (
    AutoPoolOver,
    AutoPoolWanted,
    NodeSettled,
    PoolGone,
    PoolMade,
    PoolSettled,
)
from local.azure.batch.scheduling.job_tasks import JobTasks
from local.azure.batch.scheduling.loop import Loop
from local.azure.batch.scheduling.orders import Orders
from local.azure.batch.scheduling.timers import Timers
from local.azure.platform.clock import Clock
from local.node.contract import NodeState

log = logging.getLogger(__name__)
DELETE_AGAIN_SECONDS = 5
_AGAIN = "node again"
_ENDINGS = {"requeue": Ending.REQUEUE, "terminate": Ending.TERMINATE}


class Allocation:
    """One account's pools and their nodes."""

    def __init__(
        self, state: AccountState, clock: Clock, loop: Loop, timers: Timers, orders: Orders, job_tasks: JobTasks,
        dispatcher: Dispatcher,
    ) -> None:  # fmt: skip
        self._state, self._clock, self._loop, self._timers = state, clock, loop, timers
        self._orders, self._job_tasks, self._dispatcher = orders, job_tasks, dispatcher
        self._executor = orders.executor
        self._gone: dict[str, asyncio.Event] = {}

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
        with self._loop.turn():
            self._state.save(pool)
            self.resize(pool, dedicated, low_priority)
            self._loop.post(PoolMade(pool))
        return pool

    def make_auto_pool(self, event: AutoPoolWanted) -> None:
        """Make a pool by the specification of a job."""
        given, secrets = take_secrets({**event.specification, "id": event.pool_id})
        dedicated, low_priority = given.pop("targetDedicatedNodes"), given.pop("targetLowPriorityNodes")
        self.make_pool(event.pool_id, given, secrets, dedicated, low_priority, event.owner)

    def end_auto_pool(self, event: AutoPoolOver) -> None:
        """Remove the pool of a job that is over."""
        pool = self._state.pools.get(event.pool_id.lower())
        if pool is not None:
            self.delete(pool)

    def resize(self, pool: Pool, dedicated: int, low_priority: int, option: str = "requeue") -> None:
        """Make or remove nodes until the pool has its targets."""
        with self._loop.turn():
            pool.target_dedicated, pool.target_low_priority, pool.resize_errors = dedicated, low_priority, []
            pool.stopped = False
            pool.allocate(AllocationEvent.RETARGET, self._clock.now())
            self._state.save(pool)
            self._soon(pool)
            for kind, target in ((True, dedicated), (False, low_priority)):
                staying = [
                    node for node in self._state.nodes_of(pool.id) if node.dedicated is kind and not node.leaving
                ]
                for _ in range(target - len(staying)):
                    self._make(pool, kind)
                busy = [(node.id, len(self._state.on_node[node.id])) for node in staying]
                for node_id in scheduler.nodes_to_remove(busy, max(0, len(staying) - target)):
                    self._leave(self._state.nodes[node_id], option)

    def stop_resize(self, pool: Pool) -> None:
        """End the resize where it stands: nodes that are not allocated yet are given up. The target stays as it was
        asked for, and an error says that it was not met (recorded)."""
        with self._loop.turn():
            pool.allocate(AllocationEvent.STOP, self._clock.now())
            pool.stopped = True
            self._state.save(pool)
            self._soon(pool)
            for node in self._state.nodes_of(pool.id):
                if node.state is NodeState.CREATING:
                    self._leave(node, "requeue")

    def remove(self, pool: Pool, nodes: list[Node], option: str) -> None:
        """Take these nodes out of the pool, and its target down with them."""
        with self._loop.turn():
            pool.allocate(AllocationEvent.RESIZE, self._clock.now())
            pool.resize_errors, pool.stopped = [], False
            for node in nodes:
                pool.target_dedicated -= node.dedicated
                pool.target_low_priority -= not node.dedicated
                self._leave(node, option)
            self._state.save(pool)
            self._soon(pool)

    def redo(self, node: Node, verb: PendingVerb, option: str) -> None:
        """Reboot, reimage or deallocate when the node's runs are over; `requeue` and `terminate` end them now."""
        ending = _ENDINGS.get(option)
        with self._loop.turn():
            node.pending = verb
            if ending is not None:
                node.happen(verb.event, self._clock.now())
            self._state.save(node)
            self._end_runs(node, ending)
            self._loop.post(NodeSettled(node.id))

    def start(self, node: Node) -> None:
        """Give a deallocated node a machine again."""
        with self._loop.turn():
            node.happen(NodeEvent.START, self._clock.now())
            self._state.save(node)
            self._ask_for(node, self._state.pools[node.pool_id.lower()])

    async def _remake_node(self, node: Node) -> None:
        """The machine goes with all that is on it; a reimaged node gets another one at once."""
        verb = node.pending
        if verb is None or self._state.on_node[node.id] or node.leaving:
            return
        self._begin(node, verb)
        try:
            await self._executor.delete_node(node.id)
        except Exception:
            self._again(node, "taken down")
            return
        if node.leaving:
            return
        with self._loop.turn():
            node.pending = None
            node.start_task, node.errors, node.users, node.admins = None, [], [], []
            self._job_tasks.node_booted(node, anew=True)
            if verb is PendingVerb.DEALLOCATE:
                node.happen(NodeEvent.DEALLOCATED, self._clock.now())
            else:
                self._ask_for(node, self._state.pools[node.pool_id.lower()])
            self._state.save(node)

    def _begin(self, node: Node, verb: PendingVerb) -> None:
        """The node's runs are over: what was asked for begins, if it was not shown before."""
        if NODE.allows(node.state, verb.event):
            with self._loop.turn():
                node.happen(verb.event, self._clock.now())
                self._state.save(node)

    def _again(self, node: Node, what: str) -> None:
        log.exception("node %s could not be %s; tried again in %d s", node.id, what, DELETE_AGAIN_SECONDS)
        when = self._clock.now() + timedelta(seconds=DELETE_AGAIN_SECONDS)
        self._timers.arm(_AGAIN, node.id, when, lambda: self._loop.post(NodeSettled(node.id)))

    def delete(self, pool: Pool) -> asyncio.Event:
        """Remove every node, then the pool; the event is set when it is gone."""
        gone = asyncio.Event()
        with self._loop.turn():
            if self._state.pools.get(pool.id.lower()) is not pool:
                gone.set()
                return gone
            gone = self._gone.setdefault(pool.id.lower(), gone)
            if pool.state is not PoolState.DELETING:
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
                going = node.leaving or node.pending in (PendingVerb.REIMAGE, PendingVerb.DEALLOCATE)
                if not going and node.state is not NodeState.DEALLOCATED:
                    self._ask_for(node, pool)
                if node.leaving or node.pending is not None:
                    self._loop.post(NodeSettled(node.id))
            self._soon(pool)

    def end_runs(self, node: Node, option: str) -> None:
        """What a deallocation or disable option does to the node's runs."""
        with self._loop.turn():
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
        spec = self._orders.specs.node(node, pool)

        async def make() -> None:
            try:
                await self._executor.create_node(spec)
            except Exception as error:
                log.exception("node %s of pool %s could not be made", node.id, pool.id)
                with self._loop.turn():
                    pool.resize_errors = [{"code": "AllocationFailed", "message": f"A node could not be made: {error}"}]
                    if self._state.pools.get(pool.id.lower()) is pool:
                        self._state.save(pool)
                await self._discard(node)

        self._orders.post(node.id, make)

    def _leave(self, node: Node, option: str) -> None:
        if not node.leaving:
            node.happen(NodeEvent.REMOVE, self._clock.now())
            self._state.save(node)
        self._end_runs(node, _ENDINGS.get(option))
        self._loop.post(NodeSettled(node.id))

    def _end_runs(self, node: Node, ending: Ending | None) -> None:
        if ending is not None:
            for task in list(self._state.on_node[node.id].values()):
                self._dispatcher.end_run(task, ending)

    def node_settled(self, event: NodeSettled) -> None:
        """A node changed: if it waits for its runs to end and none is left, go on."""
        node = self._state.nodes.get(event.node_id)
        if node is None:
            return
        steps = {
            NodeStep.DELETE: self._delete_node,
            NodeStep.REBOOT: self._reboot_node,
            NodeStep.REMAKE: self._remake_node,
        }
        work = steps.get(scheduler.node_step(node, len(self._state.on_node[node.id])))
        if work is not None:
            self._orders.post(node.id, lambda: work(node))
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
        if node.pending is not PendingVerb.REBOOT or self._state.on_node[node.id] or node.leaving:
            return
        self._begin(node, PendingVerb.REBOOT)
        with self._loop.turn():
            node.pending = None
            self._state.save(node)
        await self._executor.reboot_node(
            node.id, self._orders.specs.node(node, self._state.pools[node.pool_id.lower()])
        )

    async def _discard(self, node: Node) -> None:
        """A node that could not be made, or made again: whatever there is of it goes too, and it gets no run now."""
        with self._loop.turn():
            if node.id in self._state.nodes and not node.leaving:
                node.happen(NodeEvent.REMOVE, self._clock.now())
                self._state.save(node)
        try:
            await self._executor.delete_node(node.id)
        except Exception:
            log.exception("what there is of node %s could not be deleted", node.id)
        self._forget(node)

    def _forget(self, node: Node) -> None:
        if node.id not in self._state.nodes:
            return
        with self._loop.turn():
            if not node.leaving:
                node.happen(NodeEvent.REMOVE, self._clock.now())  # so that it gets no other run
            self._dispatcher.lose_runs(node.id)
            self._job_tasks.node_gone(node.id)
            self._state.drop(node)
            pool = self._state.pools.get(node.pool_id.lower())
            if pool is not None:
                self._soon(pool)

    def _soon(self, pool: Pool) -> None:
        self._loop.post_late(PoolSettled(pool.id.lower()))

    def settle(self, event: PoolSettled) -> None:
        """Whether a resize is over, or a deleted pool gone."""
        pool = self._state.pools.get(event.pool_id)
        if pool is None:
            return
        nodes = self._state.nodes_of(pool.id)
        if pool.state is PoolState.DELETING:
            if not nodes:
                self._state.drop(pool)
                self._loop.post(PoolGone(pool))
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
