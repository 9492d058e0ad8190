"""The registries' front: one TLS port a registry, the same routes on each.

Owns ports and the order of the checks: which registry, what right the request needs, whether the token has it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import REGISTRIES
from local.azure.control_plane.resource_types import Document
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import authorization
from local.azure.platform.http_faults import HttpFaults
from local.azure.platform.sites import Site
from local.azure.registry.catalog import Catalog
from local.azure.registry.errors import (
    InternalError,
    RegistryError,
    RepositoryUnknown,
    TooManyRequests,
    Unauthorized,
    Unsupported,
)
from local.azure.registry.grants import Grants, Scope
from local.azure.registry.hooks import NEVER, RegistryHooks, none_of, port_name, replications, usages
from local.azure.registry.oauth import OAuth
from local.azure.registry.proxy import Proxy
from local.azure.registry.upstream import Images
from local.azure.registry.wire import error_response

_ACTIONS: Final = {
    "GET": ("pull",), "HEAD": ("pull",), "POST": ("pull", "push"), "PUT": ("pull", "push"), "PATCH": ("pull", "push"),
    "DELETE": ("delete",),
}  # fmt: skip
# Names and references of https://github.com/opencontainers/distribution-spec/blob/main/spec.md: no "..", no escapes.
_WORD: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DISTRIBUTION: Final = re.compile(
    rf"/v2/(?P<name>{_WORD}(?:/{_WORD})*)/(?:(?:manifests|blobs|referrers)/[\w:+.-]+|tags/list|blobs/uploads/[\w=.-]*)"
)


class RegistryService:
    """All registries of the cloud."""

    name = "registry"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        images = Images(cloud.paths)
        self._catalog = Catalog(images)
        self._grants = Grants(cloud.store, cloud.access, cloud.clock)
        self._oauth = OAuth(cloud.tokens, self._grants)
        self._proxy = Proxy(cloud.paths)
        self._sites: dict[str, Site] = {}
        self._started = False
        hooks = RegistryHooks(cloud.resources, cloud.ports, images, opened=self.open, closed=self.close)
        cloud.types.register(REGISTRIES, hooks)
        cloud.types.publish(Document(f"{REGISTRIES}/listUsages", f"{REGISTRIES}/listUsages/read", usages))
        kinds = {"replications": replications, **dict.fromkeys(NEVER, none_of)}
        for kind, answer in kinds.items():
            cloud.types.publish(Document(f"{REGISTRIES}/{kind}", f"{REGISTRIES}/{kind}/read", of=answer))

    async def start(self) -> None:
        """Serve every registry that exists."""
        await self._proxy.start()
        self._started = True
        for registry in self._cloud.resources.list(REGISTRIES):
            if "port" in registry.system:
                await self.open(registry)

    async def stop(self) -> None:
        """Close every port."""
        self._started = False
        for name in list(self._sites):
            await self._sites.pop(name).stop()
        await self._proxy.stop()

    async def open(self, registry: Resource) -> None:
        """Serve the registry's port; nothing to do before `start` or when it is served already."""
        name = registry.name.lower()
        if not self._started or name in self._sites:
            return

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(request, name)

        app = web.Application()
        faults = HttpFaults(self._cloud.faults, "registry", _fault)
        app.router.add_route("*", "/{path:[\\s\\S]*}", faults.around(handle))
        site = Site(app, port_name(name), registry.system["port"], self._cloud.paths)
        await site.start()
        self._sites[name] = site

    async def close(self, registry: Resource) -> None:
        """Serve the registry's port no longer."""
        if site := self._sites.pop(registry.name.lower(), None):
            await site.stop()

    async def _handle(self, request: web.Request, name: str) -> web.StreamResponse:
        needed: Scope | None = None
        try:
            registry = self._registry(name)
            if (answer := await self._token_endpoint(request, registry)) is not None:
                return answer
            needed, work = self._route(request, registry)
            self._authorize(request, registry, needed)
            return await work()
        except RegistryError as error:
            return error_response(error, request, needed)

    def _registry(self, name: str) -> Resource:
        registry = self._cloud.resources.by_name(REGISTRIES, name)
        if registry is None:
            raise RepositoryUnknown(f"the registry {name} is not deployed (any more)")
        return registry

    async def _token_endpoint(self, request: web.Request, registry: Resource) -> web.Response | None:
        if request.path == "/oauth2/exchange" and request.method == "POST":
            return await self._oauth.exchange(request, registry)
        if request.path == "/oauth2/token" and request.method in ("GET", "POST"):
            return await self._oauth.token(request, registry)
        return None

    def _route(
        self, request: web.Request, registry: Resource
    ) -> tuple[Scope | None, Callable[[], Awaitable[web.StreamResponse]]]:
        """The right that the request needs (None: any token) and the work to do with it."""
        path, method = request.path, request.method
        if path in ("/v2/", "/v2") and method in ("GET", "HEAD"):
            return None, _answering(
                lambda: web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})
            )
        if path in ("/v2/_catalog", "/acr/v1/_catalog") and method == "GET":
            return Scope("registry", "catalog", ("*",)), _answering(
                lambda: self._catalog.repositories(request, registry)
            )
        if path.startswith("/acr/v1/"):
            return self._listing(request, registry, path.removeprefix("/acr/v1/"))
        match = _DISTRIBUTION.fullmatch(path)
        if match is None or method not in _ACTIONS:
            raise Unsupported(f"{method} {path} is not among the registry's operations")
        actions = _ACTIONS["POST"] if "/blobs/uploads/" in path else _ACTIONS[method]
        return Scope("repository", match["name"], actions), lambda: self._proxy.forward(request, registry.name)

    def _listing(
        self, request: web.Request, registry: Resource, path: str
    ) -> tuple[Scope, Callable[[], Awaitable[web.StreamResponse]]]:
        repository = path.split("/_")[0]
        if request.method == "DELETE":
            return Scope("repository", repository, ("delete",)), _answering(
                lambda: self._catalog.delete(registry, path)
            )
        work = {"_tags": self._catalog.tags, "_manifests": self._catalog.manifests}.get(path.rpartition("/")[2])
        if request.method != "GET" or work is None:
            raise Unsupported(f"{request.method} {request.path} is not among the local registry's operations")
        scope = Scope("repository", repository, ("metadata_read",))
        return scope, _answering(lambda: work(request, registry, repository))

    def _authorize(self, request: web.Request, registry: Resource, needed: Scope | None) -> None:
        scheme, token = authorization(request.headers)
        if scheme != "bearer":
            raise Unauthorized
        self._grants.check(registry, token, needed)


def _fault(request: web.Request, kind: str) -> web.Response:
    return error_response(TooManyRequests() if kind == "throttle" else InternalError(), request)


def _answering(work: Callable[[], web.StreamResponse]) -> Callable[[], Awaitable[web.StreamResponse]]:
    async def answer() -> web.StreamResponse:
        return work()

    return answer
