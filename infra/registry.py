"""The container registry: no admin user, no anonymous pull; nodes pull as themselves, the deployer pushes as itself."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerregistry

from infra.naming import TYPE_PREFIX
from infra.place import Place
from infra.settings.cloud import RegistrySettings


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """Where the registry lives, and with which tags; or which one exists already."""

    place: Place
    settings: RegistrySettings
    private: bool
    """Whether it gets a private endpoint, which the Basic tier does not have."""


class Registry(pulumi.ComponentResource):
    """The registry of a stack."""

    id: pulumi.Output[str]
    server: pulumi.Output[str]

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the registry, unless it exists already."""
        super().__init__(f"{TYPE_PREFIX}:Registry", name, {}, opts)
        if args.settings.id is not None:
            server = args.settings.server or f"{args.settings.id.rpartition('/')[2].lower()}.azurecr.io"
            self.id = pulumi.Output.from_input(args.settings.id)
            self.server = pulumi.Output.from_input(server)
        else:
            registry = containerregistry.Registry(
                name,
                resource_group_name=args.place.group.name,
                location=args.place.group.location,
                registry_name=args.place.names.registry,
                # Basic is enough for one image; private endpoints and retention need Premium.
                sku=containerregistry.SkuArgs(
                    name=containerregistry.SkuName.PREMIUM if args.private else containerregistry.SkuName.BASIC
                ),
                admin_user_enabled=False,
                anonymous_pull_enabled=False,
                tags=args.place.tags,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.id = registry.id
            self.server = registry.login_server
        self.register_outputs({"server": self.server})
