"""The Batch account: Entra authentication only, and linked to the storage account by managed identity."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import batch

from infra.access.assignments import AccountAccess
from infra.access.identities import Identities
from infra.naming import TYPE_PREFIX
from infra.place import Place
from infra.settings.cloud import AutoStorage
from infra.settings.network import NetworkSettings
from infra.storage import Storage


@dataclass(frozen=True, kw_only=True)
class BatchAccountArgs:
    """Where the account lives, with which tags, who it is and which storage it links."""

    place: Place
    identities: Identities
    storage: Storage
    access: AccountAccess
    """The account identity's right on the storage account. Batch was seen to make accounts without it; with it in place
    the link works from the first minute."""
    network: NetworkSettings
    link: AutoStorage
    """How the account is linked to the storage account, or that it is not."""


class BatchAccount(pulumi.ComponentResource):
    """The Batch account of a stack."""

    id: pulumi.Output[str]
    name: pulumi.Output[str]
    endpoint: pulumi.Output[str]

    def __init__(self, name: str, args: BatchAccountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{TYPE_PREFIX}:BatchAccount", name, {}, opts)
        account = batch.BatchAccount(
            name,
            resource_group_name=args.place.group.name,
            location=args.place.group.location,
            account_name=args.place.names.batch_account,
            pool_allocation_mode=batch.PoolAllocationMode.BATCH_SERVICE,
            # No shared keys: nothing in state, outputs or a shell history can be used against the data plane.
            allowed_authentication_modes=[batch.AuthenticationMode.AAD],
            public_network_access=_public_access(args.network),
            network_profile=_network_profile(args.network),
            identity=_identity(args.identities),
            auto_storage=None if args.link == "none" else _auto_storage(args),
            tags=args.place.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.access]),
        )
        self.id = account.id
        self.name = account.name
        # ARM answers a bare host (locally with a port), clients want a URL.
        self.endpoint = account.account_endpoint.apply(lambda host: f"https://{host}")
        self.register_outputs({"name": self.name, "endpoint": self.endpoint})


def _identity(identities: Identities) -> batch.BatchAccountIdentityArgs:
    if identities.account is None:
        return batch.BatchAccountIdentityArgs(type=batch.ResourceIdentityType.NONE)
    return batch.BatchAccountIdentityArgs(
        type=batch.ResourceIdentityType.USER_ASSIGNED, user_assigned_identities=[identities.account.id]
    )


def _auto_storage(args: BatchAccountArgs) -> batch.AutoStorageBasePropertiesArgs:
    return batch.AutoStorageBasePropertiesArgs(
        storage_account_id=args.storage.id,
        # The account's own identity reads and writes the linked storage; nodes do it as the node identity.
        authentication_mode=batch.AutoStorageAuthenticationMode.BATCH_ACCOUNT_MANAGED_IDENTITY,
        node_identity_reference=batch.ComputeNodeIdentityReferenceArgs(resource_id=args.identities.node.id),
    )


def _public_access(network: NetworkSettings) -> batch.PublicNetworkAccessType:
    """Open to every network (with a right), to the allowed ones, or to none: then only private endpoints lead there."""
    if network.allowed_ips == ():
        return batch.PublicNetworkAccessType.DISABLED
    return batch.PublicNetworkAccessType.ENABLED


def _network_profile(network: NetworkSettings) -> batch.NetworkProfileArgs | None:
    """Rules for people and programs that call the account. Nodes reach it by their own way, which stays open."""
    if not network.allowed_ips:
        return None
    return batch.NetworkProfileArgs(
        account_access=batch.EndpointAccessProfileArgs(
            default_action=batch.EndpointAccessDefaultAction.DENY,
            ip_rules=[batch.IPRuleArgs(action=batch.IPRuleAction.ALLOW, value=one) for one in network.allowed_ips],
        )
    )
