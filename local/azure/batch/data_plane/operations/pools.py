"""Operations on pools. Pools are made, changed and described through ARM (`hooks/pool.py`), resized here too."""

from __future__ import annotations

from typing import Any

from local.azure.batch import errors
from local.azure.batch.account.account import Account
from local.azure.batch.account.images import SUPPORTED_IMAGES
from local.azure.batch.autoscale.syntax import SYNTAX, TOO_LONG
from local.azure.batch.data_plane import bodies
from local.azure.batch.data_plane.call import Call
from local.azure.batch.data_plane.query import page, select, shown
from local.azure.batch.data_plane.wire import Answer
from local.azure.batch.errors import invalid
from local.azure.batch.model import Pool
from local.azure.batch.model.states import ALLOCATION, AllocationEvent, AllocationState, PoolState
from local.azure.batch.scheduling import autoscaling
from local.node.contract import NodeState

SHOWN = (
    "id", "displayName", "url", "eTag", "lastModified", "creationTime", "state", "stateTransitionTime",
    "allocationState", "allocationStateTransitionTime", "vmSize",
    "virtualMachineConfiguration", "resizeTimeout", "resizeErrors", "currentDedicatedNodes", "currentLowPriorityNodes",
    "targetDedicatedNodes", "targetLowPriorityNodes", "enableAutoScale", "autoScaleFormula",
    "autoScaleEvaluationInterval", "autoScaleRun", "enableInterNodeCommunication", "networkConfiguration", "startTask",
    "applicationPackageReferences", "taskSlotsPerNode", "taskSchedulingPolicy", "userAccounts", "metadata", "stats",
    "mountConfiguration", "identity", "upgradePolicy",
)  # fmt: skip
IMAGE_SHOWN = (*SUPPORTED_IMAGES[0], "batchSupportEndOfLife")
COUNTS_SHOWN = ("poolId", "dedicated", "lowPriority")
_COUNT_NAMES = {
    NodeState.WAITING_FOR_START_TASK: "waitingForStartTask",
    NodeState.START_TASK_FAILED: "startTaskFailed",
    NodeState.LEAVING_POOL: "leavingPool",
}
_ALL_COUNTS = (
    *(_COUNT_NAMES.get(state, state.value) for state in NodeState),
    "deallocated", "deallocating", "upgradingOS", "total",
)  # fmt: skip


def view(account: Account, pool: Pool) -> dict[str, Any]:
    """The pool on the wire, with its present nodes counted."""
    nodes = account.state.nodes_of(pool.id)
    dedicated = sum(node.dedicated for node in nodes)
    return pool.view(account.url, dedicated, len(nodes) - dedicated)


async def list_all(call: Call) -> Answer:
    """GET /pools."""
    pools = ((str(pool.number), view(call.account, pool)) for pool in call.account.state.pools.values())
    return Answer(body=page(pools, call.query, SHOWN, call.url), entity="pools")


async def get(call: Call) -> Answer:
    """GET /pools/{id}."""
    pool = call.pool()
    call.check(pool)
    body = shown(view(call.account, pool), select(call.query, SHOWN))
    return Answer(body=body, entity="pools/@Element", etag=pool.etag, changed=pool.changed)


async def head(call: Call) -> Answer:
    """HEAD /pools/{id}."""
    pool = call.pool()
    call.check(pool)
    return Answer(etag=pool.etag, changed=pool.changed)


async def counts(call: Call) -> Answer:
    """GET /nodecounts."""
    rows = ((str(pool.number), _counts(call.account, pool)) for pool in call.account.state.pools.values())
    return Answer(body=page(rows, call.query, COUNTS_SHOWN, call.url), entity="poolnodecounts")


def _counts(account: Account, pool: Pool) -> dict[str, Any]:
    found = {kind: dict.fromkeys(_ALL_COUNTS, 0) for kind in (True, False)}
    for node in account.state.nodes_of(pool.id):
        state = node.shown_state(len(account.state.on_node[node.id]))
        found[node.dedicated][_COUNT_NAMES.get(state, state.value)] += 1
        found[node.dedicated]["total"] += 1
    return {"poolId": pool.id, "dedicated": found[True], "lowPriority": found[False]}


async def supported_images(call: Call) -> Answer:
    """GET /supportedimages."""
    rows = ((str(index), image) for index, image in enumerate(SUPPORTED_IMAGES))
    return Answer(body=page(rows, call.query, IMAGE_SHOWN, call.url), entity="supportedimages")


