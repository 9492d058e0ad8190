"""Operations on pools. Pools are made through ARM too (`hooks/pool.py`): those alone can have a managed identity."""

from __future__ import annotations

from functools import partial
from typing import Any

from local.azure.batch import errors
from local.azure.batch.account.account import Account
from local.azure.batch.account.images import SUPPORTED_IMAGES
from local.azure.batch.account.quotas import POOLS
from local.azure.batch.autoscale.syntax import SYNTAX, TOO_LONG
from local.azure.batch.data_plane import bodies
from local.azure.batch.data_plane.call import Call
from local.azure.batch.data_plane.checks import check_pool
from local.azure.batch.data_plane.filters import Fields, Row
from local.azure.batch.data_plane.query import page, wrong
from local.azure.batch.data_plane.schema import wire_names
from local.azure.batch.data_plane.wire import Answer
from local.azure.batch.model import Pool
from local.azure.batch.model.durations import parse_stamp
from local.azure.batch.model.pool import take_secrets, with_defaults
from local.azure.batch.model.states import ALLOCATION, AllocationEvent, AllocationState, PoolState
from local.azure.batch.scheduling import allocation, autoscaling
from local.node.contract import NodeState

SHOWN = wire_names("BatchPool")
IMAGE_SHOWN = wire_names("BatchSupportedImage")
COUNTS_SHOWN = wire_names("BatchPoolNodeCounts")
USAGE_SHOWN = wire_names("BatchPoolUsageMetrics")
FIELDS: Fields = {("id",): lambda pool: pool.id, ("state",): lambda pool: pool.state}
_COUNT_NAMES = {
    NodeState.WAITING_FOR_START_TASK: "waitingForStartTask",
    NodeState.START_TASK_FAILED: "startTaskFailed",
    NodeState.LEAVING_POOL: "leavingPool",
}
_ALL_COUNTS = (
    *(_COUNT_NAMES.get(state, state.value) for state in NodeState),
    "upgradingOS",
    "total",
)


def view(account: Account, pool: Pool) -> dict[str, Any]:
    """The pool on the wire, with its present nodes counted."""
    nodes = account.state.nodes_of(pool.id)
    dedicated = sum(node.dedicated for node in nodes)
    return pool.view(account.url, dedicated, len(nodes) - dedicated)


def in_order(call: Call) -> list[Pool]:
    """The account's pools in the order of their ids (recorded)."""
    return sorted(call.account.state.pools.values(), key=lambda pool: pool.id.lower())


async def create(call: Call) -> Answer:
    """POST /pools: 201; the pool is `resizing` from now on, also when it shall have no nodes (recorded)."""
    body = call.body(bodies.POOL)
    account = call.account
    present = account.state.pools.get(body["id"].lower())
    if present is not None:
        raise errors.PoolBeingDeleted if present.state is PoolState.DELETING else errors.PoolExists
    if len(account.state.pools) >= POOLS:
        raise errors.PoolQuotaReached
    body = check_pool(account, body)
    given, secrets = take_secrets(with_defaults(body))
    dedicated, low_priority = given.pop("targetDedicatedNodes", 0), given.pop("targetLowPriorityNodes", 0)
    pool = account.scheduling.do(allocation.make_pool, body["id"], given, secrets, dedicated, low_priority)
    url = f"{account.url}/pools/{pool.id}"
    return Answer(201, etag=pool.etag, changed=pool.changed, headers={"DataServiceId": url, "Location": url})


async def patch(call: Call) -> Answer:
    """PATCH: what is given replaces; an empty list removes. All but three properties need a pool without nodes."""
    pool = call.pool()
    call.check(pool)
    given = call.body(bodies.POOL_UPDATE)
    _refuse_deleting(pool)
    fixed = [name for name in given if name not in bodies.POOL_REPLACE.properties]
    if fixed and call.account.state.nodes_of(pool.id):
        raise errors.PropertyCannotBeUpdated(details=[("PropertyName", name) for name in fixed])
    _change(call, pool, check_pool(call.account, given))
    return Answer(etag=pool.etag, changed=pool.changed)


async def replace_properties(call: Call) -> Answer:
    """POST updateproperties: 204; start task, packages and metadata are as given now, or gone (recorded)."""
    pool = call.pool()
    call.check(pool)
    given = call.body(bodies.POOL_REPLACE)
    _refuse_deleting(pool)
    check_pool(call.account, given)
    _change(call, pool, {name: given.get(name, []) for name in bodies.POOL_REPLACE.properties})
    return Answer(204, etag=pool.etag, changed=pool.changed)


def _change(call: Call, pool: Pool, given: dict[str, Any]) -> None:
    """New parts of a definition. Nodes take a new start task when they join or boot; those that run are left alone."""
    body, secrets = take_secrets({**pool.body, **given})
    with call.turn() as turn, turn.change(pool):
        pool.body = {name: value for name, value in body.items() if value != []}
        pool.secrets = {kind: {**pool.secrets.get(kind, {}), **given} for kind, given in secrets.items()}
        pool.touch(turn.now)


