"""Azure's built-in roles that the program assigns: the only place in `infra/` where their ids are written."""

from enum import Enum


class Role(Enum):
    """A built-in role; the value is its role definition id, the same in every tenant.

    Source: learn.microsoft.com/azure/role-based-access-control/built-in-roles. Which roles hold in a registry depends
    on its role assignment mode (docs/azure-facts.md#roles-of-a-registry), so both pairs are assigned.
    """

    STORAGE_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    STORAGE_BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    ACR_PUSH = "8311e382-0749-4cb8-b61a-304f252e45ec"
    CONTAINER_REGISTRY_REPOSITORY_READER = "b93aa761-3e63-49ed-ac28-beffa264f7ac"
    CONTAINER_REGISTRY_REPOSITORY_WRITER = "2a1e307c-b015-4ebd-883e-5b7698a07328"
    AZURE_BATCH_ACCOUNT_READER = "11076f67-66f6-4be0-8f6b-f0609fd05cc9"
    AZURE_BATCH_JOB_SUBMITTER = "48e5e92e-a480-4e71-aa9c-2778f4c13781"
    AZURE_BATCH_DATA_CONTRIBUTOR = "6aaa78f1-f7de-44ca-8722-c64a23943cae"

    def definition_id(self, subscription_id: str) -> str:
        """The role definition's resource id in a subscription."""
        return f"/subscriptions/{subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{self.value}"