async def resize(call: Call) -> Answer:
    """POST resize: 202; the pool is `resizing` from now on. Both targets absent is an error."""
    pool = call.pool()
    call.check(pool)
    body = call.body(bodies.POOL_RESIZE)
    if "targetDedicatedNodes" not in body and "targetLowPriorityNodes" not in body:
        raise errors.MissingRequiredProperty(details=[("PropertyName", "targetDedicatedNodes")])
    _refuse_unready(pool, AllocationEvent.RESIZE)
    if pool.formula is not None:  # documented: 409 [guess: code]
        raise errors.OperationInvalidForCurrentState("A pool that scales itself cannot be resized: disable autoscale.")
    call.account.allocation.resize(
        pool,
        body.get("targetDedicatedNodes", pool.target_dedicated),
        body.get("targetLowPriorityNodes", pool.target_low_priority),
        body.get("nodeDeallocationOption", "requeue"),
    )
    return _accepted(pool)


async def enable_autoscale(call: Call) -> Answer:
    """POST enableautoscale: 200. A fixed pool needs a formula; one that scales itself takes either part alone.

    A new interval, or a pool that was fixed, begins the evaluations anew; a new formula alone is evaluated now as well
    [guess].
    """
    pool = call.pool()
    call.check(pool)
    body = call.body(bodies.POOL_ENABLE_AUTOSCALE)
    if pool.state is PoolState.DELETING:
        raise errors.PoolBeingDeleted
    if "autoScaleFormula" not in body and (pool.formula is None or "autoScaleEvaluationInterval" not in body):
        raise errors.MissingRequiredProperty(details=[("PropertyName", "autoScaleFormula")])
    formula = body.get("autoScaleFormula")
    if formula is not None:
        autoscaling.accept(formula)
    call.account.autoscaling.enable(pool, formula, body.get("autoScaleEvaluationInterval"))
    return Answer(etag=pool.etag, changed=pool.changed, headers={"DataServiceId": call.url})


async def disable_autoscale(call: Call) -> Answer:
    """POST disableautoscale: 200; the pool keeps the targets it has. On a fixed pool nothing happens [guess]."""
    pool = call.pool()
    call.check(pool)
    call.account.autoscaling.disable(pool)
    return Answer(etag=pool.etag, changed=pool.changed, headers={"DataServiceId": call.url})


async def evaluate_autoscale(call: Call) -> Answer:
    """POST evaluateautoscale: 200 also for what is wrong with values (recorded); the pool must scale itself."""
    pool = call.pool()
    formula = call.body(bodies.POOL_EVALUATE_AUTOSCALE)["autoScaleFormula"]
    if pool.formula is None:
        raise errors.OperationInvalidForCurrentState(  # [guess: code; that it is refused is documented]
            "The pool does not scale itself: enable autoscale before a formula is evaluated."
        )
    found = call.account.autoscaling.preview(pool, formula)
    if found.error is not None and found.error.code in (SYNTAX, TOO_LONG):
        raise autoscaling.refusal(found.error)  # [guess: the codes are documented as those of a 400]
    return Answer(
        body=autoscaling.run_view(found),
        entity="Microsoft.Azure.Batch.Protocol.Entities.AutoScaleRun",
        headers={"DataServiceId": call.url},
    )


async def stop_resize(call: Call) -> Answer:
    """POST stopresize: 202; refused when no resize goes on."""
    pool = call.pool()
    call.check(pool)
    if pool.state is PoolState.DELETING:
        raise errors.PoolBeingDeleted
    if not ALLOCATION.allows(pool.allocation, AllocationEvent.STOP):
        raise errors.OperationInvalidForCurrentState(
            f"The pool is {pool.allocation.value}; there is no resize to stop."
        )
    call.account.allocation.stop_resize(pool)
    return _accepted(pool)


async def remove_nodes(call: Call) -> Answer:
    """POST removenodes: 202; up to 100 nodes, all of them the pool's."""
    pool = call.pool()
    call.check(pool)
    body = call.body(bodies.NODES_REMOVE)
    _refuse_unready(pool, AllocationEvent.RESIZE)
    nodes = []
    for node_id in dict.fromkeys(body["nodeList"]):
        node = call.account.state.nodes.get(node_id)
        if node is None or node.pool_id != pool.id:
            raise errors.NodeNotFound(details=[("NodeId", node_id)])
        nodes.append(node)
    if not nodes:
        raise invalid("nodeList", [], "name at least one node")
    call.account.allocation.remove(pool, nodes, body.get("nodeDeallocationOption", "requeue"))
    return _accepted(pool)


async def delete(call: Call) -> Answer:
    """DELETE /pools/{id}: 202; its nodes leave, then it is gone (from ARM as well)."""
    pool = call.pool()
    call.check(pool)
    if pool.state is PoolState.DELETING:
        raise errors.PoolBeingDeleted
    call.account.allocation.delete(pool)
    return Answer(202)


def _refuse_unready(pool: Pool, event: AllocationEvent) -> None:
    if pool.state is PoolState.DELETING:
        raise errors.PoolBeingDeleted
    if pool.allocation is not AllocationState.STEADY or not ALLOCATION.allows(pool.allocation, event):
        raise errors.PoolBeingResized


def _accepted(pool: Pool) -> Answer:
    return Answer(202, etag=pool.etag, changed=pool.changed)
