"""The blob endpoint of all storage accounts: one TLS port, the account is the first part of the path.

Owns the order of the steps: read the operation, find the account, check the caller, hand on to Azurite, tell ARM of
containers that came or went.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from local.azure.blobs.authorization import Authorization
from local.azure.blobs.azurite import Azurite
from local.azure.blobs.errors import (
    AccountNotFound,
    AuthenticationFailed,
    BlobError,
    CannotVerifyCopySource,
    InternalError,
    OverAccountLimit,
)
from local.azure.blobs.hooks import AccountHooks, ContainerHooks, ServiceHooks, blob_endpoint
from local.azure.blobs.operations import READ_BLOB, Operation, read_operation
from local.azure.blobs.shared_access import Policies, SharedAccess, without_signature
from local.azure.blobs.wire import delegation_key, error_response, texts_of
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import BLOB_CONTAINERS, BLOB_SERVICES, STORAGE_ACCOUNTS
from local.azure.control_plane.resource_types import Document
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.shared_access import ANSWER_HEADERS
from local.azure.platform.forwarding import answer_with, sent_body, sent_headers
from local.azure.platform.http_faults import HttpFaults
from local.azure.platform.sites import Site

COPY_SOURCE: Final = "x-ms-copy-source"


class BlobService:
    """The proxy in front of Azurite."""

    name = "blobs"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._azurite = Azurite(cloud.store, cloud.ports, cloud.clock)
        self._signatures = SharedAccess(cloud.clock)
        self._authorization = Authorization(cloud.tokens, cloud.access, cloud.arm_url, self._signatures)
        cloud.types.register(STORAGE_ACCOUNTS, AccountHooks(cloud.resources, cloud.ports, self._azurite))
        cloud.types.register(BLOB_SERVICES, ServiceHooks())
        cloud.types.register(BLOB_CONTAINERS, ContainerHooks(self._azurite))
        cloud.types.publish(
            Document("Microsoft.Storage/locations/usages", "Microsoft.Storage/locations/usages/read", self._usages)
        )
        app = web.Application()
        faults = HttpFaults(cloud.faults, "blobs", self._refuse, _operation_name)
        app.router.add_route("*", "/{path:[\\s\\S]*}", faults.around(self._handle))
        self._site = Site(app, "blobs", cloud.ports.reserve("blobs"), cloud.paths)

    def _usages(self, names: Sequence[str], query: Mapping[str, str]) -> dict[str, Any]:
        """How many accounts a region has, and may have (Azure's default)."""
        count = sum(one.location == names[0].lower() for one in self._cloud.resources.list(STORAGE_ACCOUNTS))
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
            operation = read_operation(request.method, path, request.query)
            account = self._account(operation)
            policies = await self._policies(account, operation, request.query)
            caller = self._authorization.check(request, account, operation, policies)
            if operation.right.operation == "Get User Delegation Key":
                return await self._delegate(request, account, caller)
            return await self._forward(request, account, operation)
        except BlobError as error:
            return error_response(error, request, self._cloud.clock.now())

    async def _policies(self, account: Resource, operation: Operation, query: Mapping[str, str]) -> Policies | None:
        """The container's stored access policies, for a request whose signature names one."""
        if not query.get("si") or operation.container is None:
            return None
        return await self._azurite.policies(account.name, operation.container)

    def _account(self, operation: Operation) -> Resource:
        account = self._cloud.resources.by_name(STORAGE_ACCOUNTS, operation.account)
        if account is None or account.name != operation.account:
            raise AccountNotFound(f"The storage account '{operation.account}' does not exist.")
        return account

    async def _delegate(self, request: web.Request, account: Resource, caller: str | None) -> web.StreamResponse:
        """A key with which a user signs for itself; an account's key cannot ask for one."""
        if caller is None or not account.system.get("keys"):
            raise AuthenticationFailed
        given = texts_of(await request.read())
        version = request.headers.get("x-ms-version", "2021-12-02")
        tenant = self._cloud.settings.tenant_id
        return delegation_key(
            self._signatures.delegation_key(account.name, account.system["keys"], caller, tenant, given, version)
        )

    async def _forward(self, request: web.Request, account: Resource, operation: Operation) -> web.StreamResponse:
        headers = sent_headers(request, "date")
        if COPY_SOURCE in headers:
            headers.popall("Host", None)  # Azurite compares the source's host with the one that it was asked at
            headers[COPY_SOURCE] = await self._source(request, account, headers[COPY_SOURCE])
        target = without_signature(request.raw_path)
        answer = await self._azurite.send(account.name, request.method, target, headers, sent_body(request))
        async with answer:
            if answer.status in (201, 202):
                self._tell_arm(account, operation)
            rewrite = _https if request.query.get("comp") == "list" else None
            return await answer_with(request, answer, headers=_shown(request, answer).items(), rewrite=rewrite)

    async def _source(self, request: web.Request, account: Resource, url: str) -> str:
        """Where Azurite finds what is copied: a blob of an account here that the caller may read."""
        own = blob_endpoint(self._cloud.ports, "x").removesuffix("x/")
        if not url.startswith(own):
            raise CannotVerifyCopySource(f"The local Azure copies from {own} only; got '{url[:200]}'.")
        target = f"/{url.removeprefix(own)}"
        path, _, query = target.partition("?")
        given = dict(parse_qsl(query, keep_blank_values=True))
        operation = read_operation("GET", path, {name: given[name] for name in ("comp", "restype") if name in given})
        if operation.right != READ_BLOB:
            raise CannotVerifyCopySource(f"'{url[:200]}' is no blob.")
        source = self._account(operation)
        policies = await self._policies(source, operation, given)
        self._authorization.check_source(request, account, source, operation, target, policies)
        return self._azurite.readable(source.name, without_signature(target), account.name)

    def _tell_arm(self, account: Resource, operation: Operation) -> None:
        """A container made or deleted by the data plane exists for ARM, or does not, from now on."""
        resource_id = f"{account.id}/blobServices/default/containers/{operation.container}"
        if operation.right.operation == "Create Container" and self._cloud.resources.get(resource_id) is None:
            now = self._cloud.clock.now().isoformat()
            made = Resource(id=resource_id, type=BLOB_CONTAINERS, name=str(operation.container), created=now)
            made.properties["publicAccess"] = "None"
            self._cloud.resources.put(made)
        if operation.right.operation == "Delete Container":
            self._cloud.resources.delete(resource_id)


def _operation_name(request: web.Request) -> str:
    try:
        path = request.raw_path.partition("?")[0]
        return read_operation(request.method, path, request.query).right.operation
    except BlobError:
        return ""


def _shown(request: web.Request, answer: aiohttp.ClientResponse) -> CIMultiDict[str]:
    """The answer's headers; a signature may ask for others (`rscd` and its like)."""
    shown = CIMultiDict(answer.headers)
    if "sig" in request.query:
        shown.update({header: request.query[name] for name, header in ANSWER_HEADERS.items() if name in request.query})
    return shown


def _https(listing: bytes) -> bytes:
    return listing.replace(b'ServiceEndpoint="http://', b'ServiceEndpoint="https://')
