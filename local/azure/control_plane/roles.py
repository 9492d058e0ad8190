"""Azure's built-in roles that the local Azure enforces: one table.

Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles and, for Batch,
https://learn.microsoft.com/azure/batch/batch-role-based-access-control (the JSON of each role).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class RoleDefinition:
    """A role definition; patterns have `*` for anything and compare without case."""

    id: str
    name: str
    description: str
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()

    def allows(self, operation: str, *, data: bool) -> bool:
        """Whether the role has this action (or data action)."""
        wanted, refused = (self.data_actions, self.not_data_actions) if data else (self.actions, self.not_actions)
        return any(_matches(one, operation) for one in wanted) and not any(_matches(one, operation) for one in refused)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """`/*/` also matches `/`: Managed Identity Operator has `userAssignedIdentities/*/assign/action`."""
    text = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.compile(text.replace("/.*/", "/(?:.*/)?"), re.IGNORECASE)


def _matches(pattern: str, operation: str) -> bool:
    return _pattern(pattern).fullmatch(operation) is not None


_BLOBS = "Microsoft.Storage/storageAccounts/blobServices"
_BLOB = f"{_BLOBS}/containers/blobs"
_REGISTRY = "Microsoft.ContainerRegistry/registries"
_BATCH = "Microsoft.Batch/batchAccounts"
_COMMON_READ = (
    "Microsoft.Insights/alertRules/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
)

ROLES: tuple[RoleDefinition, ...] = (
    RoleDefinition(
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner",
        "Grants full access to manage all resources, including the ability to assign roles in Azure RBAC.",
        actions=("*",),
    ),
    RoleDefinition(
        "b24988ac-6180-42a0-ab88-20f7382dd24c", "Contributor",
        "Grants full access to manage all resources, but does not allow you to assign roles in Azure RBAC.",
        actions=("*",),
        not_actions=(
            "Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action", "Microsoft.Blueprint/blueprintAssignments/write",
            "Microsoft.Blueprint/blueprintAssignments/delete", "Microsoft.Compute/galleries/share/action",
            "Microsoft.Purview/consents/write", "Microsoft.Purview/consents/delete",
        ),
    ),
    RoleDefinition(
        "acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader",
        "View all resources, but does not allow you to make any changes.",
        actions=("*/read",),
    ),
    RoleDefinition(
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "User Access Administrator",
        "Lets you manage user access to Azure resources.",
        actions=("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"),
    ),
    RoleDefinition(
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168", "Role Based Access Control Administrator",
        "Manage access to Azure resources by assigning roles using Azure RBAC.",
        actions=(
            "Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete",
            "*/read", "Microsoft.Support/*",
        ),
    ),
    RoleDefinition(
        "f1a07417-d97a-45cb-824c-7a7467783830", "Managed Identity Operator",
        "Read and Assign User Assigned Identity",
        actions=(
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
            "Microsoft.Authorization/*/read", *_COMMON_READ, "Microsoft.Resources/deployments/*",
            "Microsoft.Support/*",
        ),
    ),
    RoleDefinition(
        "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59", "Managed Identity Contributor",
        "Create, Read, Update, and Delete User Assigned Identity",
        actions=(
            "Microsoft.ManagedIdentity/userAssignedIdentities/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/write",
            "Microsoft.ManagedIdentity/userAssignedIdentities/delete",
            "Microsoft.Authorization/*/read", *_COMMON_READ, "Microsoft.Resources/deployments/*",
            "Microsoft.Support/*",
        ),
    ),
    RoleDefinition(
        "28bf596f-4eb7-45ce-b5bc-6cf482fec137", "Locks Contributor", "Can Manage Locks Operations.",
        actions=("Microsoft.Authorization/locks/read", "Microsoft.Authorization/locks/write",
                 "Microsoft.Authorization/locks/delete"),
    ),
    RoleDefinition(
        "4d97b98b-1d4f-4787-a291-c67834d212e7", "Network Contributor",
        "Lets you manage networks, but not access to them.",
        actions=(
            "Microsoft.Authorization/*/read", *_COMMON_READ, "Microsoft.Network/*",
            "Microsoft.ResourceHealth/availabilityStatuses/read", "Microsoft.Resources/deployments/*",
            "Microsoft.Support/*",
        ),
    ),
    RoleDefinition(
        "749f88d5-cbae-40b8-bcfc-e573ddc772fa", "Monitoring Contributor",
        "Can read all monitoring data and update monitoring settings.",
        actions=(
            "*/read", "Microsoft.Insights/actiongroups/*", "Microsoft.Insights/activityLogAlerts/*",
            "Microsoft.Insights/AlertRules/*", "Microsoft.Insights/DiagnosticSettings/*",
            "Microsoft.Insights/metricAlerts/*", "Microsoft.Insights/scheduledqueryrules/*",
            "Microsoft.OperationalInsights/workspaces/write", "Microsoft.Support/*",
        ),
    ),
    RoleDefinition(
        "7f951dda-4ed3-4680-a7ca-43fe172d538d", "AcrPull", "acr pull",
        actions=(f"{_REGISTRY}/pull/read",),
    ),
    RoleDefinition(
        "8311e382-0749-4cb8-b61a-304f252e45ec", "AcrPush", "acr push",
        actions=(f"{_REGISTRY}/pull/read", f"{_REGISTRY}/push/write"),
    ),
    RoleDefinition(
        "c2f4ef07-c644-48eb-af81-4b1b4947fb11", "AcrDelete", "acr delete",
        actions=(f"{_REGISTRY}/artifacts/delete",),
    ),
    RoleDefinition(
        "b93aa761-3e63-49ed-ac28-beffa264f7ac", "Container Registry Repository Reader",
        "Allows for read access to Azure Container Registry repositories, but excluding catalog listing.",
        data_actions=(f"{_REGISTRY}/repositories/content/read", f"{_REGISTRY}/repositories/metadata/read"),
    ),
    RoleDefinition(
        "2a1e307c-b015-4ebd-883e-5b7698a07328", "Container Registry Repository Writer",
        "Allows for read, write access to Azure Container Registry repositories, but excluding catalog listing.",
        data_actions=(
            f"{_REGISTRY}/repositories/content/read", f"{_REGISTRY}/repositories/metadata/read",
            f"{_REGISTRY}/repositories/content/write", f"{_REGISTRY}/repositories/metadata/write",
        ),
    ),
    RoleDefinition(
        "2efddaa5-3f1f-4df3-97df-af3f13818f4c", "Container Registry Repository Contributor",
        "Allows for read, write, and delete access to Azure Container Registry repositories, but excluding catalog "
        "listing.",
        data_actions=tuple(
            f"{_REGISTRY}/repositories/{part}/{verb}"
            for part in ("metadata", "content") for verb in ("read", "write", "delete")
        ),
    ),
    RoleDefinition(
        "bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7", "Container Registry Repository Catalog Lister",
        "Allows for listing all repositories in an Azure Container Registry.",
        data_actions=(f"{_REGISTRY}/catalog/read",),
    ),
    RoleDefinition(
        "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "Storage Blob Data Reader",
        "Allows for read access to Azure Storage blob containers and data",
        actions=(f"{_BLOBS}/containers/read", f"{_BLOBS}/generateUserDelegationKey/action"),
        data_actions=(f"{_BLOB}/read",),
    ),
    RoleDefinition(
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe", "Storage Blob Data Contributor",
        "Allows for read, write and delete access to Azure Storage blob containers and data",
        actions=(
            f"{_BLOBS}/containers/delete", f"{_BLOBS}/containers/read", f"{_BLOBS}/containers/write",
            f"{_BLOBS}/generateUserDelegationKey/action",
        ),
        data_actions=(
            f"{_BLOB}/delete", f"{_BLOB}/read", f"{_BLOB}/write", f"{_BLOB}/move/action", f"{_BLOB}/add/action",
        ),
    ),
    RoleDefinition(
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "Storage Blob Data Owner",
        "Allows for full access to Azure Storage blob containers and data, including assigning POSIX access control.",
        actions=(f"{_BLOBS}/containers/*", f"{_BLOBS}/generateUserDelegationKey/action"),
        data_actions=(f"{_BLOB}/*",),
    ),
    RoleDefinition(
        "17d1049b-9a84-46fb-8f53-869881c3d3ab", "Storage Account Contributor",
        "Lets you manage storage accounts, including accessing storage account keys.",
        actions=(
            "Microsoft.Authorization/*/read", "Microsoft.Insights/diagnosticSettings/*", *_COMMON_READ,
            "Microsoft.Resources/deployments/*", "Microsoft.Storage/storageAccounts/*", "Microsoft.Support/*",
        ),
    ),
    RoleDefinition(
        "12338af0-0e69-4776-bea7-57ae8d297424", "Key Vault Crypto User",
        "Perform cryptographic operations using keys. Only works for key vaults that use the 'Azure role-based access "
        "control' permission model.",
        data_actions=tuple(
            f"Microsoft.KeyVault/vaults/keys/{name}"
            for name in (
                "read", "update/action", "backup/action", "encrypt/action", "decrypt/action", "wrap/action",
                "unwrap/action", "sign/action", "verify/action",
            )
        ),
    ),
    RoleDefinition(
        "29fe4964-1e60-436b-bd3a-77fd4c178b3c", "Azure Batch Account Contributor",
        "Grants full access to manage all Batch resources, including Batch accounts, pools and jobs.",
        actions=(
            "Microsoft.Authorization/*/read", "Microsoft.Batch/*", *_COMMON_READ, "Microsoft.Resources/deployments/*",
        ),
        data_actions=("Microsoft.Batch/*",),
    ),
    RoleDefinition(
        "11076f67-66f6-4be0-8f6b-f0609fd05cc9", "Azure Batch Account Reader",
        "Lets you view all resources including pools and jobs in the Batch account.",
        actions=("Microsoft.Batch/*/read", "Microsoft.Resources/subscriptions/resourceGroups/read"),
        data_actions=("Microsoft.Batch/*/read",),
    ),
    RoleDefinition(
        "6aaa78f1-f7de-44ca-8722-c64a23943cae", "Azure Batch Data Contributor",
        "Grants permissions to manage Batch pools and jobs but not to modify accounts.",
        actions=(
            "Microsoft.Authorization/*/read", f"{_BATCH}/read", f"{_BATCH}/applications/*",
            f"{_BATCH}/certificates/*", f"{_BATCH}/certificateOperationResults/*", f"{_BATCH}/pools/*",
            f"{_BATCH}/poolOperationResults/*", "Microsoft.Batch/locations/*/read", *_COMMON_READ,
            "Microsoft.Resources/deployments/*",
        ),
        data_actions=(f"{_BATCH}/jobSchedules/*", f"{_BATCH}/jobs/*"),
    ),
    RoleDefinition(
        "48e5e92e-a480-4e71-aa9c-2778f4c13781", "Azure Batch Job Submitter",
        "Lets you submit and manage jobs in the Batch account.",
        actions=(
            f"{_BATCH}/applications/read", f"{_BATCH}/applications/versions/read", f"{_BATCH}/pools/read",
            *_COMMON_READ,
        ),
        data_actions=(f"{_BATCH}/jobSchedules/*", f"{_BATCH}/jobs/*"),
    ),
)  # fmt: skip

_BY_ID = {role.id: role for role in ROLES}


def role_of(definition_id: str) -> RoleDefinition | None:
    """The role that a role definition's id (any scope) or GUID names."""
    return _BY_ID.get(role_key(definition_id))


def role_key(definition_id: str) -> str:
    """The GUID at the end of a role definition's id."""
    return definition_id.rstrip("/").rsplit("/", 1)[-1].lower()


def custom_role(name: str, properties: Mapping[str, Any]) -> RoleDefinition:
    """A role from the properties of a definition that somebody made; its permissions count together."""

    def every(kind: str) -> tuple[str, ...]:
        return tuple(str(one) for part in properties.get("permissions") or () for one in part.get(kind) or ())

    return RoleDefinition(
        name.lower(),
        str(properties.get("roleName")),
        str(properties.get("description") or ""),
        every("actions"),
        every("notActions"),
        every("dataActions"),
        every("notDataActions"),
    )
