"""What the two identities may do: role assignments at the smallest scope. The roles' ids are in `roles.py`.

One component per identity, because each must be complete before what needs it: the account identity's before the Batch
account, the node identity's before the pool. People and pipelines are in `people.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization

from infra import naming
from infra.access.identities import Identities
from infra.access.roles import Role
from infra.naming import TYPE_PREFIX
from infra.registry import Registry
from infra.settings.people import PrincipalType
from infra.storage import Storage


@dataclass(frozen=True, kw_only=True)
class AccountAccessArgs:
    """The Batch account's identity and the storage account it links."""

    identities: Identities
    storage: Storage


class AccountAccess(pulumi.ComponentResource):
    """Lets Batch itself use the linked storage account."""

    def __init__(self, name: str, args: AccountAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the assignment; none where the account has no identity."""
        super().__init__(f"{TYPE_PREFIX}:AccountAccess", name, {}, opts)
        if args.identities.account is not None:
            assign(
                f"{name}-storage",
                role=Role.STORAGE_BLOB_DATA_CONTRIBUTOR,
                scope=args.storage.id,
                principal_id=args.identities.account.principal_id,
                principal_type=PrincipalType.SERVICE_PRINCIPAL,
                parent=self,
            )
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class NodeAccessArgs:
    """The nodes' identity, the registry it pulls from and the containers it writes to."""

    identities: Identities
    registry: Registry
    storage: Storage


class NodeAccess(pulumi.ComponentResource):
    """Lets nodes and tasks pull images and write to each job container, and nothing else."""

    def __init__(self, name: str, args: NodeAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare two assignments on the registry (one for each of its modes) and one on each container."""
        super().__init__(f"{TYPE_PREFIX}:NodeAccess", name, {}, opts)
        for use, role in (("registry", Role.ACR_PULL), ("repositories", Role.CONTAINER_REGISTRY_REPOSITORY_READER)):
            assign(
                f"{name}-{use}",
                role=role,
                scope=args.registry.id,
                principal_id=args.identities.node.principal_id,
                principal_type=PrincipalType.SERVICE_PRINCIPAL,
                parent=self,
            )
        for family, container in args.storage.containers.items():
            assign(
                f"{name}-{family.lower()}",
                role=Role.STORAGE_BLOB_DATA_CONTRIBUTOR,
                scope=container.id,
                principal_id=args.identities.node.principal_id,
                principal_type=PrincipalType.SERVICE_PRINCIPAL,
                parent=self,
            )
        self.register_outputs({})


def assign(
    name: str,
    *,
    role: Role,
    scope: pulumi.Input[str],
    principal_id: pulumi.Input[str],
    principal_type: PrincipalType,
    parent: pulumi.ComponentResource,
) -> authorization.RoleAssignment:
    """Give a principal a role on a scope, under a GUID that is the same in every preview and `up`."""
    definition = pulumi.Output.from_input(scope).apply(lambda known: role.definition_id(_subscription_of(known)))
    return authorization.RoleAssignment(
        name,
        role_assignment_name=pulumi.Output.all(scope, principal_id, definition).apply(
            lambda parts: naming.role_assignment(*parts)
        ),
        scope=scope,
        principal_id=principal_id,
        # Without the type ARM looks the principal up and fails while a new identity is still unknown in the directory.
        principal_type=principal_type.value,
        role_definition_id=definition,
        # The GUID changes with scope, principal and role, so old and new can coexist: no moment without the right.
        # By default azure-native deletes explicitly named resources first.
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=False),
    )


def _subscription_of(resource_id: str) -> str:
    return resource_id.split("/")[2]
