"""A cloud with one registry served, docker-registry behind it."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass

import aiohttp

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import REGISTRIES
from local.azure.control_plane.resources import Resource
from local.azure.registry.service import RegistryService
from local.azure.registry.upstream import upstream_command, upstream_socket, write_upstream_config
from local.paths import Paths

ROLES = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "AcrPush": "8311e382-0749-4cb8-b61a-304f252e45ec",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Reader": "b93aa761-3e63-49ed-ac28-beffa264f7ac",
    "Writer": "2a1e307c-b015-4ebd-883e-5b7698a07328",
    "Repository Contributor": "2efddaa5-3f1f-4df3-97df-af3f13818f4c",
    "Catalog Lister": "bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7",
}


async def started(paths: Paths) -> asyncio.subprocess.Process:
    """docker-registry, answering."""
    write_upstream_config(paths)
    process = await asyncio.create_subprocess_exec(*upstream_command(paths), stderr=subprocess.DEVNULL)
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_unix_connection(upstream_socket(paths))
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return process


@dataclass
class World:
    """What a test acts on."""

    cloud: Cloud
    service: RegistryService
    registry: Resource
    upstream: asyncio.subprocess.Process
    client: aiohttp.ClientSession

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.registry.system['port']}"

    @property
    def url(self) -> str:
        return f"https://{self.server}"

    def assign(self, principal: str, role: str, scope: str | None = None) -> None:
        scope = scope or self.registry.id
        name = f"{principal}-{role}"
        self.cloud.resources.put(
            Resource(
                id=f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}",
                type="Microsoft.Authorization/roleAssignments",
                name=name,
                properties={
                    "principalId": principal,
                    "scope": scope,
                    "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role]}",
                },
            )
        )

    def entra(self, principal: str, audience: str = "https://containerregistry.azure.net") -> str:
        return self.cloud.tokens.issue(principal_id=principal, client_id=f"{principal}-app", audience=audience)

    async def refresh(self, principal: str) -> str:
        form = {"grant_type": "access_token", "service": self.server, "access_token": self.entra(principal)}
        async with self.client.post(f"{self.url}/oauth2/exchange", data=form) as answer:
            assert answer.status == 200, await answer.text()
            return (await answer.json())["refresh_token"]

    async def access(self, principal: str, *scopes: str) -> dict[str, str]:
        """Headers with an access token."""
        form = [("grant_type", "refresh_token"), ("service", self.server)]
        form += [("refresh_token", await self.refresh(principal)), *(("scope", scope) for scope in scopes)]
        async with self.client.post(f"{self.url}/oauth2/token", data=form) as answer:
            assert answer.status == 200, await answer.text()
            return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}

    async def add_registry(self, name: str) -> Resource:
        group = f"{self.cloud.subscription_scope}/resourceGroups/g"
        made = Resource(id=f"{group}/providers/{REGISTRIES}/{name}", type=REGISTRIES, name=name)
        hooks = self.cloud.types.get(REGISTRIES).work()
        await hooks.validate(made, None)
        await hooks.put(made, None)
        self.cloud.resources.put(made)
        return made
