"""Long-running operations: none is lost, because each is on disk before its work begins.

Owns operation records, running them, finishing after a kill what was begun before it, and how clients hear of them
(https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations). A put that fails takes a new
resource away again and leaves an old one as it was.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from local.azure.arm.wire import resource_body
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.errors import NotFound
from local.azure.control_plane.ids import BATCH_ACCOUNTS, POOLS, RESOURCE_GROUPS
from local.azure.control_plane.resource_types import TypeSpec
from local.azure.control_plane.resources import Resource
from local.azure.platform.errors import AzureError

_KIND = "operation"
_ID_LENGTH = 36
_RETRY_AFTER = "1"  # azure-core treats 0 as missing and then waits 30 s
RESULTS = ("operationresults", "accountoperationresults", "pooloperationresults")
STATUSES = "operationstatuses"
"""The last types of the paths that answer for an operation, in lower case."""
_KEPT = timedelta(days=1)
_log = logging.getLogger("local.azure.arm")


@dataclass
class Operation:
    """One put or delete. `status` is InProgress, Succeeded or Failed."""

    id: str
    verb: str
    target: dict[str, Any]  # the Resource as it shall be (put) or was (delete)
    before: dict[str, Any] | None
    started: str
    status: str = "InProgress"
    ended: str | None = None
    error: dict[str, Any] | None = None

    @property
    def resource_id(self) -> str:
        """What it works on."""
        return self.target["id"]


class Journal:
    """Begins, runs, finishes and remembers operations."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, verb: str, target: Resource, before: Resource | None) -> Operation:
        """Write the operation down."""
        operation = Operation(
            id=str(uuid.uuid4()),
            verb=verb,
            target=asdict(target),
            before=None if before is None else asdict(before),
            started=self._cloud.clock.now().isoformat(),
        )
        self._save(operation)
        return operation

    def find(self, operation_id: str) -> Operation | None:
        """The operation with this id."""
        body = self._cloud.store.get(_KIND, operation_id)
        return None if body is None else Operation(**body)

    def running(self, resource_id: str) -> Operation | None:
        """The operation in progress on a resource."""
        for operation in self._all():
            if operation.status == "InProgress" and operation.resource_id.lower() == resource_id.lower():
                return operation
        return None

    def run(self, operation: Operation) -> None:
        """Do the work in the background; errors end in the record."""
        task = asyncio.get_running_loop().create_task(self._in_background(operation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, operation: Operation) -> None:
        """Do the work now and record the end; an AzureError is recorded and raised."""
        try:
            await (self._put if operation.verb == "put" else self._delete)(operation)
        except AzureError as error:
            self._failed(operation, error)
            raise
        self._end(operation, "Succeeded")

    async def recover(self) -> None:
        """At a start: go on with what a kill interrupted, and forget operations that ended long ago."""
        limit = self._cloud.clock.now() - _KEPT
        for operation in self._all():
            if operation.status == "InProgress":
                _log.info("resuming operation", extra={"verb": operation.verb, "resource": operation.resource_id})
                self.run(operation)
            elif datetime.fromisoformat(operation.started) < limit:
                self._cloud.store.delete(_KIND, operation.id)

    async def stop(self) -> None:
        """Cancel the operations that run; the next start resumes them."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _in_background(self, operation: Operation) -> None:
        try:
            await self.finish(operation)
        except AzureError as error:
            _log.warning("operation failed", extra={"resource": operation.resource_id, "code": error.code})
        except Exception as error:
            _log.exception("operation broke", extra={"resource": operation.resource_id})
            self._failed(operation, AzureError(f"The local Azure failed: {type(error).__name__}: {error}"))

    async def _put(self, operation: Operation) -> None:
        target = Resource(**operation.target)
        before = None if operation.before is None else Resource(**operation.before)
        await self._cloud.types.get(target.type).work().put(target, before)
        target.state = "Succeeded"
        with self._cloud.store.transaction():
            self._cloud.resources.put(target)

    async def _delete(self, operation: Operation) -> None:
        """The resource and all that is under it: what was made last goes first."""
        inside = self._cloud.resources.list(scope=operation.resource_id)
        for resource in sorted(inside, key=lambda one: (one.created, one.id.lower()), reverse=True):
            hooks = self._cloud.types.get(resource.type).work()
            if self._cloud.resources.get(resource.id) is None:
                continue
            await hooks.delete(resource)
            self._cloud.resources.delete(resource.id)

    def _failed(self, operation: Operation, error: AzureError) -> None:
        current = self._cloud.resources.get(operation.resource_id)
        if operation.verb == "put" and operation.before is None:
            self._cloud.resources.delete(operation.resource_id)
        elif operation.verb == "delete" and current is not None and current.state == "Deleting":
            current.state = "Failed"
            self._cloud.resources.put(current)
        operation.error = {"status": error.status, "code": error.code, "message": error.message}
        self._end(operation, "Failed")

    def _end(self, operation: Operation, status: str) -> None:
        """Keep what pollers ask for; a body (a pool's has passwords) is not kept longer than its work takes."""
        operation.status, operation.ended = status, self._cloud.clock.now().isoformat()
        operation.target = {name: operation.target[name] for name in ("id", "type", "name", "location")}
        operation.before = None
        self._save(operation)

    def _all(self) -> list[Operation]:
        return [Operation(**body) for _, body in self._cloud.store.items(_KIND)]

    def _save(self, operation: Operation) -> None:
        self._cloud.store.put(_KIND, operation.id, asdict(operation))


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
