"""How ARM tells clients of a long-running operation, and answers when they ask again.

Source: https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations. `journal.py` keeps them.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from local.azure.arm.journal import Journal, Operation
from local.azure.arm.wire import resource_body
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.errors import NotFound
from local.azure.control_plane.ids import BATCH_ACCOUNTS, POOLS, RESOURCE_GROUPS
from local.azure.control_plane.resource_types import TypeSpec
from local.azure.control_plane.resources import Resource

_ID_LENGTH = 36
_RETRY_AFTER = "1"  # azure-core takes 0 for "not said" and then waits 30 s
RESULTS = ("operationresults", "accountoperationresults", "pooloperationresults")
STATUSES = "operationstatuses"
"""The last types of the paths that answer for an operation, in lower case."""


def first_answer(
    cloud: Cloud, status: int, body: dict[str, Any] | None, operation: Operation | None, spec: TypeSpec
) -> web.Response:
    """The answer of a PUT, PATCH or DELETE; with an operation, where to ask again."""
    headers: dict[str, str] = {}
    if operation is not None:
        headers["Location"] = _url(cloud, operation, spec, "operationResults")
        headers["Retry-After"] = _RETRY_AFTER
        if spec.async_header:
            headers["Azure-AsyncOperation"] = _url(cloud, operation, spec, "operationStatuses")
        return web.Response(status=status, headers=headers)
    return web.Response(status=status) if body is None else web.json_response(body, status=status)


def poll(cloud: Cloud, journal: Journal, operation_id: str, kind: str, request: web.Request) -> web.Response:
    """`operationResults` answers 202, then as the operation itself; `operationStatuses` always 200 with a status.

    The id is the last 36 characters of the path's last name: Batch puts names in front of it.
    """
    operation = journal.find(operation_id[-_ID_LENGTH:])
    if operation is None:
        raise NotFound(f"The operation '{operation_id}' is not known (operations are remembered for a day).")
    if kind == STATUSES:
        return _status(operation)
    if operation.status == "InProgress":
        return web.Response(status=202, headers={"Location": str(request.url), "Retry-After": _RETRY_AFTER})
    if operation.status == "Failed":
        error = operation.error or {}
        body = {"error": {"code": error.get("code"), "message": error.get("message")}}
        return web.json_response(body, status=int(error.get("status", 500)))
    if operation.verb == "delete":
        return web.Response(status=200)
    found = cloud.resources.get(operation.resource_id) or Resource(**operation.target)
    return web.json_response(resource_body(found, cloud.types.get(found.type)))


def _status(operation: Operation) -> web.Response:
    body: dict[str, Any] = {"name": operation.id, "status": operation.status, "startTime": operation.started}
    if operation.ended is not None:
        body["endTime"] = operation.ended
    if operation.error is not None:
        body["error"] = {"code": operation.error["code"], "message": operation.error["message"]}
    headers = {"Retry-After": _RETRY_AFTER} if operation.status == "InProgress" else {}
    return web.json_response(body, headers=headers)


def _url(cloud: Cloud, operation: Operation, spec: TypeSpec, kind: str) -> str:
    """Where to ask; Batch has forms of its own (recorded), the others share one."""
    scope, version = cloud.arm_url + cloud.subscription_scope, f"api-version={spec.api_version}"
    if spec.type == RESOURCE_GROUPS:
        return f"{scope}/operationresults/{operation.id}?{version}"
    if spec.type == BATCH_ACCOUNTS and operation.verb == "put":
        return f"{cloud.arm_url}{operation.resource_id}/operationResults/{operation.id}?{version}"
    if spec.type == POOLS:
        account, _, pool = operation.resource_id.rpartition("/pools/")
        return f"{cloud.arm_url}{account}/poolOperationResults/{operation.verb}-{pool}-{operation.id}?{version}"
    if spec.type == BATCH_ACCOUNTS:
        kind = "accountOperationResults"
    location = operation.target.get("location") or cloud.settings.location
    name = f"{operation.target['name']}-{operation.id}" if spec.type == BATCH_ACCOUNTS else operation.id
    return f"{scope}/providers/{spec.namespace}/locations/{location}/{kind}/{name}?{version}"