def _refuse_deleting(pool: Pool) -> None:
    if pool.state is PoolState.DELETING:
        raise errors.PoolBeingDeleted


async def usage_metrics(call: Call) -> Answer:
    """GET /poolusagemetrics: the time window is checked; there are no metrics, as Azure has them after a day only."""
    times = {}
    for name in ("startTime", "endtime"):
        if name in call.query:
            try:
                times[name] = parse_stamp(call.query[name])
            except ValueError as error:
                raise wrong(name, call.query[name], str(error)) from error
    if len(times) == 2 and times["startTime"] >= times["endtime"]:
        raise wrong("startTime", call.query["startTime"], "the window begins after its end")
    return Answer(body=page((), call.query, USAGE_SHOWN, call.url), entity="poolusagemetrics")


async def list_all(call: Call) -> Answer:
    """GET /pools."""
    pools = ((pool.id.lower(), Row(pool, partial(view, call.account, pool))) for pool in in_order(call))
    return Answer(body=page(pools, call.query, SHOWN, call.url, FIELDS), entity="pools")


async def get(call: Call) -> Answer:
    """GET /pools/{id}."""
    pool = call.pool()
    return call.show(pool, view(call.account, pool), SHOWN, "pools")


async def head(call: Call) -> Answer:
    """HEAD /pools/{id}."""
    pool = call.pool()
    call.check(pool)
    return Answer(etag=pool.etag, changed=pool.changed)


async def counts(call: Call) -> Answer:
    """GET /nodecounts."""
    rows = ((pool.id.lower(), Row(pool, partial(_counts, call.account, pool))) for pool in in_order(call))
    return Answer(body=page(rows, call.query, COUNTS_SHOWN, call.url), entity="poolnodecounts")


def _counts(account: Account, pool: Pool) -> dict[str, Any]:
    counts = {kind: dict.fromkeys(_ALL_COUNTS, 0) for kind in (True, False)}
    for node in account.state.nodes_of(pool.id):
        state = node.shown_state(len(account.state.on_node[node.id]))
        counts[node.dedicated][_COUNT_NAMES.get(state, state.value)] += 1
        counts[node.dedicated]["total"] += 1
    return {"poolId": pool.id, "dedicated": counts[True], "lowPriority": counts[False]}


async def supported_images(call: Call) -> Answer:
    """GET /supportedimages."""
    rows = ((f"{index:04}", image) for index, image in enumerate(SUPPORTED_IMAGES))
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
    with call.changing(pool) as turn:
        allocation.resize(
            turn,
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
    call.account.scheduling.do(autoscaling.enable, pool, formula, body.get("autoScaleEvaluationInterval"))
    return Answer(etag=pool.etag, changed=pool.changed, headers={"DataServiceId": call.url})


async def disable_autoscale(call: Call) -> Answer:
    """POST disableautoscale: 200; the pool keeps the targets it has. On a fixed pool nothing happens [guess]."""
    pool = call.pool()
    call.check(pool)
    call.account.scheduling.do(autoscaling.disable, pool)
    return Answer(etag=pool.etag, changed=pool.changed, headers={"DataServiceId": call.url})


async def evaluate_autoscale(call: Call) -> Answer:
    """POST evaluateautoscale: 200 also for what is wrong with values (recorded); the pool must scale itself."""
    pool = call.pool()
    formula = call.body(bodies.POOL_EVALUATE_AUTOSCALE)["autoScaleFormula"]
    if pool.formula is None:
        raise errors.OperationNotValidOnPool(  # [guess: code; that it is refused is documented]
            "The pool does not scale itself: enable autoscale before a formula is evaluated."
        )
    outcome = autoscaling.preview(call.account.state, pool, formula, call.now)
    if outcome.error is not None and outcome.error.code in (SYNTAX, TOO_LONG):
        raise autoscaling.refusal(outcome.error)  # [guess: the codes are documented as those of a 400]
    return Answer(
        body=autoscaling.run_view(outcome),
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
    call.account.scheduling.do(allocation.stop_resize, pool)
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
        if node is None or node.pool_id.lower() != pool.id.lower() or node.leaving:
            raise errors.NodeNotFound(details=[("NodeId", node_id)])
        nodes.append(node)
    with call.changing(pool) as turn:
        allocation.remove_nodes(turn, pool, nodes, body.get("nodeDeallocationOption", "requeue"))
    return _accepted(pool)


async def delete(call: Call) -> Answer:
    """DELETE /pools/{id}: 202; its nodes leave, then it is gone (from ARM as well)."""
    pool = call.pool()
    call.check(pool)
    if pool.state is PoolState.DELETING:
        raise errors.PoolBeingDeleted
    with call.changing(pool) as turn:
        allocation.delete(turn, pool)
    return Answer(202)


def _refuse_unready(pool: Pool, event: AllocationEvent) -> None:
    if pool.state is PoolState.DELETING:
        raise errors.PoolBeingDeleted
    if pool.allocation is not AllocationState.STEADY or not ALLOCATION.allows(pool.allocation, event):
        raise errors.PoolBeingResized


def _accepted(pool: Pool) -> Answer:
    return Answer(202, etag=pool.etag, changed=pool.changed)
