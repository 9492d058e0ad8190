"""The Batch account: Entra authentication only, linked to the storage account by managed identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import batch, resources

from infra.access import AccountAccess
from infra.identity import Identities
from infra.naming import TYPE_PREFIX, Names
from infra.storage import Storage


@dataclass(frozen=True, kw_only=True)
class BatchAccountArgs:
    """Where the account lives, with which tags, who it is and which storage it links."""

    group: resources.ResourceGroup
    names: Names
    tags: Mapping[str, str]
    identities: Identities
    storage: Storage
    access: AccountAccess
    """The account identity's right on the storage account: Batch checks it when the account is made."""


class BatchAccount(pulumi.ComponentResource):
    """The Batch account of a stack."""

    id: pulumi.Output[str]
    name: pulumi.Output[str]
    endpoint: pulumi.Output[str]

    def __init__(self, name: str, args: BatchAccountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the account."""
        super().__init__(f"{TYPE_PREFIX}:BatchAccount", name, {}, opts)
        account = batch.BatchAccount(
            name,
            resource_group_name=args.group.name,
            location=args.group.location,
            account_name=args.names.batch_account,
            pool_allocation_mode=batch.PoolAllocationMode.BATCH_SERVICE,
            # No shared keys: nothing in state, outputs or a shell history can be used against the data plane.
            allowed_authentication_modes=[batch.AuthenticationMode.AAD],
            public_network_access=batch.PublicNetworkAccessType.ENABLED,
            identity=batch.BatchAccountIdentityArgs(
                type=batch.ResourceIdentityType.USER_ASSIGNED,
                user_assigned_identities=[args.identities.account.id],
            ),
            auto_storage=batch.AutoStorageBasePropertiesArgs(
                storage_account_id=args.storage.account.id,
                # The account's own identity reads and writes the linked storage; nodes do it as the node identity.
                authentication_mode=batch.AutoStorageAuthenticationMode.BATCH_ACCOUNT_MANAGED_IDENTITY,
                node_identity_reference=batch.ComputeNodeIdentityReferenceArgs(resource_id=args.identities.node.id),
            ),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.access]),
        )
        self.id = account.id
        self.name = account.name
        # ARM answers a bare host (locally with a port), clients want a URL.
        self.endpoint = account.account_endpoint.apply(lambda host: f"https://{host}")
        self.register_outputs({"name": self.name, "endpoint": self.endpoint})
