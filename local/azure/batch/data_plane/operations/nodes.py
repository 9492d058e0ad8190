"""Operations on compute nodes and their users."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from local.azure.batch import errors
from local.azure.batch.data_plane import bodies, endpoints
from local.azure.batch.data_plane.call import Call
from local.azure.batch.data_plane.filters import Fields, Row
from local.azure.batch.data_plane.operations import node_logs
from local.azure.batch.data_plane.query import page, select, shown
from local.azure.batch.data_plane.schema import Object, wire_names
from local.azure.batch.data_plane.wire import Answer
from local.azure.batch.errors import invalid
from local.azure.batch.model import Node, Pool
from local.azure.batch.model.durations import parse_stamp, stamp
from local.azure.batch.model.node import PendingVerb
from local.azure.batch.model.states import NODE, NodeEvent
from local.azure.batch.scheduling import allocation, assignment
from local.azure.platform.errors import AzureError
from local.node.contract import NodeState, NodeUnreachable, UserAccount

SHOWN = wire_names("BatchNode")
EXTENSION_SHOWN = wire_names("BatchNodeVMExtension")
_OWN_EXTENSION = {
    "name": "batchNodeExtension",
    "publisher": "Microsoft.Azure.Extensions",
    "type": "CustomScript",
    "typeHandlerVersion": "2.0",
    "autoUpgradeMinorVersion": True,
}
_NOT_EXECUTED = "The local Azure shows extensions and executes none."
_NOT_UP = frozenset(
    {
        NodeState.CREATING,
        NodeState.STARTING,
        NodeState.REBOOTING,
        NodeState.REIMAGING,
        NodeState.LEAVING_POOL,
        NodeState.DEALLOCATING,
        NodeState.DEALLOCATED,
    }
)


def view(
    call: Call, node: Node, numbers: Mapping[str, int] | None = None, chosen: Collection[str] | None = None
) -> dict[str, Any]:
    """The node on the wire. `numbers`: the place of each node among its pool's, where somebody counted them; `chosen`:
    the properties that are shown, as far as leaving out others saves work."""
    account = call.account
    running = account.state.on_node[node.id]
    pool = account.state.pools[node.pool_id.lower()]
    body = node.view(account.url, pool.body, len(running), assignment.slots_used(account.state, node))
    if (chosen is None or "recentTasks" in chosen) and (recent := _recent_tasks(call, node)):
        body["recentTasks"] = recent
    is_up = not node.leaving and node.state is not NodeState.CREATING
    if is_up and (inbound := _inbound_endpoints(call, node, pool, numbers)):
        body["endpointConfiguration"] = {"inboundEndpoints": inbound}
    return body


def _recent_tasks(call: Call, node: Node) -> list[dict[str, Any]]:
    state, recent = call.account.state, []
    for one in node.recent:
        job = state.jobs.get(one["jobId"].lower())
        task = state.tasks(job).get(one["taskId"].lower()) if job is not None else None
        if task is not None:
            recent.append(
                {
                    "taskUrl": f"{call.account.url}/jobs/{task.job_id}/tasks/{task.id}",
                    "jobId": task.job_id,
                    "taskId": task.id,
                    "taskState": task.state.value,
                    "executionInfo": task.execution(),
                }
            )
    return recent


def _numbers(call: Call, pool: Pool) -> dict[str, int]:
    return {node.id: number for number, node in enumerate(call.account.state.nodes_of(pool.id))}


def _inbound_endpoints(call: Call, node: Node, pool: Pool, numbers: Mapping[str, int] | None) -> list[dict[str, Any]]:
    if not endpoints.nat_pools(pool.body):
        return []
    try:
        address, port = call.account.executor.remote_login(node.id)
    except (NodeUnreachable, KeyError, OSError):
        address, port = "127.0.0.1", 0
    number = (numbers or _numbers(call, pool))[node.id]
    return list(endpoints.inbound(pool.body, number, address, port))


async def list_all(call: Call) -> Answer:
    """GET /pools/{id}/nodes."""
    pool, state = call.pool(), call.account.state
    numbers, chosen = _numbers(call, pool), select(call.query, SHOWN)
    rows = (
        (node_id, Row(state.nodes[node_id], partial(view, call, state.nodes[node_id], numbers, chosen)))
        for node_id in sorted(numbers)
    )
    fields: Fields = {
        ("id",): lambda node: node.id,
        ("state",): lambda node: node.shown_state(len(state.on_node[node.id])),
    }
    return Answer(body=page(rows, call.query, SHOWN, call.url, fields), entity="nodes")


async def get(call: Call) -> Answer:
    """GET /pools/{id}/nodes/{id}."""
    return Answer(body=shown(view(call, call.node()), select(call.query, SHOWN)), entity="nodes/@Element")


async def reboot(call: Call) -> Answer:
    """POST reboot: the node is `rebooting` from now on, unless its tasks shall be waited for."""
    return _redo(call, PendingVerb.REBOOT, bodies.NODE_REBOOT, "nodeRebootOption")


async def reimage(call: Call) -> Answer:
    """POST reimage: the node is `reimaging` from now on, and loses all that is on it."""
    return _redo(call, PendingVerb.REIMAGE, bodies.NODE_REIMAGE, "nodeReimageOption")


async def deallocate(call: Call) -> Answer:
    """POST deallocate: the node stays in its pool, its machine and all that is on it goes [guess: all of it]."""
    return _redo(call, PendingVerb.DEALLOCATE, bodies.NODE_DEALLOCATE, "nodeDeallocateOption")


def _redo(call: Call, verb: PendingVerb, kind: Object, option: str) -> Answer:
    """202: what becomes of the node's tasks is the body's `option`; without one they are requeued."""
    node = call.node()
    body = call.body(kind, optional=True)
    _refuse_wrong_state(node, verb.event)
    call.account.scheduling.do(allocation.redo, node, verb, body.get(option, "requeue"))
    return Answer(202)


async def start(call: Call) -> Answer:
    """POST start: 202; a deallocated node gets a machine again."""
    node = call.node()
    _refuse_wrong_state(node, NodeEvent.START)
    call.account.scheduling.do(allocation.start, node)
    return Answer(202)


_WRONG_STATE: dict[NodeState, type[AzureError]] = {
    NodeState.CREATING: errors.NodeBeingCreated,
    NodeState.STARTING: errors.NodeBeingStarted,
    NodeState.REIMAGING: errors.NodeBeingReimaged,
    NodeState.REBOOTING: errors.NodeBeingRebooted,
}
"""[guess: that reboot, reimage, deallocate and start are refused with these codes; the states are documented]"""


def _refuse_wrong_state(node: Node, event: NodeEvent) -> None:
    if node.state in _WRONG_STATE and not NODE.allows(node.state, event):
        raise _WRONG_STATE[node.state]
    if not NODE.allows(node.state, event) or node.pending is not None:
        raise errors.OperationNotValidOnNode(details=[("Reason", f"The node is in state {node.state.value}.")])


async def upload_logs(call: Call) -> Answer:
    """POST uploadbatchservicelogs: 200 with the name of the folder in the container, and how many files it gets."""
    node = _up(call)
    body = call.body(bodies.NODE_LOGS)
    if not re.match(r"https?://[^/?#]+", body["containerUrl"]):
        raise invalid("containerUrl", body["containerUrl"], "expected the URL of a blob container")
    if "endTime" in body and parse_stamp(body["endTime"]) < parse_stamp(body["startTime"]):
        raise invalid("endTime", body["endTime"], "the time range ends before its start")
    name = hashlib.sha256(call.account.url.encode()).hexdigest()[:16]
    folder = f"batch-{name}/{node.pool_id}/{node.id}/{uuid.uuid4()}"
    count = await node_logs.upload(call.account, node, body, folder)
    return Answer(
        body={"virtualDirectoryName": folder, "numberOfFilesUploaded": count},
        entity="Microsoft.Azure.Batch.Protocol.Entities.UploadBatchServiceLogsResult",
    )


def _extensions(call: Call, node: Node) -> list[dict[str, Any]]:
    """The pool's extensions as its nodes show them, and behind them the service's own, which every node has (the SDK's
    own live tests look for it)."""
    pool = call.account.state.pools[node.pool_id.lower()]
    given = pool.body["virtualMachineConfiguration"].get("extensions", ())
    return [*(_extension(one, node, _NOT_EXECUTED) for one in given), _extension(_OWN_EXTENSION, node, "")]


def _extension(extension: dict[str, Any], node: Node, message: str) -> dict[str, Any]:
    """One extension with the status that a virtual machine shows of one that was provisioned [guess: that Batch's view
    has the same words]."""
    status = {
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Provisioning succeeded",
        "time": stamp(node.booted),
        **({"message": message} if message else {}),
    }
    view = {"name": extension["name"], "statuses": [status]}
    return {"provisioningState": "Succeeded", "vmExtension": extension, "instanceView": view}


async def list_extensions(call: Call) -> Answer:
    """GET extensions."""
    rows = ((f"{number:04}", one) for number, one in enumerate(_extensions(call, call.node())))
    return Answer(body=page(rows, call.query, EXTENSION_SHOWN, call.url), entity="vmextensions")


async def get_extension(call: Call) -> Answer:
    """GET extensions/{name}."""
    name = call.params["extensionName"].lower()
    for one in _extensions(call, call.node()):
        if one["vmExtension"]["name"].lower() == name:
            return Answer(body=shown(one, select(call.query, EXTENSION_SHOWN)), entity="vmextensions/@Element")
    raise errors.VMExtensionNotFound


async def disable_scheduling(call: Call) -> Answer:
    """POST disablescheduling."""
    node = call.node()
    body = call.body(bodies.NODE_DISABLE_SCHEDULING, optional=True)
    if not node.scheduling:
        raise errors.NodeAlreadyInTargetSchedulingState
    with call.changing(node) as turn:
        with turn.change(node):
            node.scheduling = False
        allocation.end_runs(turn, node, body.get("nodeDisableSchedulingOption", "requeue"))
    return Answer(200)


async def enable_scheduling(call: Call) -> Answer:
    """POST enablescheduling."""
    node = call.node()
    if node.scheduling:
        raise errors.NodeAlreadyInTargetSchedulingState
    with call.changing(node) as turn:
        with turn.change(node):
            node.scheduling = True
        assignment.wake(turn, node.pool_id)
    return Answer(200)


async def remote_login(call: Call) -> Answer:
    """GET remoteloginsettings: where ssh is answered, on the nodes of a pool that maps its port."""
    node = _up(call)
    if not endpoints.maps_ssh(call.pool().body):
        reason = "The pool's endpointConfiguration has no inbound NAT pool for the backend port 22."
        raise errors.OperationNotValidOnNode(details=[("Reason", reason)])
    try:
        address, port = call.account.executor.remote_login(node.id)
    except (NodeUnreachable, KeyError) as error:
        raise errors.NodeNotReady from error
    return Answer(
        body={"remoteLoginIPAddress": address, "remoteLoginPort": port}, entity="remoteloginsettings/@Element"
    )


async def create_user(call: Call) -> Answer:
    """POST users: 201."""
    node = _up(call)
    body = call.body(bodies.NODE_USER)
    if body["name"].lower() in [name.lower() for name in node.users]:
        raise errors.NodeUserExists
    await _put_user(call, node, body["name"], body)
    url = f"{call.url}/{body['name']}"
    return Answer(201, headers={"DataServiceId": url, "Location": url})


async def replace_user(call: Call) -> Answer:
    """PUT users/{name}: 200; what is not given goes back to its default, admin or not stays."""
    node = _up(call)
    name = _user_name(call, node)
    await _put_user(call, node, name, call.body(bodies.NODE_USER_UPDATE), keep_admin=True)
    return Answer(200)


async def delete_user(call: Call) -> Answer:
    """DELETE users/{name}: 200."""
    node = _up(call)
    name = _user_name(call, node)
    try:
        await call.account.executor.delete_user(node.id, name)
    except NodeUnreachable as error:
        raise errors.NodeNotReady from error
    with call.turn() as turn, turn.change(node):
        node.users = [user for user in node.users if user != name]
        node.admins = [admin for admin in node.admins if admin != name]
    return Answer(200)


async def _put_user(call: Call, node: Node, name: str, body: dict[str, Any], keep_admin: bool = False) -> None:
    admin = name in node.admins if keep_admin else body.get("isAdmin", False)
    expiry = body.get("expiryTime") or stamp(call.now + timedelta(days=1))  # documented default: one day
    user = UserAccount(
        name=name, password=body.get("password"), admin=admin, ssh_public_key=body.get("sshPublicKey"), expiry=expiry
    )
    try:
        await call.account.executor.put_user(node.id, user)
    except NodeUnreachable as error:
        raise errors.NodeNotReady from error
    with call.turn() as turn, turn.change(node):
        node.users = node.users if name in node.users else [*node.users, name]
        if admin and name not in node.admins:
            node.admins = [*node.admins, name]


def _user_name(call: Call, node: Node) -> str:
    asked = call.params["userName"].lower()
    for name in node.users:
        if name.lower() == asked:
            return name
    raise errors.NodeUserNotFound


def _up(call: Call) -> Node:
    node = call.node()
    if node.state is NodeState.UNUSABLE:
        raise errors.NodeStateUnusable
    if node.state in _NOT_UP:
        raise errors.NodeNotReady(f"The node is {node.state.value}; try again when it is idle or running.")
    return node
