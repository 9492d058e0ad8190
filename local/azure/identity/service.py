"""The identity endpoint on the host: answers like a machine without identities; nodes come through the relay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from local.azure.control_plane.cloud import Cloud
from local.azure.identity.imds import Answer, Machine, NodeIdentity, imds_response
from local.azure.platform.sites import Site


def imds_for_nodes(
    cloud: Cloud,
) -> Callable[[str, Sequence[NodeIdentity], str, str, Mapping[str, str]], Answer]:
    """What the node relay asks: `(node id, identities, method, path with query, headers)`."""

    def answer(
        node_id: str, identities: Sequence[NodeIdentity], method: str, path_qs: str, headers: Mapping[str, str]
    ) -> Answer:
        return imds_response(cloud, identities, method, path_qs, headers, Machine(name=node_id))

    return answer


class IdentityService:
    """Serves `imds` of cloud.json (plain http, as IMDS is); the authority lives on ARM's port."""

    name = "imds"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        app = web.Application()
        app.router.add_route("*", "/{path:[\\s\\S]*}", self._handle)
        self._site = Site(app, self.name, cloud.ports.reserve("imds"), None)

    async def start(self) -> None:
        """Listen."""
        await self._site.start()

    async def stop(self) -> None:
        """Close the port."""
        await self._site.stop()

    async def _handle(self, request: web.Request) -> web.Response:
        status, headers, body = imds_response(self._cloud, (), request.method, request.path_qs, request.headers)
        return web.Response(status=status, headers=headers, body=body)
