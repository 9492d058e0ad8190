"""The resource types that the stand-in knows: what the Python SDK does not say about them.

One row a type (`ResourceType` says what its fields mean and where they are from); paths are ARM's public ones.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from local.plugins.protocol.errors import InvalidInput
from local.plugins.schema.check import nearest
from local.plugins.schema.descriptions import description
from local.plugins.schema.types import Description


class Autoname(enum.Enum):
    """How azure-native names a resource whose program gives no name (`getDefaultName`)."""

    RANDOM = "logical name and eight hex digits"
    COPY = "the logical name: children of other resources"
    UUID = "a random UUID"
    DEFAULT = "the only name that there is: 'default'"


@dataclass(frozen=True)
class ResourceType:
    """What one type's requests look like, and which changes replace its resources."""

    path: str
    """Without leading slash; `{subscriptionId}` and the path parameters in braces."""
    api_version: str
    """azure-native 3.29's default, which the SDK names in each class's docstring ("Uses Azure REST API version ...";
    a test compares)."""
    autoname: Autoname = Autoname.RANDOM
    replaces: frozenset[str] = frozenset()
    """Properties that force a replacement: azure-native's own list (provider/pkg/gen/replacement.go), and
    x-ms-mutability of the REST descriptions. There is no Batch entry, so every other change of a pool is planned as an
    update, which Batch refuses."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """The name in the SDK -> the name on the wire, where they differ: x-ms-client-name in the REST descriptions (a test
    compares with the management SDKs). `properties/groupIds` is a name inside of an object that the SDK leaves out
    (x-ms-client-flatten)."""
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Objects of which a program gives the id only, where the SDK has the whole resource -> the properties that its
    class sets by itself."""

    @property
    def parameters(self) -> list[str]:
        """Inputs that are part of the path; the last one is the resource's name."""
        return [name for name in re.findall(r"{(\w+)}", self.path) if name != "subscriptionId"]

    @property
    def name(self) -> str:
        """The input that carries the resource's own name."""
        return self.parameters[-1]

    @property
    def singleton(self) -> bool:
        """It comes and goes with its parent: creating it is an update, deleting it does nothing."""
        return self.autoname is Autoname.DEFAULT


WHOLE_IDS: Final = frozenset({"scope", "resourceUri"})
"""Path parameters that are the id of another resource (or of a group or subscription), with its slashes."""

_GROUP: Final = "subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
_STORAGE: Final = _GROUP + "/providers/Microsoft.Storage/storageAccounts/{accountName}"
_BATCH: Final = _GROUP + "/providers/Microsoft.Batch/batchAccounts/{accountName}"
_INSIGHTS: Final = _GROUP + "/providers/Microsoft.Insights"
_ENDPOINT: Final = _GROUP + "/providers/Microsoft.Network/privateEndpoints/{privateEndpointName}"
_LOCATION: Final = frozenset({"location"})
_SCOPE: Final = frozenset({"scope"})

_STORAGE_ACCOUNT_RENAMES: Final = {
    "enableHttpsTrafficOnly": "supportsHttpsTrafficOnly",
    "enableNfsV3": "isNfsV3Enabled",
    "encryption.encryptionIdentity": "identity",
    "encryption.encryptionIdentity.encryptionFederatedIdentityClientId": "federatedIdentityClientId",
    "encryption.encryptionIdentity.encryptionUserAssignedIdentity": "userAssignedIdentity",
    "encryption.keyVaultProperties": "keyvaultproperties",
    "encryption.keyVaultProperties.keyName": "keyname",
    "encryption.keyVaultProperties.keyVaultUri": "keyvaulturi",
    "encryption.keyVaultProperties.keyVersion": "keyversion",
    "networkRuleSet": "networkAcls",
    "networkRuleSet.ipRules.iPAddressOrRange": "value",
    "networkRuleSet.virtualNetworkRules.virtualNetworkResourceId": "id",
}

_POOL_RENAMES: Final = {
    f"{registry}.userName": "username"
    for registry in (
        "deploymentConfiguration.virtualMachineConfiguration.containerConfiguration.containerRegistries",
        "startTask.containerSettings.registry",
    )
}

_SUBNET_DEFAULTS: Final = ("privateEndpointNetworkPolicies", "privateLinkServiceNetworkPolicies")
_ENDPOINT_RENAMES: Final = {
    f"{path}.{name}": f"properties/{name}"
    for path, names in (
        *(
            (
                f"{kind}rivateLinkServiceConnections",
                (
                    "groupIds",
                    "privateLinkServiceId",
                    "privateLinkServiceConnectionState",
                    "requestMessage",
                ),
            )
            for kind in ("p", "manualP")
        ),
        ("ipConfigurations", ("groupId", "memberName", "privateIPAddress")),
        ("subnet", _SUBNET_DEFAULTS),
    )
    for name in names
}

