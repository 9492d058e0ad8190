"""Pools being made, getting and losing nodes: resize, stop resize, remove nodes, delete; and what becomes of a node:
what it reports, reboot, reimage, deallocate, start.

What is next for a node whose runs are over is decided in `decisions/scheduler.py: node_step`; which tasks nodes run is
in `assignment.py`. A node is rebooted or taken down in two steps: `AwaitNode` lets what was commanded before be carried
out, then `node_free` looks once more whether that is still what shall be done.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from local.azure.batch.decisions import scheduler
from local.azure.batch.decisions.scheduler import NodeStep
from local.azure.batch.model import Ending, Node, Pool
from local.azure.batch.model.node import PendingVerb, new_node_id
from local.azure.batch.model.pool import take_secrets
from local.azure.batch.model.states import (
    LOSES_TASKS,
    NODE,
    TAKES_TASKS,
    AllocationEvent,
    AllocationState,
    NodeEvent,
    PoolState,
)
from local.azure.batch.scheduling import assignment, job_tasks, task_runs
from local.azure.batch.scheduling.messages import (
    AnnouncePoolGone,
    Arm,
    AutoPoolOver,
    AutoPoolWanted,
    AwaitNode,
    CreateNode,
    MachineGone,
    MachineStays,
    NodeFree,
    NodeNotMade,
    NodeSettled,
    PoolMade,
    PoolSettled,
    RebootNode,
    TakeDown,
    TakeDownDue,
)
from local.azure.batch.scheduling.turn import Turn
from local.node.contract import NodeChanged, NodeState

TAKE_DOWN_AGAIN_SECONDS = 5
_TAKE_DOWN = "take down"
_ENDINGS = {"requeue": Ending.REQUEUE, "terminate": Ending.TERMINATE}

# -- pools -------------------------------------------------------------------------------------------------------------


def add_pool(
    turn: Turn, pool_id: str, body: dict[str, Any], secrets: dict[str, Any], auto_pool_of: str | None = None
) -> Pool:
    """A new pool of a checked definition, without nodes."""
    pool = Pool(
        id=pool_id,
        body=body,
        created=turn.now,
        state_since=turn.now,
        changed=turn.now,
        allocation_since=turn.now,
        number=turn.state.next_number(),
        secrets=secrets,
        auto_pool_of=auto_pool_of,
    )
    turn.add(pool)
    return pool


def make_pool(
    turn: Turn,
    pool_id: str,
    body: dict[str, Any],
    secrets: dict[str, Any],
    dedicated: int,
    low_priority: int,
    auto_pool_of: str | None = None,
) -> Pool:
    """A new pool of a checked definition, and its nodes asked for."""
    pool = add_pool(turn, pool_id, body, secrets, auto_pool_of)
    resize(turn, pool, dedicated, low_priority)
    turn.post(PoolMade(pool))
    return pool


def make_auto_pool(turn: Turn, event: AutoPoolWanted) -> None:
    """Make a pool by the specification of a job."""
    given, secrets = take_secrets({**event.specification, "id": event.pool_id})
    dedicated = given.pop("targetDedicatedNodes")
    low_priority = given.pop("targetLowPriorityNodes")
    make_pool(turn, event.pool_id, given, secrets, dedicated, low_priority, event.owner)


def end_auto_pool(turn: Turn, event: AutoPoolOver) -> None:
    """Remove the pool of a job that is over."""
    pool = turn.state.pools.get(event.pool_id.lower())
    if pool is not None:
        delete(turn, pool)


def resize(turn: Turn, pool: Pool, dedicated: int, low_priority: int, option: str = "requeue") -> None:
    """Make or remove nodes until the pool has its targets. `option`: what becomes of the tasks of those that leave."""
    with turn.change(pool):
        pool.target_dedicated = dedicated
        pool.target_low_priority = low_priority
        pool.resize_errors = []
        pool.stopped = False
        pool.allocate(AllocationEvent.RETARGET, turn.now)
    turn.look(PoolSettled(pool.id.lower()))
    for is_dedicated, target in ((True, dedicated), (False, low_priority)):
        nodes = turn.state.nodes_of(pool.id)
        staying = [node for node in nodes if node.dedicated is is_dedicated and not node.leaving]
        for _ in range(target - len(staying)):
            _make_node(turn, pool, is_dedicated)
        busy = [(node.id, len(turn.state.on_node[node.id])) for node in staying]
        for node_id in scheduler.nodes_to_remove(busy, max(0, len(staying) - target)):
            _leave(turn, turn.state.nodes[node_id], option)


def stop_resize(turn: Turn, pool: Pool) -> None:
    """End the resize where it stands: nodes that are not allocated yet are given up. The target stays as it was asked
    for, and an error says that it was not met (recorded)."""
    with turn.change(pool):
        pool.allocate(AllocationEvent.STOP, turn.now)
        pool.stopped = True
    turn.look(PoolSettled(pool.id.lower()))
    for node in turn.state.nodes_of(pool.id):
        if node.state is NodeState.CREATING:
            _leave(turn, node, "requeue")


def remove_nodes(turn: Turn, pool: Pool, nodes: list[Node], option: str) -> None:
    """Take these nodes out of the pool, and its target down with them."""
    with turn.change(pool):
        pool.allocate(AllocationEvent.RESIZE, turn.now)
        pool.resize_errors = []
        pool.stopped = False
        for node in nodes:
            pool.target_dedicated -= node.dedicated
            pool.target_low_priority -= not node.dedicated
    for node in nodes:
        _leave(turn, node, option)
    turn.look(PoolSettled(pool.id.lower()))


def delete(turn: Turn, pool: Pool) -> None:
    """Remove every node, then the pool; `AnnouncePoolGone` follows."""
    if pool.state is not PoolState.DELETING:
        with turn.change(pool):
            pool.delete(turn.now)
        for node in turn.state.nodes_of(pool.id):
            _leave(turn, node, "requeue")
    turn.look(PoolSettled(pool.id.lower()))


def settle(turn: Turn, event: PoolSettled) -> None:
    """Whether a resize is over, or a deleted pool gone."""
    pool = turn.state.pools.get(event.pool_id)
    if pool is None:
        return
    nodes = turn.state.nodes_of(pool.id)
    if pool.state is PoolState.DELETING:
        if not nodes:
            turn.drop(pool)
            turn.state.scaling.forget(pool)
            turn.command(AnnouncePoolGone(pool))
        return
    busy = any(node.leaving or node.state is NodeState.CREATING for node in nodes)
    if pool.allocation is not AllocationState.STEADY and not busy:
        with turn.change(pool):
            pool.allocate(AllocationEvent.DONE, turn.now)
            if pool.stopped:
                pool.stopped = False
                pool.resize_errors = _stop_errors(pool, nodes)


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


# -- what clients ask of a node ----------------------------------------------------------------------------------------


def redo(turn: Turn, node: Node, verb: PendingVerb, option: str) -> None:
    """Reboot, reimage or deallocate when the node's runs are over; `requeue` and `terminate` end them now."""
    with turn.change(node):
        node.pending = verb
        if option in _ENDINGS:
            node.happen(verb.event, turn.now)
    end_runs(turn, node, option)
    turn.post(NodeSettled(node.id))


