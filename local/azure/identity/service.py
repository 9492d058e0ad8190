"""The identity endpoint on the host: answers like a machine without identities; nodes come through the relay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web

from local.azure.control_plane.cloud import Cloud
from local.azure.identity.imds import Answer, Machine, NodeIdentity, imds_refusal, imds_response
from local.azure.platform.faults import REQUEST
from local.azure.platform.http_faults import HttpFaults, meet
from local.azure.platform.sites import Site


def imds_for_nodes(
    cloud: Cloud,
) -> Callable[[str, Sequence[NodeIdentity], str, str, Mapping[str, str]], Awaitable[Answer]]:
    """What the node relay asks: `(node id, identities, method, path with query, headers)`."""

    async def answer(
        node_id: str, identities: Sequence[NodeIdentity], method: str, path_qs: str, headers: Mapping[str, str]
    ) -> Answer:
        async def proceed() -> Answer:
            return imds_response(cloud, identities, method, path_qs, headers, Machine(name=node_id))

        def cut() -> Answer:
            raise ConnectionAbortedError("a fault on purpose")

        rules = cloud.faults.meet("imds", REQUEST, f"{method} {path_qs} {node_id}")
        return await meet(rules, proceed, imds_refusal, cut)

    return answer


class IdentityService:
    """Serves `imds` of cloud.json (plain http, as IMDS is); the authority lives on ARM's port."""

    name = "imds"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        app = web.Application()
        faults = HttpFaults(cloud.faults, "imds", lambda _, kind: _encoded(imds_refusal(kind, {})))
        app.router.add_route("*", "/{path:[\\s\\S]*}", faults.around(self._handle))
        self._site = Site(app, self.name, cloud.ports.reserve("imds"), None)

    async def start(self) -> None:
        """Listen."""
        await self._site.start()

    async def stop(self) -> None:
        """Close the port."""
        await self._site.stop()

    async def _handle(self, request: web.Request) -> web.Response:
        return _encoded(imds_response(self._cloud, (), request.method, request.path_qs, request.headers))


def _encoded(answer: Answer) -> web.Response:
    status, headers, body = answer
    return web.Response(status=status, headers=headers, body=body)