TYPES: Final[Mapping[str, ResourceType]] = {
    "azure-native:resources:ResourceGroup": ResourceType(_GROUP, "2024-03-01", replaces=_LOCATION),
    "azure-native:managedidentity:UserAssignedIdentity": ResourceType(
        _GROUP + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}",
        "2023-01-31",
        replaces=_LOCATION,
    ),
    "azure-native:managedidentity:FederatedIdentityCredential": ResourceType(
        _GROUP + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}"
        "/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}",
        "2023-01-31",
        Autoname.COPY,
    ),
    "azure-native:keyvault:Vault": ResourceType(
        _GROUP + "/providers/Microsoft.KeyVault/vaults/{vaultName}", "2024-11-01", replaces=_LOCATION
    ),
    "azure-native:keyvault:Key": ResourceType(
        _GROUP + "/providers/Microsoft.KeyVault/vaults/{vaultName}/keys/{keyName}",
        "2024-11-01",
        Autoname.COPY,
        renames={
            "releasePolicy": "release_policy",
            "attributes.expires": "exp",
            "attributes.notBefore": "nbf",
        },
    ),
    "azure-native:authorization:RoleAssignment": ResourceType(
        "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        "2022-04-01",
        Autoname.UUID,
        replaces=frozenset({"principalId", "scope"}),
    ),
    "azure-native:containerregistry:Registry": ResourceType(
        _GROUP + "/providers/Microsoft.ContainerRegistry/registries/{registryName}",
        "2023-01-01-preview",
        replaces=_LOCATION,
        renames={"networkRuleSet.ipRules.iPAddressOrRange": "value"},
    ),
    "azure-native:storage:StorageAccount": ResourceType(
        _STORAGE, "2024-01-01", replaces=_LOCATION | {"isHnsEnabled"}, renames=_STORAGE_ACCOUNT_RENAMES
    ),
    "azure-native:storage:BlobContainer": ResourceType(
        _STORAGE + "/blobServices/default/containers/{containerName}", "2024-01-01", Autoname.COPY
    ),
    "azure-native:storage:BlobServiceProperties": ResourceType(
        _STORAGE + "/blobServices/{blobServicesName}", "2024-01-01", Autoname.DEFAULT
    ),
    "azure-native:batch:BatchAccount": ResourceType(_BATCH, "2024-07-01"),
    "azure-native:batch:Pool": ResourceType(
        _BATCH + "/pools/{poolName}", "2024-07-01", Autoname.COPY, renames=_POOL_RENAMES
    ),
    "azure-native:authorization:ManagementLockByScope": ResourceType(
        "{scope}/providers/Microsoft.Authorization/locks/{lockName}", "2020-05-01", replaces=_SCOPE
    ),
    "azure-native:authorization:ManagementLockAtResourceGroupLevel": ResourceType(
        _GROUP + "/providers/Microsoft.Authorization/locks/{lockName}", "2020-05-01"
    ),
    "azure-native:monitor:DiagnosticSetting": ResourceType(
        "{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
        "2021-05-01-preview",
    ),
    "azure-native:monitor:ActionGroup": ResourceType(
        _INSIGHTS + "/actionGroups/{actionGroupName}", "2024-10-01-preview", replaces=_LOCATION
    ),
    "azure-native:monitor:MetricAlert": ResourceType(
        _INSIGHTS + "/metricAlerts/{ruleName}",
        "2018-03-01",
        replaces=_LOCATION,
        renames={"criteria.odataType": "odata.type"},
    ),
    "azure-native:monitor:ScheduledQueryRule": ResourceType(
        _INSIGHTS + "/scheduledQueryRules/{ruleName}", "2025-01-01-preview", replaces=_LOCATION
    ),
    "azure-native:monitor:ActivityLogAlert": ResourceType(
        _INSIGHTS + "/activityLogAlerts/{activityLogAlertName}", "2020-10-01", replaces=_LOCATION
    ),
    "azure-native:consumption:Budget": ResourceType(
        "{scope}/providers/Microsoft.Consumption/budgets/{budgetName}", "2024-08-01", replaces=_SCOPE
    ),
    "azure-native:network:PrivateEndpoint": ResourceType(
        _ENDPOINT,
        "2024-05-01",
        replaces=_LOCATION,
        renames=_ENDPOINT_RENAMES,
        references={"subnet": _SUBNET_DEFAULTS, "applicationSecurityGroups": ()},
    ),
    "azure-native:network:PrivateDnsZoneGroup": ResourceType(
        _ENDPOINT + "/privateDnsZoneGroups/{privateDnsZoneGroupName}",
        "2024-05-01",
        Autoname.COPY,
        renames={"privateDnsZoneConfigs.privateDnsZoneId": "properties/privateDnsZoneId"},
    ),
}


@dataclass(frozen=True)
class Action:
    """A function that is a POST on an existing resource."""

    resource: str
    name: str


ACTIONS: Final[Mapping[str, Action]] = {
    "azure-native:storage:listStorageAccountKeys": Action("azure-native:storage:StorageAccount", "listKeys"),
    "azure-native:containerregistry:listRegistryCredentials": Action(
        "azure-native:containerregistry:Registry", "listCredentials"
    ),
    "azure-native:batch:listBatchAccountKeys": Action("azure-native:batch:BatchAccount", "listKeys"),
}


def resource_type(token: str) -> ResourceType:
    """The row of a token; a token that is not in the table is refused by name."""
    if token not in TYPES:
        names = ", ".join(name.removeprefix("azure-native:") for name in TYPES)
        raise InvalidInput(
            f"the stand-in for azure-native does not know resource type {token}{nearest(token, TYPES)} "
            f"(known: {names}). "
            "Add a row to local/plugins/azure_native/resources.py, or use the real plugin"
        )
    return TYPES[token]


def describe(token: str) -> Description:
    """What the SDK says of a type in the table; a type that the installed SDK lacks is refused by name."""
    resource_type(token)
    if described := description(token):
        return described
    raise InvalidInput(f"the installed pulumi_azure_native has no resource type {token}")
