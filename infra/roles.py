"""Azure's built-in roles that the program assigns: the only place where their ids are written."""

from enum import Enum


class Role(Enum):
    """A built-in role; the value is its role definition id, the same in every tenant.

    Source: learn.microsoft.com/azure/role-based-access-control/built-in-roles. AcrPull works on registries in classic
    mode only (docs/azure-facts.md#roles-of-a-registry); the program's registry is made in classic mode.
    """

    STORAGE_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    STORAGE_BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    AZURE_BATCH_DATA_CONTRIBUTOR = "6aaa78f1-f7de-44ca-8722-c64a23943cae"

    def definition_id(self, subscription_id: str) -> str:
        """The role definition's resource id in a subscription."""
        return f"/subscriptions/{subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{self.value}"
