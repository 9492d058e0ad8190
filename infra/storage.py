"""The linked storage account and one container per job family. Keys are off: every access is an Entra identity's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from infra import naming
from infra.naming import TYPE_PREFIX
from infra.place import Place
from infra.settings.cloud import StorageSettings


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    """Where the account lives, with which tags, and which job families write to it; or which one exists already."""

    place: Place
    families: tuple[str, ...]
    settings: StorageSettings


@dataclass(frozen=True, kw_only=True)
class JobContainer:
    """The blob container of a job family."""

    id: pulumi.Output[str]
    name: pulumi.Output[str]


class Storage(pulumi.ComponentResource):
    """The storage account that tasks write to and Batch links as auto-storage, with the job containers."""

    id: pulumi.Output[str]
    name: pulumi.Output[str]
    blob_endpoint: pulumi.Output[str]
    containers: Mapping[str, JobContainer]

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the account, then a container for each family; nothing of an existing account."""
        super().__init__(f"{TYPE_PREFIX}:Storage", name, {}, opts)
        if args.settings.id is None:
            self._declare(name, args)
        else:
            self._take_over(args.settings.id, args.settings.blob_endpoint, args.families)
        self.register_outputs({"account": self.name, "blobEndpoint": self.blob_endpoint})

    @property
    def container_names(self) -> dict[str, pulumi.Output[str]]:
        """Job family to container name."""
        return {family: container.name for family, container in self.containers.items()}

    def _declare(self, name: str, args: StorageArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        account = storage.StorageAccount(
            name,
            resource_group_name=args.place.group.name,
            location=args.place.group.location,
            account_name=args.place.names.storage_account,
            kind=storage.Kind.STORAGE_V2,
            sku=storage.SkuArgs(name=storage.SkuName.STANDARD_LRS),
            allow_shared_key_access=False,
            default_to_o_auth_authentication=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            enable_https_traffic_only=True,
            minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
            tags=args.place.tags,
            opts=child,
        )
        if args.settings.soft_delete_days:
            kept = storage.DeleteRetentionPolicyArgs(enabled=True, days=args.settings.soft_delete_days)
            storage.BlobServiceProperties(
                f"{name}-blobs",
                resource_group_name=args.place.group.name,
                account_name=account.name,
                blob_services_name="default",  # the only one that an account has
                delete_retention_policy=kept,
                container_delete_retention_policy=kept,
                opts=child,
            )
        self.containers = {}
        for family in args.families:
            container = storage.BlobContainer(
                f"{name}-{family.lower()}",  # as its container: a new spelling of a family is no new container
                resource_group_name=args.place.group.name,
                account_name=account.name,
                container_name=naming.job_container(family),
                public_access=storage.PublicAccess.NONE,
                opts=child,
            )
            self.containers[family] = JobContainer(id=container.id, name=container.name)
        self.id = account.id
        self.name = account.name
        self.blob_endpoint = account.primary_endpoints.apply(lambda endpoints: endpoints.blob)

    def _take_over(self, account_id: str, blob_endpoint: str | None, families: Sequence[str]) -> None:
        """An existing account and its containers: they are named, and nothing of them is made or changed."""
        name = account_id.rpartition("/")[2]
        self.id = pulumi.Output.from_input(account_id)
        self.name = pulumi.Output.from_input(name)
        self.blob_endpoint = pulumi.Output.from_input(blob_endpoint or f"https://{name}.blob.core.windows.net/")
        self.containers = {
            family: JobContainer(
                id=pulumi.Output.from_input(
                    f"{account_id}/blobServices/default/containers/{naming.job_container(family)}"
                ),
                name=pulumi.Output.from_input(naming.job_container(family)),
            )
            for family in families
        }
