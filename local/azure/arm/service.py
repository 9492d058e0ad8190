"""ARM's site: the pipeline, with the authority and the metadata document on the same port."""

from __future__ import annotations

from aiohttp import web

from local.azure.arm.hooks import AssignmentHooks, DefinitionHooks, KeyHooks, VaultHooks, seed_deployer
from local.azure.arm.journal import Journal
from local.azure.arm.locks import LockHooks
from local.azure.arm.providers import monitor, network
from local.azure.arm.routes import Pipeline
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import (
    FEDERATED_CREDENTIALS,
    LOCKS,
    RESOURCE_GROUPS,
    ROLE_DEFINITIONS,
    USER_ASSIGNED_IDENTITIES,
)
from local.azure.control_plane.resource_types import RecordHooks
from local.azure.identity.authority import Authority
from local.azure.identity.graph import Graph
from local.azure.identity.hooks import FederationHooks, IdentityHooks
from local.azure.identity.metadata import metadata_routes
from local.azure.platform.http_faults import HttpFaults
from local.azure.platform.sites import Site

_MEGABYTE = 1024 * 1024


class ArmService:
    """Serves `cloud.arm_url`. Start it after the services that registered hooks: it resumes interrupted operations."""

    name = "arm"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        cloud.types.register(RESOURCE_GROUPS, RecordHooks())
        cloud.types.register(USER_ASSIGNED_IDENTITIES, IdentityHooks(cloud))
        cloud.types.register("Microsoft.Authorization/roleAssignments", AssignmentHooks(cloud))
        cloud.types.register(ROLE_DEFINITIONS, DefinitionHooks(cloud))
        cloud.types.register(FEDERATED_CREDENTIALS, FederationHooks(cloud))
        cloud.types.register("Microsoft.KeyVault/vaults", VaultHooks())
        cloud.types.register("Microsoft.KeyVault/vaults/keys", KeyHooks())
        cloud.types.register(LOCKS, LockHooks())
        monitor.register(cloud)
        network.register(cloud)
        seed_deployer(cloud)
        self._journal = Journal(cloud)
        self._site = Site(self.application(), self.name, cloud.ports.reserve("arm"), cloud.paths)

    def application(self) -> web.Application:
        """The routes: health, metadata, authority, Graph, and everything else to the pipeline."""
        app = web.Application(client_max_size=4 * _MEGABYTE)
        app.router.add_get("/healthz", self._health)
        app.router.add_routes(metadata_routes(self._cloud))
        app.router.add_routes(Authority(self._cloud).routes())
        app.router.add_routes(Graph(self._cloud).routes())
        pipeline = Pipeline(self._cloud, self._journal)
        faults = HttpFaults(self._cloud.faults, "arm", pipeline.refuse)
        app.router.add_route("*", "/{path:[\\s\\S]*}", faults.around(pipeline.handle))
        return app

    async def start(self) -> None:
        """Listen, then go on with what a kill interrupted."""
        await self._site.start()
        await self._journal.recover()

    async def stop(self) -> None:
        """Close the port; running operations stay on disk."""
        await self._site.stop()
        await self._journal.stop()

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})
