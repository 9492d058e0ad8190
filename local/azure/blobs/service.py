"""The blob endpoint of all storage accounts: one TLS port, the account is the first part of the path.

Owns the order of the steps: read the operation, find the account, check the caller, hand on to Azurite, tell ARM of
containers that came or went.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from local.azure.blobs.authorization import Authorization
from local.azure.blobs.azurite import Azurite
from local.azure.blobs.errors import AccountNotFound, BlobError, InternalError, OverAccountLimit
from local.azure.blobs.hooks import ACCOUNTS, CONTAINERS, SERVICES, AccountHooks, ContainerHooks, ServiceHooks
from local.azure.blobs.operations import Operation, read_operation
from local.azure.blobs.wire import error_response
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resource_types import Document
from local.azure.control_plane.resources import Resource
from local.azure.platform.forwarding import answer_with, sent_body, sent_headers
from local.azure.platform.http_faults import HttpFaults
from local.azure.platform.sites import Site


class BlobService:
    """The proxy in front of Azurite."""

    name = "blobs"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._azurite = Azurite(cloud.store, cloud.ports, cloud.clock)
        self._authorization = Authorization(cloud.tokens, cloud.access, cloud.arm_url)
        cloud.types.register(ACCOUNTS, AccountHooks(cloud.resources, cloud.ports, self._azurite))
        cloud.types.register(SERVICES, ServiceHooks())
        cloud.types.register(CONTAINERS, ContainerHooks(self._azurite))
        cloud.types.publish(
            Document("Microsoft.Storage/locations/usages", "Microsoft.Storage/locations/usages/read", self._usages)
        )
        app = web.Application()
        faults = HttpFaults(cloud.faults, "blobs", self._refuse, _operation_name)
        app.router.add_route("*", "/{path:[\\s\\S]*}", faults.around(self._handle))
        self._site = Site(app, "blobs", cloud.ports.reserve("blobs"), cloud.paths)

    def _usages(self, names: Sequence[str], query: Mapping[str, str]) -> dict[str, Any]:
        """How many accounts a region has, and may have (Azure's default)."""
        count = sum(one.location == names[0].lower() for one in self._cloud.resources.list(ACCOUNTS))
        name = {"value": "StorageAccounts", "localizedValue": "Storage Accounts"}
        return {"value": [{"unit": "Count", "currentValue": count, "limit": 250, "name": name}]}

    async def start(self) -> None:
        """Serve the endpoint."""
        await self._azurite.start()
        await self._site.start()

    async def stop(self) -> None:
        """Close the endpoint."""
        await self._site.stop()
        await self._azurite.stop()

    def _refuse(self, request: web.Request, kind: str) -> web.Response:
        error = OverAccountLimit() if kind == "throttle" else InternalError()
        return error_response(error, request, self._cloud.clock.now())

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            path = request.raw_path.partition("?")[0]
            operation = read_operation(request.method, path, request.query, request.headers)
            account = self._account(operation)
            self._authorization.check(request, account, operation)
            return await self._forward(request, account, operation)
        except BlobError as error:
            return error_response(error, request, self._cloud.clock.now())

    def _account(self, operation: Operation) -> Resource:
        account = self._cloud.resources.by_name(ACCOUNTS, operation.account)
        if account is None or account.name != operation.account:
            raise AccountNotFound(f"The storage account '{operation.account}' does not exist.")
        return account

    async def _forward(self, request: web.Request, account: Resource, operation: Operation) -> web.StreamResponse:
        headers = sent_headers(request, "date")
        answer = await self._azurite.send(account.name, request.method, request.raw_path, headers, sent_body(request))
        async with answer:
            if answer.status in (201, 202):
                self._tell_arm(account, operation)
            rewrite = _https if request.query.get("comp") == "list" else None
            return await answer_with(request, answer, rewrite=rewrite)

    def _tell_arm(self, account: Resource, operation: Operation) -> None:
        """A container made or deleted by the data plane exists for ARM, or does not, from now on."""
        resource_id = f"{account.id}/blobServices/default/containers/{operation.container}"
        if operation.right.operation == "Create Container" and self._cloud.resources.get(resource_id) is None:
            now = self._cloud.clock.now().isoformat()
            made = Resource(id=resource_id, type=CONTAINERS, name=str(operation.container), created=now)
            made.properties["publicAccess"] = "None"
            self._cloud.resources.put(made)
        if operation.right.operation == "Delete Container":
            self._cloud.resources.delete(resource_id)


def _operation_name(request: web.Request) -> str:
    try:
        path = request.raw_path.partition("?")[0]
        return read_operation(request.method, path, request.query, request.headers).right.operation
    except BlobError:
        return ""


def _https(listing: bytes) -> bytes:
    return listing.replace(b'ServiceEndpoint="http://', b'ServiceEndpoint="https://')
