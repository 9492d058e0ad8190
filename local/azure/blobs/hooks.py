"""What ARM's Microsoft.Storage types do: accounts with keys, the blob service, containers."""

from __future__ import annotations

import base64
import re
import secrets
from typing import Any

from local.azure.blobs.azurite import Azurite
from local.azure.blobs.errors import ServerBusy, StorageUnavailable, UnknownStorageAction
from local.azure.control_plane.ids import BLOB_SERVICES
from local.azure.control_plane.private_links import shown_connections
from local.azure.control_plane.resources import Resource, Resources
from local.azure.control_plane.tokens import Caller
from local.azure.platform.ports import HOST, Ports


def blob_endpoint(ports: Ports, account: str) -> str:
    """The account's URL, with a slash at its end as ARM gives it. Path-style: an address has no subdomains."""
    return f"https://{HOST}:{ports.reserve('blobs')}/{account}/"


class AccountHooks:
    """Microsoft.Storage/storageAccounts."""

    def __init__(self, resources: Resources, ports: Ports, azurite: Azurite) -> None:
        self._resources = resources
        self._ports = ports
        self._azurite = azurite

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Nothing to add: ARM's table of types has the name rule."""

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Make the keys, and the blob service that every account has."""
        if "keys" not in new.system:
            new.system["keys"] = [_key(), _key()]
        service = f"{new.id}/blobServices/default"
        if self._resources.get(service) is None:
            self._resources.put(Resource(id=service, type=BLOB_SERVICES, name="default", created=new.created))

    async def delete(self, resource: Resource) -> None:
        """Remove every container, also those that ARM does not know."""
        try:
            for name in await self._azurite.containers(resource.name):
                await self._azurite.delete_container(resource.name, name)
        except ServerBusy as error:
            raise StorageUnavailable from error
        for child in self._resources.list(scope=f"{resource.id}/blobServices/default"):
            self._resources.delete(child.id)

    async def action(self, resource: Resource, name: str, body: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """listKeys (as on Azure also where shared key access is off: the keys open nothing then), regenerateKey."""
        verb = name.lower()
        if verb not in ("listkeys", "regeneratekey"):
            raise UnknownStorageAction(
                f"The local Azure has no storage account action '{name}'; it has listKeys and regenerateKey."
            )
        keys = list(resource.system.get("keys", []))
        if verb == "regeneratekey":
            index = {"key1": 0, "key2": 1}.get(str(body.get("keyName")))
            if index is None:
                raise UnknownStorageAction(f"keyName {body.get('keyName')!r} is not one of 'key1', 'key2'.")
            keys[index] = _key()
            resource.system["keys"] = keys
            self._resources.put(resource)
        names = ("key1", "key2")
        return {"keys": [{"keyName": n, "value": k, "permissions": "FULL"} for n, k in zip(names, keys, strict=True)]}

    def view(self, resource: Resource) -> dict[str, Any]:
        """What GET adds."""
        return {
            **_defaults(resource),
            "primaryEndpoints": {"blob": blob_endpoint(self._ports, resource.name)},
            "primaryLocation": resource.location,
            "statusOfPrimary": "available",
            "creationTime": resource.created,
            "privateEndpointConnections": shown_connections(self._resources, resource),
        }


def _defaults(resource: Resource) -> dict[str, Any]:
    """What the service fills in (recorded; the network rules' parts, each where it was not given)."""
    made, kind = resource.created, {"keyType": "Account", "enabled": True, "lastEnabledTime": resource.created}
    filled: dict[str, Any] = {
        "keyCreationTime": {"key1": made, "key2": made},
        "allowCrossTenantReplication": False,
        "minimumTlsVersion": "TLS1_0",
        "allowBlobPublicAccess": False,
        "supportsHttpsTrafficOnly": True,
        "encryption": {"services": {"file": kind, "blob": kind}, "keySource": "Microsoft.Storage"},
        **({"accessTier": "Hot"} if resource.kind in ("StorageV2", "BlobStorage") else {}),
    }
    rules = {
        "ipv6Rules": [],
        "bypass": "AzureServices",
        "virtualNetworkRules": [],
        "ipRules": [],
        "defaultAction": "Allow",
    }
    given = {name: value for name, value in resource.properties.items() if value is not None}
    return {**filled, **given, "networkAcls": {**rules, **(given.get("networkAcls") or {})}}


class ServiceHooks:
    """Microsoft.Storage/storageAccounts/blobServices: properties are kept; nothing acts on them here."""

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Nothing to add: ARM's table of types has the name rule."""

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Nothing to do."""

    async def delete(self, resource: Resource) -> None:
        """Nothing to do: it goes with its account."""

    async def action(self, resource: Resource, name: str, body: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """There is none."""
        raise UnknownStorageAction(f"The local Azure has no blob service action '{name}'.")

    def view(self, resource: Resource) -> dict[str, Any]:
        """What GET adds."""
        return {"cors": resource.properties.get("cors") or {"corsRules": []}}


class ContainerHooks:
    """Microsoft.Storage/storageAccounts/blobServices/containers."""

    def __init__(self, azurite: Azurite) -> None:
        self._azurite = azurite

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Nothing to add: ARM's table of types has the name rule."""

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Make it; one that is there already is taken as it is."""
        new.properties.setdefault("publicAccess", "None")
        try:
            await self._azurite.create_container(account_of(new.id), new.name)
        except ServerBusy as error:
            raise StorageUnavailable from error

    async def delete(self, resource: Resource) -> None:
        """Remove it with its blobs."""
        try:
            await self._azurite.delete_container(account_of(resource.id), resource.name)
        except ServerBusy as error:
            raise StorageUnavailable from error

    async def action(self, resource: Resource, name: str, body: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """There is none yet."""
        raise UnknownStorageAction(f"The local Azure has no container action '{name}' yet.")

    def view(self, resource: Resource) -> dict[str, Any]:
        """What GET adds."""
        return {
            "defaultEncryptionScope": "$account-encryption-key",
            "denyEncryptionScopeOverride": False,
            "hasImmutabilityPolicy": False,
            "hasLegalHold": False,
            "leaseState": "Available",
            "leaseStatus": "Unlocked",
            "lastModifiedTime": resource.changed or resource.created,
        }


def account_of(resource_id: str) -> str:
    """The account's name in the id of something below it."""
    match = re.search(r"/storageAccounts/([^/]+)", resource_id, re.IGNORECASE)
    assert match is not None, resource_id
    return match[1].lower()


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()
