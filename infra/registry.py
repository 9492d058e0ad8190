"""The container registry: no admin user, no anonymous pull; nodes pull as themselves, the deployer pushes as itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerregistry, resources

from infra.naming import TYPE_PREFIX, Names


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """Where the registry lives, and with which tags."""

    group: resources.ResourceGroup
    names: Names
    tags: Mapping[str, str]


class Registry(pulumi.ComponentResource):
    """The registry of a stack."""

    id: pulumi.Output[str]
    server: pulumi.Output[str]

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the registry."""
        super().__init__(f"{TYPE_PREFIX}:Registry", name, {}, opts)
        registry = containerregistry.Registry(
            name,
            resource_group_name=args.group.name,
            location=args.group.location,
            registry_name=args.names.registry,
            # Basic is enough for one image; private endpoints and retention need Premium.
            sku=containerregistry.SkuArgs(name=containerregistry.SkuName.BASIC),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.id = registry.id
        self.server = registry.login_server
        self.register_outputs({"server": self.server})
