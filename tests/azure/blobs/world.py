"""A cloud with one storage account served, Azurite behind it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass, field
from typing import Any

from azure.core.credentials import AccessToken
from azure.storage.blob import BlobServiceClient

from local.azure.blobs.azurite import azurite_command, azurite_port
from local.azure.blobs.service import BlobService
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import BLOB_CONTAINERS, STORAGE_ACCOUNTS
from local.azure.control_plane.resources import Resource

ROLES = {
    "Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "ArmContributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
}


async def started(cloud: Cloud) -> asyncio.subprocess.Process:
    """Azurite, answering."""
    argv, env = azurite_command(cloud.paths, cloud.store, cloud.ports)
    process = await asyncio.create_subprocess_exec(*argv, env={**os.environ, **env}, stdout=subprocess.DEVNULL)
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", azurite_port(cloud.ports))
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return process


@dataclass
class Credential:
    """An azure-identity credential that has its token already."""

    token: str

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(self.token, 4_000_000_000)


@dataclass
class World:
    """What a test acts on. SDK clients are synchronous: call them in a thread."""

    cloud: Cloud
    service: BlobService
    azurite: asyncio.subprocess.Process
    clients: list[BlobServiceClient] = field(default_factory=list)

    @property
    def account_id(self) -> str:
        return f"{self.cloud.subscription_scope}/resourceGroups/g/providers/{STORAGE_ACCOUNTS}/data1"

    def scope(self, container: str) -> str:
        return f"{self.account_id}/blobServices/default/containers/{container}"

    def url(self, account: str = "data1") -> str:
        return f"https://127.0.0.1:{self.cloud.ports.reserve('blobs')}/{account}"

    async def add_account(self, name: str = "data1", **properties: Any) -> Resource:
        made = Resource(
            id=self.account_id.replace("data1", name),
            type=STORAGE_ACCOUNTS,
            name=name,
            properties=properties,
            created="now",
        )
        hooks = self.cloud.types.get(STORAGE_ACCOUNTS).work()
        await hooks.validate(made, None)
        await hooks.put(made, None)
        self.cloud.resources.put(made)
        return made

    async def add_container(self, name: str) -> Resource:
        made = Resource(id=self.scope(name), type=BLOB_CONTAINERS, name=name)
        hooks = self.cloud.types.get(BLOB_CONTAINERS).work()
        await hooks.validate(made, None)
        await hooks.put(made, None)
        self.cloud.resources.put(made)
        return made

    def assign(self, principal: str, role: str, scope: str | None = None) -> str:
        scope = scope or self.account_id
        assignment = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{principal}-{role}"
        self.cloud.resources.put(
            Resource(
                id=assignment,
                type="Microsoft.Authorization/roleAssignments",
                name=f"{principal}-{role}",
                properties={
                    "principalId": principal,
                    "scope": scope,
                    "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role]}",
                },
            )
        )
        return assignment

    def client(self, credential: Any, account: str = "data1") -> BlobServiceClient:
        made = BlobServiceClient(
            self.url(account),
            credential=credential,
            connection_verify=str(self.cloud.paths.ca),
            retry_total=0,
            max_single_put_size=200_000,
            max_block_size=100_000,
        )
        self.clients.append(made)
        return made

    def client_of(self, principal: str, audience: str = "https://storage.azure.com/") -> BlobServiceClient:
        return self.client(
            Credential(self.cloud.tokens.issue(principal_id=principal, client_id=f"{principal}-app", audience=audience))
        )
