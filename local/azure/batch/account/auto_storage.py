"""The storage account that a Batch account is linked to, as Batch uses it for application packages.

With keys or as the Batch account's identity, as `autoStorage.authenticationMode` says. Requests go to the blob endpoint
like anybody's: a role that is missing there is refused there.
"""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from local.azure.batch.errors import AutoStorageRefused, InvalidAutoStorage
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resources import SYSTEM_IDENTITY, Resource
from local.azure.control_plane.shared_access import blob_service_query, container_query
from local.azure.control_plane.tokens import STORAGE_AUDIENCES

BY_IDENTITY: Final = "BatchAccountManagedIdentity"
_LIFE: Final = timedelta(hours=4)
_EARLIER: Final = timedelta(minutes=5)  # both recorded
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)


class AutoStorage:
    """One Batch account's. Raises InvalidAutoStorage when there is none (any more)."""

    def __init__(self, cloud: Cloud, account: Resource) -> None:
        self._cloud = cloud
        linked: dict[str, Any] = account.properties.get("autoStorage") or {}
        storage = cloud.resources.get(str(linked.get("storageAccountId", "")))
        if storage is None:
            raise InvalidAutoStorage(
                f"The Batch account '{account.name}' has no auto-storage account, which application packages need."
            )
        self._storage = storage
        self.by_identity = linked.get("authenticationMode") == BY_IDENTITY
        self._user = _identity(account) if self.by_identity else None

    def url(self, path: str, permissions: str) -> tuple[str, datetime]:
        """Where a container, or `container/blob`, is read or written for the next hours, and until when."""
        now = self._cloud.clock.now()
        user = None if self._user is None else (self._user["principalId"], self._cloud.settings.tenant_id)
        resource = f"{self._storage.name}/{path}"
        query = blob_service_query(resource, self._key, permissions, now - _EARLIER, now + _LIFE, user)
        return f"{self.plain_url(path)}?{query}", now + _LIFE

    def plain_url(self, path: str) -> str:
        """The same without a signature."""
        return self._endpoint + quote(path)

    async def make_container(self, name: str) -> None:
        """Make it; one that is there is no error."""
        await self._send("PUT", f"{name}?restype=container", 201, 409)

    async def has(self, path: str) -> bool:
        """Whether the blob is there."""
        return await self._send("HEAD", quote(path), 200, 404) == 200

    async def delete(self, path: str) -> None:
        """Delete the blob; what is gone is no error."""
        await self._send("DELETE", quote(path), 202, 404)

    async def _send(self, method: str, target: str, *expected: int) -> int:
        headers = {"x-ms-version": "2021-12-02"}
        if self._user is None:
            until = self._cloud.clock.now() + _EARLIER
            target += ("&" if "?" in target else "?") + container_query(self._storage.name, self._key, "rwdlc", until)
        else:
            token = self._cloud.tokens.issue(
                principal_id=self._user["principalId"],
                client_id=self._user["clientId"],
                audience=STORAGE_AUDIENCES[0],
            )
            headers["Authorization"] = f"Bearer {token}"
        context = ssl.create_default_context(cafile=str(self._cloud.paths.ca))
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT, connector=aiohttp.TCPConnector(ssl=context)) as session,
                session.request(method, self._endpoint + target, headers=headers) as answer,
            ):
                if answer.status in expected:
                    return answer.status
                code = answer.headers.get("x-ms-error-code", str(answer.status))
        except (aiohttp.ClientError, TimeoutError) as error:
            code = type(error).__name__
        raise AutoStorageRefused(f"The auto-storage account '{self._storage.name}' refused the Batch account: {code}.")

    @property
    def _key(self) -> str:
        return str(self._storage.system["keys"][0])

    @property
    def _endpoint(self) -> str:
        shown = self._cloud.types.get(self._storage.type).work().view(self._storage)
        return str(shown["primaryEndpoints"]["blob"])


def _identity(account: Resource) -> dict[str, str]:
    """The identity that the account acts as: its own, or the first that was assigned."""
    if SYSTEM_IDENTITY in account.system:
        return dict(account.system[SYSTEM_IDENTITY])
    assigned = (account.identity or {}).get("userAssignedIdentities") or {}
    return dict(next(iter(assigned.values())))