def start(turn: Turn, node: Node) -> None:
    """Give a deallocated node a machine again."""
    with turn.change(node):
        node.happen(NodeEvent.START, turn.now)
    _create(turn, node, turn.state.pools[node.pool_id.lower()])


def end_runs(turn: Turn, node: Node, option: str) -> None:
    """What a deallocation or disable option does to the node's runs."""
    ending = _ENDINGS.get(option)
    if ending is not None:
        for task in list(turn.state.on_node[node.id].values()):
            task_runs.end_run(turn, task, ending)


# -- what becomes of a node --------------------------------------------------------------------------------------------


def node_changed(turn: Turn, event: NodeChanged) -> None:
    """Take a node's report of its state. Reports of nodes that are not the account's any more are ignored."""
    node = turn.state.nodes.get(event.node_id)
    if node is None:
        return
    if _believes(node):
        _take_report(turn, node, event)
    if event.state in LOSES_TASKS:
        task_runs.lose_runs(turn, node.id)
    if node.state in TAKES_TASKS:
        job_tasks.node_up(turn, node)
    assignment.nodes_changed(turn, [node.id], node.pool_id)


def _take_report(turn: Turn, node: Node, event: NodeChanged) -> None:
    if event.boot_id and event.boot_id != node.boot_id:
        job_tasks.node_booted(turn, node, anew=node.state is not NodeState.REBOOTING)
    with turn.change(node):
        if event.state in (NodeState.STARTING, NodeState.REBOOTING):
            node.booted = event.at
        if event.boot_id and event.boot_id != node.boot_id:
            node.boot_id = event.boot_id
            node.start_task_definition = turn.state.pools[node.pool_id.lower()].body.get("startTask")
        node.become(event.state, event.at)
        node.errors = [list(error) for error in event.errors]
        if event.start_task_started is not None:
            node.start_task = _start_task_info(event)


def _believes(node: Node) -> bool:
    """Whether a report of the node's machine counts: not of one that is being taken away."""
    gone = node.state in (NodeState.DEALLOCATING, NodeState.DEALLOCATED)
    waiting = node.state in (NodeState.REBOOTING, NodeState.REIMAGING) and node.pending is not None
    return not (node.leaving or waiting or gone)


def _start_task_info(event: NodeChanged) -> dict[str, Any]:
    assert event.start_task_started is not None
    return {
        "started": event.start_task_started.isoformat(),
        "ended": None if event.start_task_ended is None else event.start_task_ended.isoformat(),
        "exit_code": event.start_task_exit_code,
        "retries": event.start_task_retries,
        "failure": None if event.start_task_failure is None else asdict(event.start_task_failure),
    }


