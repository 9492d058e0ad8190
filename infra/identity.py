"""The two user-assigned identities: one that Batch itself uses, one that nodes and tasks use.

Which rights they have is in `access.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import managedidentity, resources

from infra.naming import TYPE_PREFIX, Names


@dataclass(frozen=True, kw_only=True)
class IdentitiesArgs:
    """Where the identities live, and with which tags."""

    group: resources.ResourceGroup
    names: Names
    tags: Mapping[str, str]


class Identities(pulumi.ComponentResource):
    """Account identity and node identity. Two, so that a task never holds the rights of the Batch service."""

    account: managedidentity.UserAssignedIdentity
    node: managedidentity.UserAssignedIdentity

    def __init__(self, name: str, args: IdentitiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare both identities."""
        super().__init__(f"{TYPE_PREFIX}:Identities", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.account, self.node = (
            managedidentity.UserAssignedIdentity(
                f"{name}-{use}",
                resource_group_name=args.group.name,
                location=args.group.location,
                resource_name_=args.names.identity(use),
                tags=args.tags,
                opts=child,
            )
            for use in ("account", "node")
        )
        self.register_outputs({"account": self.account.id, "node": self.node.id})
