"""The names of resource types that more than one part of the code asks for, as ARM spells them.

What ARM knows of each is its row in `resource_types.py`.
"""

from typing import Final

RESOURCE_GROUPS: Final = "Microsoft.Resources/resourceGroups"
TAGS: Final = "Microsoft.Resources/tags"
USER_ASSIGNED_IDENTITIES: Final = "Microsoft.ManagedIdentity/userAssignedIdentities"
FEDERATED_CREDENTIALS: Final = f"{USER_ASSIGNED_IDENTITIES}/federatedIdentityCredentials"
ROLE_ASSIGNMENTS: Final = "Microsoft.Authorization/roleAssignments"
ROLE_DEFINITIONS: Final = "Microsoft.Authorization/roleDefinitions"
LOCKS: Final = "Microsoft.Authorization/locks"
BATCH_ACCOUNTS: Final = "Microsoft.Batch/batchAccounts"
POOLS: Final = f"{BATCH_ACCOUNTS}/pools"
STORAGE_ACCOUNTS: Final = "Microsoft.Storage/storageAccounts"
BLOB_SERVICES: Final = f"{STORAGE_ACCOUNTS}/blobServices"
BLOB_CONTAINERS: Final = f"{BLOB_SERVICES}/containers"
REGISTRIES: Final = "Microsoft.ContainerRegistry/registries"
PRIVATE_ENDPOINTS: Final = "Microsoft.Network/privateEndpoints"
VIRTUAL_NETWORKS: Final = "Microsoft.Network/virtualNetworks"
SUBNETS: Final = f"{VIRTUAL_NETWORKS}/subnets"
PRIVATE_DNS_ZONES: Final = "Microsoft.Network/privateDnsZones"
DIAGNOSTIC_SETTINGS: Final = "Microsoft.Insights/diagnosticSettings"
ACTION_GROUPS: Final = "Microsoft.Insights/actionGroups"
