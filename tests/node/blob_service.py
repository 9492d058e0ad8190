"""A blob service of the test's own: what was uploaded, what it refuses, and outages."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler


@dataclass
class Blobs:
    """What was uploaded; the container `locked` refuses, `missing` is not there."""

    url: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    blocks: list[bytes] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    outages: list[int] = field(default_factory=list)
    """What is answered first: a status, or 0 for a connection that breaks."""

    @web.middleware
    async def outage(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self.outages:
            return await handler(request)
        if status := self.outages.pop(0):
            return web.Response(status=status, headers={"x-ms-error-code": "ServerBusy"})
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def put(self, request: web.Request) -> web.Response:
        container, name = request.match_info["container"], request.match_info["name"]
        self.authorizations.add(request.headers.get("Authorization", ""))
        if container == "missing":
            return web.Response(status=404, headers={"x-ms-error-code": "ContainerNotFound"})
        if container == "locked":
            return web.Response(status=403, headers={"x-ms-error-code": "AuthorizationPermissionMismatch"})
        if request.query.get("comp") == "block":
            self.blocks.append(await request.read())
            return web.Response(status=201)
        body = await request.read()
        self.blobs[f"{container}/{name}"] = b"".join(self.blocks) if request.query.get("comp") == "blocklist" else body
        self.types[name] = request.headers["x-ms-blob-content-type"]
        return web.Response(status=201)

    async def get(self, request: web.Request) -> web.Response:
        found = self.blobs.get(f"{request.match_info['container']}/{request.match_info['name']}")
        return web.Response(status=404) if found is None else web.Response(body=found)

    async def list(self, request: web.Request) -> web.Response:
        prefix = request.query.get("prefix", "")
        names = [name.split("/", 1)[1] for name in self.blobs]
        items = "".join(f"<Blob><Name>{name}</Name></Blob>" for name in names if name.startswith(prefix))
        return web.Response(text=f"<EnumerationResults><Blobs>{items}</Blobs><NextMarker/></EnumerationResults>")
