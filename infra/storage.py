"""The linked storage account and one container per job family. Keys are off: every access is an Entra identity's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import resources, storage

from infra import naming
from infra.naming import TYPE_PREFIX, Names
from infra.settings import StorageSettings


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    """Where the account lives, with which tags, and which job families write to it."""

    group: resources.ResourceGroup
    names: Names
    tags: Mapping[str, str]
    families: tuple[str, ...]
    settings: StorageSettings


class Storage(pulumi.ComponentResource):
    """The storage account that Batch links as auto-storage, with the job containers."""

    account: storage.StorageAccount
    containers: Mapping[str, storage.BlobContainer]
    blob_endpoint: pulumi.Output[str]

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the account, then a container for each family."""
        super().__init__(f"{TYPE_PREFIX}:Storage", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.account = storage.StorageAccount(
            name,
            resource_group_name=args.group.name,
            location=args.group.location,
            account_name=args.names.storage_account,
            kind=storage.Kind.STORAGE_V2,
            sku=storage.SkuArgs(name=storage.SkuName.STANDARD_LRS),
            allow_shared_key_access=False,
            default_to_o_auth_authentication=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            enable_https_traffic_only=True,
            minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
            tags=args.tags,
            opts=child,
        )
        if args.settings.soft_delete_days:
            kept = storage.DeleteRetentionPolicyArgs(enabled=True, days=args.settings.soft_delete_days)
            storage.BlobServiceProperties(
                f"{name}-blobs",
                resource_group_name=args.group.name,
                account_name=self.account.name,
                blob_services_name="default",  # the only one that an account has
                delete_retention_policy=kept,
                container_delete_retention_policy=kept,
                opts=child,
            )
        self.containers = {
            family: storage.BlobContainer(
                f"{name}-{family.lower()}",  # as its container: a new spelling of a family is no new container
                resource_group_name=args.group.name,
                account_name=self.account.name,
                container_name=naming.job_container(family),
                public_access=storage.PublicAccess.NONE,
                opts=child,
            )
            for family in args.families
        }
        self.blob_endpoint = self.account.primary_endpoints.apply(lambda endpoints: endpoints.blob)
        self.register_outputs({"account": self.account.name, "blobEndpoint": self.blob_endpoint})

    @property
    def container_names(self) -> dict[str, pulumi.Output[str]]:
        """Job family to container name."""
        return {family: container.name for family, container in self.containers.items()}
