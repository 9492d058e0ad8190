"""The Batch pool: which VMs run tasks, how many, what they do at boot and which identity they carry.

Batch cannot change most of a pool: ARM answers 400 PropertyCannotBeUpdated (Azure/Batch#85, #153), and what it does
accept reaches new nodes only. azure-native plans an in-place update for all of it. So the properties in `FIXED` are
declared as replacing, and their hash is part of the pool's name: the new pool is made first, beside the old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_azure_native import batch, resources

from infra import naming, start_task
from infra.access import NodeAccess
from infra.batch_account import BatchAccount
from infra.identity import Identities
from infra.image import WorkerImage
from infra.naming import TYPE_PREFIX
from infra.registry import Registry
from infra.settings import PoolSettings, Users

FIXED: Final[Mapping[str, str]] = {
    "deploymentConfiguration": "ARM: PropertyCannotBeUpdated; a prefetched image is in it",
    "identity": "reaches new nodes only, so old nodes would go on without it",
    "interNodeCommunication": "ARM: PropertyCannotBeUpdated",
    "startTask": "nodes run it when they join or reboot, so old nodes would keep the old one",
    "taskSchedulingPolicy": "ARM: PropertyCannotBeUpdated",
    "taskSlotsPerNode": "ARM: PropertyCannotBeUpdated",
    "userAccounts": "made when a node joins: a new password would reach new nodes only",
    "vmSize": "ARM: PropertyCannotBeUpdated",
}
"""The properties whose change makes a new pool, and why. The only such table: hash and `replace_on_changes` use it."""

NODE_IMAGE: Final = batch.ImageReferenceArgs(
    publisher="microsoft-dsvm", offer="ubuntu-hpc", sku="2404", version="latest"
)
NODE_AGENT: Final = "batch.node.ubuntu 24.04"
"""Image and agent belong together; both are listed by `list_supported_images` (Azure/Batch#200). Generation 2 only."""

START_TASK_RETRIES: Final = 1
RESIZE_TIMEOUT: Final = "PT15M"


@dataclass(frozen=True, kw_only=True)
class PoolArgs:
    """What a pool is made of."""

    group: resources.ResourceGroup
    account: BatchAccount
    identities: Identities
    registry: Registry
    image: WorkerImage
    """Pushed before the pool is made. It is in the pool only if the settings say that nodes prefetch it."""
    access: NodeAccess
    """The node identity's rights: a node that cannot pull at boot becomes unusable, and Batch does not try again."""
    users: Users
    settings: PoolSettings


class Pool(pulumi.ComponentResource):
    """A pool of fixed size."""

    id: pulumi.Output[str]
    """The pool's id in the Batch account; a new one whenever something in `FIXED` changes."""

    def __init__(self, name: str, args: PoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the pool."""
        super().__init__(f"{TYPE_PREFIX}:Pool", name, {}, opts)
        fixed = _fixed(args)
        pool = batch.Pool(
            name,
            resource_group_name=args.group.name,
            account_name=args.account.name,
            pool_name=_pool_name(args, fixed),
            deployment_configuration=fixed["deploymentConfiguration"],
            identity=fixed["identity"],
            inter_node_communication=fixed["interNodeCommunication"],
            start_task=fixed["startTask"],
            task_scheduling_policy=fixed["taskSchedulingPolicy"],
            task_slots_per_node=fixed["taskSlotsPerNode"],
            user_accounts=fixed["userAccounts"],
            vm_size=fixed["vmSize"],
            scale_settings=_scale(args.settings),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[args.image, args.access],
                # azure-native replaces explicitly named resources delete-first unless told otherwise; that would end
                # running tasks before a new node exists. The hashed name lets both pools exist.
                delete_before_replace=False,
                # azure-native has no force-new entry for Batch pools; can go when it has.
                # docs/azure-facts.md#pools-in-azure-native
                replace_on_changes=sorted(FIXED),
            ),
        )
        self.id = pool.name
        self.register_outputs({"id": self.id})


def _fixed(args: PoolArgs) -> dict[str, Any]:
    """The inputs that `FIXED` names, by their name on the wire."""
    return {
        "deploymentConfiguration": batch.DeploymentConfigurationArgs(
            virtual_machine_configuration=batch.VirtualMachineConfigurationArgs(
                image_reference=NODE_IMAGE,
                node_agent_sku_id=NODE_AGENT,
                container_configuration=_containers(args),
            )
        ),
        "identity": batch.BatchPoolIdentityArgs(
            type=batch.PoolIdentityType.USER_ASSIGNED, user_assigned_identities=[args.identities.node.id]
        ),
        "interNodeCommunication": batch.InterNodeCommunicationState.DISABLED,
        "startTask": batch.StartTaskArgs(
            command_line=start_task.command_line(args.users.admin_name),
            user_identity=batch.UserIdentityArgs(
                auto_user=batch.AutoUserSpecificationArgs(
                    scope=batch.AutoUserScope.POOL, elevation_level=batch.ElevationLevel.ADMIN
                )
            ),
            wait_for_success=True,
            max_task_retry_count=START_TASK_RETRIES,
        ),
        "taskSchedulingPolicy": batch.TaskSchedulingPolicyArgs(node_fill_type=batch.ComputeNodeFillType.SPREAD),
        "taskSlotsPerNode": args.settings.task_slots_per_node,
        "userAccounts": [
            batch.UserAccountArgs(
                name=args.users.admin_name,
                password=args.users.admin_password,
                elevation_level=batch.ElevationLevel.ADMIN,
            ),
            batch.UserAccountArgs(
                name=args.users.user_name,
                password=args.users.user_password,
                elevation_level=batch.ElevationLevel.NON_ADMIN,
            ),
        ],
        "vmSize": args.settings.vm_size,
    }


def _containers(args: PoolArgs) -> batch.ContainerConfigurationArgs:
    """Docker, with the registry reached as the node identity: there is no registry password on a node."""
    return batch.ContainerConfigurationArgs(
        type=batch.ContainerType.DOCKER_COMPATIBLE,
        container_image_names=[args.image.reference] if args.settings.prefetch_worker_image else None,
        container_registries=[
            batch.ContainerRegistryArgs(
                registry_server=args.registry.server,
                identity_reference=batch.ComputeNodeIdentityReferenceArgs(resource_id=args.identities.node.id),
            )
        ],
    )


def _scale(settings: PoolSettings) -> batch.ScaleSettingsArgs:
    """A fixed size; a changed size resizes the pool in place and lets running tasks finish."""
    return batch.ScaleSettingsArgs(
        fixed_scale=batch.FixedScaleSettingsArgs(
            target_dedicated_nodes=settings.dedicated_nodes,
            target_low_priority_nodes=settings.spot_nodes,
            resize_timeout=RESIZE_TIMEOUT,
            node_deallocation_option=batch.ComputeNodeDeallocationOption.TASK_COMPLETION,
        )
    )


def _pool_name(args: PoolArgs, fixed: Mapping[str, Any]) -> pulumi.Output[str]:
    """The pool's id, from exactly the properties in `fixed`. Passwords enter as slow fingerprints, so that the id may
    be public."""
    salt = f"{pulumi.get_project()}/{pulumi.get_stack()}"
    accounts = [
        {
            "name": account.name,
            "elevationLevel": account.elevation_level,
            "password": pulumi.Output.unsecret(
                pulumi.Output.from_input(account.password).apply(lambda password: naming.fingerprint(password, salt))
            ),
        }
        for account in fixed["userAccounts"]
    ]
    covered = pulumi.Output.from_input({**fixed, "userAccounts": accounts})
    return covered.apply(lambda known: naming.pool(args.settings.name, _plain(known)))


def _plain(value: Any) -> Any:
    """Input classes as JSON data; unset properties left out, so that a new SDK's new property changes no name."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return _plain(vars(value))