def node_settled(turn: Turn, event: NodeSettled) -> None:
    """A node changed: if it waits for its runs to end and none is left, go on."""
    node = turn.state.nodes.get(event.node_id)
    if node is None:
        return
    if scheduler.node_step(node, len(turn.state.on_node[node.id])) is not NodeStep.NOTHING:
        turn.command(AwaitNode(node.id))
    pool = turn.state.pools.get(node.pool_id.lower())
    if pool is not None and pool.allocation is not AllocationState.STEADY:
        turn.look(PoolSettled(pool.id.lower()))


def node_free(turn: Turn, event: NodeFree) -> None:
    """Take down or reboot a node that waited for its runs to end, and for what was commanded before."""
    node = turn.state.nodes.get(event.node_id)
    if node is None:
        return
    step = scheduler.node_step(node, len(turn.state.on_node[node.id]))
    if step is NodeStep.NOTHING:
        return
    with turn.change(node):
        if node.pending is not None and NODE.allows(node.state, node.pending.event) and not node.leaving:
            node.happen(node.pending.event, turn.now)  # if it was not shown before
        if step is NodeStep.REBOOT:
            node.pending = None
    if step is NodeStep.REBOOT:
        turn.command(RebootNode(node.id, turn.specs.node(node, turn.state.pools[node.pool_id.lower()])))
    else:
        turn.command(TakeDown(node.id))


def machine_gone(turn: Turn, event: MachineGone) -> None:
    """The machine is deleted with all that was on it: the node leaves, gets another machine, or has none."""
    node = turn.state.nodes.get(event.node_id)
    if node is None or not node.goes_down:
        return
    if node.leaving:
        _forget(turn, node)
        return
    verb = node.pending
    with turn.change(node):
        node.pending = None
        node.start_task = None
        node.errors = []
        node.users = []
        node.admins = []
        if verb is PendingVerb.DEALLOCATE:
            node.happen(NodeEvent.DEALLOCATED, turn.now)
    job_tasks.node_booted(turn, node, anew=True)
    if verb is not PendingVerb.DEALLOCATE:
        _create(turn, node, turn.state.pools[node.pool_id.lower()])


def machine_stays(turn: Turn, event: MachineStays) -> None:
    """The machine could not be deleted: try again in 5 seconds."""
    when = turn.now + timedelta(seconds=TAKE_DOWN_AGAIN_SECONDS)
    turn.command(Arm(_TAKE_DOWN, event.node_id, when, TakeDownDue(event.node_id)))


def take_down(turn: Turn, event: TakeDownDue) -> None:
    """Try again to delete a machine."""
    turn.command(TakeDown(event.node_id))


def node_not_made(turn: Turn, event: NodeNotMade) -> None:
    """A node could not be made, or made again: it leaves the pool, its runs are requeued, and whatever there is of its
    machine is deleted."""
    node = turn.state.nodes.get(event.node_id)
    if node is None:
        return
    pool = turn.state.pools.get(node.pool_id.lower())
    if pool is not None:
        with turn.change(pool):
            message = f"A node could not be made: {event.reason}"
            pool.resize_errors = [{"code": "AllocationFailed", "message": message}]
    if not node.leaving:
        with turn.change(node):
            node.happen(NodeEvent.REMOVE, turn.now)
    task_runs.lose_runs(turn, node.id)
    turn.command(TakeDown(node.id))


def _make_node(turn: Turn, pool: Pool, dedicated: bool) -> None:
    node = Node(
        id=new_node_id(dedicated),
        body={},
        created=turn.now,
        state_since=turn.now,
        changed=turn.now,
        booted=turn.now,
        pool_id=pool.id,
        number=turn.state.next_number(),
        dedicated=dedicated,
        slots=pool.slots,
    )
    turn.add(node)
    _create(turn, node, pool)


def _create(turn: Turn, node: Node, pool: Pool) -> None:
    turn.command(CreateNode(node.id, turn.specs.node(node, pool)))


def _leave(turn: Turn, node: Node, option: str) -> None:
    if not node.leaving:
        with turn.change(node):
            node.happen(NodeEvent.REMOVE, turn.now)
    end_runs(turn, node, option)
    turn.post(NodeSettled(node.id))


def _forget(turn: Turn, node: Node) -> None:
    """A node that left its pool is gone."""
    task_runs.lose_runs(turn, node.id)
    job_tasks.node_gone(turn, node.id)
    turn.drop(node)
    turn.look(PoolSettled(node.pool_id.lower()))


def resume(turn: Turn) -> None:
    """After a restart: ask again for every node that shall be, and go on removing the others."""
    for pool in list(turn.state.pools.values()):
        for node in turn.state.nodes_of(pool.id):
            if not node.goes_down and node.state is not NodeState.DEALLOCATED:
                _create(turn, node, pool)
            if node.leaving or node.pending is not None:
                turn.post(NodeSettled(node.id))
        turn.look(PoolSettled(pool.id.lower()))
