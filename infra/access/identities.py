"""The two user-assigned identities: one that Batch itself uses, one that nodes and tasks use.

Which rights they have is in `assignments.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import managedidentity

from infra.naming import TYPE_PREFIX
from infra.place import Place
from infra.settings.cloud import AutoStorage, NodeIdentitySettings


@dataclass(frozen=True, kw_only=True)
class IdentitiesArgs:
    """Where the identities live, with which tags, and which of them are needed."""

    place: Place
    node: NodeIdentitySettings | None
    """An existing identity that nodes use instead of one of our own."""
    auto_storage: AutoStorage
    """Without auto-storage the account needs no identity."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A user-assigned identity, ours or an existing one."""

    id: pulumi.Output[str]
    principal_id: pulumi.Output[str]
    client_id: pulumi.Output[str]


class Identities(pulumi.ComponentResource):
    """Account identity and node identity. Two, so that a task never holds the rights of the Batch service."""

    account: Identity | None
    node: Identity

    def __init__(self, name: str, args: IdentitiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{TYPE_PREFIX}:Identities", name, {}, opts)
        self.account = None if args.auto_storage == "none" else self._made(f"{name}-account", "account", args)
        self.node = self._made(f"{name}-node", "node", args) if args.node is None else _existing(args.node)
        self.register_outputs({"account": self.account and self.account.id, "node": self.node.id})

    def _made(self, name: str, use: str, args: IdentitiesArgs) -> Identity:
        identity = managedidentity.UserAssignedIdentity(
            name,
            resource_group_name=args.place.group.name,
            location=args.place.group.location,
            resource_name_=args.place.names.identity(use),
            tags=args.place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return Identity(id=identity.id, principal_id=identity.principal_id, client_id=identity.client_id)


def _existing(settings: NodeIdentitySettings) -> Identity:
    return Identity(
        id=pulumi.Output.from_input(settings.id),
        principal_id=pulumi.Output.from_input(settings.principal_id),
        client_id=pulumi.Output.from_input(settings.client_id),
    )
