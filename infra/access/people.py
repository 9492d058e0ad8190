"""What people and pipelines may do: run jobs, give them inputs and read what they wrote, and push images.

An Owner or Contributor of the subscription has no right to tasks or blobs by itself: those are data actions. Resources
are named by the principals that the stack file names, so that whoever deploys it gets the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native.authorization import GetClientConfigResult

from infra.access.assignments import assign
from infra.access.roles import Role
from infra.batch_account import BatchAccount
from infra.naming import TYPE_PREFIX
from infra.registry import Registry
from infra.settings.people import Principal, Submitter, SubmitterRole
from infra.storage import Storage

ON_THE_ACCOUNT: Final[Mapping[SubmitterRole, tuple[Role, ...]]] = {
    # Job Submitter alone was refused the list of supported images; with Account Reader it is whole.
    SubmitterRole.SUBMIT: (Role.AZURE_BATCH_JOB_SUBMITTER, Role.AZURE_BATCH_ACCOUNT_READER),
    SubmitterRole.OPERATE: (Role.AZURE_BATCH_DATA_CONTRIBUTOR,),
}
"""A submitter's roles on the Batch account. Everybody reads output, which is a role on the storage account, and uploads
inputs to the job containers; whoever may run tasks there could write to them as the nodes' identity anyway."""

PUSH: Final = (Role.ACR_PUSH, Role.CONTAINER_REGISTRY_REPOSITORY_WRITER)
"""Of a registry in classic mode, and of one with permissions for repositories: each ignores the other's."""


@dataclass(frozen=True, kw_only=True)
class SubmitterAccessArgs:
    """The people and pipelines that submit work, and what they submit to and read from."""

    submitters: Sequence[Submitter]
    deployer: GetClientConfigResult
    account: BatchAccount
    storage: Storage


class SubmitterAccess(pulumi.ComponentResource):
    """Lets each submitter run jobs on the Batch account, upload their inputs, and read what they wrote."""

    def __init__(self, name: str, args: SubmitterAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{TYPE_PREFIX}:SubmitterAccess", name, {}, opts)
        for submitter in args.submitters:
            for role in ON_THE_ACCOUNT[submitter.role]:
                _assign(name, submitter, role, args.account.id, args.deployer, self)
            _assign(name, submitter, Role.STORAGE_BLOB_DATA_READER, args.storage.id, args.deployer, self)
            for family, container in args.storage.containers.items():
                role = Role.STORAGE_BLOB_DATA_CONTRIBUTOR
                _assign(f"{name}-{family.lower()}", submitter, role, container.id, args.deployer, self)
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class PusherAccessArgs:
    """The people and pipelines that push images, and the registry."""

    pushers: Sequence[Principal]
    deployer: GetClientConfigResult
    registry: Registry


class PusherAccess(pulumi.ComponentResource):
    """Lets each pusher write to the registry, whatever its role assignment mode."""

    def __init__(self, name: str, args: PusherAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{TYPE_PREFIX}:PusherAccess", name, {}, opts)
        for pusher in args.pushers:
            for role in PUSH:
                _assign(name, pusher, role, args.registry.id, args.deployer, self)
        self.register_outputs({})


def _assign(
    name: str,
    principal: Principal,
    role: Role,
    scope: pulumi.Output[str],
    deployer: GetClientConfigResult,
    parent: pulumi.ComponentResource,
) -> None:
    object_id, kind = principal.resolved(deployer.object_id, deployer.client_id)
    assign(
        f"{name}-{role.name.lower().replace('_', '-')}-{principal.object_id}",
        role=role,
        scope=scope,
        principal_id=object_id,
        principal_type=kind,
        parent=parent,
    )
