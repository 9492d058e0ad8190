"""What ARM's batchAccounts do here: an account is a port, keys and a scheduler.

Properties and quotas: https://learn.microsoft.com/rest/api/batchmanagement/batch-account (2024-07-01).
"""

from __future__ import annotations

import ipaddress
from typing import Any

from local.azure.batch.account.account import Account, allowed_modes
from local.azure.batch.account.authentication import SHARED_KEY
from local.azure.batch.account.auto_storage import BY_IDENTITY
from local.azure.batch.account.quotas import ACTIVE_JOBS_AND_SCHEDULES, POOLS
from local.azure.batch.account.vm_sizes import families
from local.azure.batch.accounts import Accounts
from local.azure.batch.errors import (
    InvalidAutoStorage,
    InvalidPropertyValue,
    NotImplementedYet,
    ResourceNotFound,
    SharedKeyNotAllowed,
)
from local.azure.batch.model.durations import stamp
from local.azure.control_plane.ids import STORAGE_ACCOUNTS, USER_ASSIGNED_IDENTITIES
from local.azure.control_plane.private_links import shown_connections
from local.azure.control_plane.resources import SYSTEM_IDENTITY, Resource
from local.azure.control_plane.tokens import Caller

_CORES = 900
_NOT_YET = (("poolAllocationMode", "UserSubscription"), ("publicNetworkAccess", "SecuredByPerimeter"))


class AccountHooks:
    """`TypeHooks` of Microsoft.Batch/batchAccounts."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Refuse what is not there yet and a linked storage account that cannot work."""
        properties = new.properties
        for name, value in _NOT_YET:
            if properties.get(name) == value:
                raise NotImplementedYet(f"The local Azure does not have {name} '{value}' yet; nothing was changed.")
        if (properties.get("encryption") or {}).get("keySource", "Microsoft.Batch") != "Microsoft.Batch":
            raise NotImplementedYet("The local Azure does not have customer-managed keys yet (property 'encryption').")
        if properties.get("autoStorage"):
            self._check_auto_storage(new, properties["autoStorage"])
        _check_network(properties)

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Open the account's port."""
        account = await self._accounts.add(new)
        new.system["accountEndpoint"] = account.endpoint

    async def delete(self, resource: Resource) -> None:
        """Remove pools, jobs, nodes, keys and the port."""
        await self._accounts.remove(resource.name)

    async def action(
        self, resource: Resource, name: str, body: dict[str, Any], caller: Caller
    ) -> dict[str, Any] | None:
        """listKeys, regenerateKeys, syncAutoStorageKeys."""
        verb = name.lower()
        if verb == "syncautostoragekeys":
            if not resource.properties.get("autoStorage"):
                raise InvalidAutoStorage(f"The Batch account '{resource.name}' has no auto-storage account.")
            resource.system["lastKeySync"] = stamp(self._accounts.cloud.clock.now())
            self._accounts.cloud.resources.put(resource)
            return None
        account = self._accounts.account(resource.name)
        if account is None or verb not in ("listkeys", "regeneratekeys"):
            raise ResourceNotFound(f"The action '{name}' of {resource.id} was not found.")
        if SHARED_KEY not in allowed_modes(resource.properties):
            raise SharedKeyNotAllowed
        if verb == "listkeys":
            return _keys(account, account.keys())
        which = str(body.get("keyName", "")).lower()
        if which not in ("primary", "secondary"):
            raise ResourceNotFound(f"keyName: expected Primary or Secondary, got {body.get('keyName')!r}")
        return _keys(account, account.regenerate(which))

    def view(self, resource: Resource) -> dict[str, Any]:
        """Endpoint, quotas and defaults. Every quota is Azure's documented default or plenty for one machine."""
        properties = resource.properties
        account = self._accounts.account(resource.name)
        endpoint = resource.system.get("accountEndpoint") or (account.endpoint if account else None)
        shown: dict[str, Any] = {
            "accountEndpoint": endpoint,
            "nodeManagementEndpoint": endpoint,
            "poolAllocationMode": properties.get("poolAllocationMode") or "BatchService",
            "publicNetworkAccess": properties.get("publicNetworkAccess") or "Enabled",
            "allowedAuthenticationModes": list(allowed_modes(properties)),
            "encryption": properties.get("encryption") or {"keySource": "Microsoft.Batch"},
            "dedicatedCoreQuota": _CORES,
            "lowPriorityCoreQuota": _CORES,
            "dedicatedCoreQuotaPerVMFamily": [{"name": name, "coreQuota": _CORES} for name in families()],
            "dedicatedCoreQuotaPerVMFamilyEnforced": True,
            "poolQuota": POOLS,
            "activeJobAndJobScheduleQuota": ACTIVE_JOBS_AND_SCHEDULES,
            "privateEndpointConnections": shown_connections(self._accounts.cloud.resources, resource),
        }
        if properties.get("autoStorage"):
            mode = properties["autoStorage"].get("authenticationMode") or "StorageKeys"
            shown["autoStorage"] = {
                **properties["autoStorage"],
                "authenticationMode": mode,
                "lastKeySync": resource.system.get("lastKeySync", resource.created),
            }
        return shown

    def _check_auto_storage(self, account: Resource, linked: dict[str, Any]) -> None:
        """The storage account and identities exist (texts: [guess]).

        Whether the account's identity may write there is not asked: templates assign the role afterwards
        (docs/azure-facts.md#auto-storage-by-identity).
        """
        cloud = self._accounts.cloud
        storage_id = str(linked.get("storageAccountId", ""))
        storage = cloud.resources.get(storage_id)
        if storage is None or storage.type.lower() != STORAGE_ACCOUNTS.lower():
            raise InvalidAutoStorage(f"The auto-storage account '{storage_id}' does not exist.")
        node = (linked.get("nodeIdentityReference") or {}).get("resourceId")
        if node is not None:
            identity = cloud.resources.get(node)
            if identity is None or identity.type.lower() != USER_ASSIGNED_IDENTITIES.lower():
                raise InvalidAutoStorage(f"The identity '{node}' of autoStorage.nodeIdentityReference does not exist.")
        if linked.get("authenticationMode") != BY_IDENTITY:
            return
        assigned = (account.identity or {}).get("userAssignedIdentities")
        if not assigned and SYSTEM_IDENTITY not in account.system:
            raise InvalidAutoStorage(
                f"autoStorage.authenticationMode is {BY_IDENTITY}, but the Batch account has no managed identity."
            )


def _check_network(properties: dict[str, Any]) -> None:
    """IP rules are IPv4 addresses or ranges. They keep nobody out here: all clients are on this machine."""
    for access in ("accountAccess", "nodeManagementAccess"):
        for rule in ((properties.get("networkProfile") or {}).get(access) or {}).get("ipRules") or ():
            try:
                ipaddress.IPv4Network(str(rule.get("value")))
            except ValueError as error:
                details = [
                    ("Reason", f"'{rule.get('value')}' is not an IPv4 address or address range in CIDR form: {error}"),
                    ("PropertyName", "value"),
                    ("PropertyPath", f"properties.networkProfile.{access}.ipRules"),
                ]
                raise InvalidPropertyValue(details=details) from None


def _keys(account: Account, keys: dict[str, str]) -> dict[str, Any]:
    return {"accountName": account.name, **keys}
