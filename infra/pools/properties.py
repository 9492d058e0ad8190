"""What makes a generation of a pool: the properties that Batch cannot change in place, as Azure's arguments.

Written from settings and `References` by `fixed_properties`, for Azure and for the hash alike: what is in one is in the
other. Nothing here makes a resource.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import pulumi
from pulumi_azure_native import batch

from infra import start_task
from infra.settings.network import NetworkSettings
from infra.settings.pools import PoolSettings
from infra.settings.stack import Account

FIXED: Final[Mapping[str, str]] = {
    "deploymentConfiguration": "with nodes, Batch refuses to change it; a prefetched image is in it",
    "identity": "reaches new nodes only, so old nodes would go on without it",
    "interNodeCommunication": "with nodes, Batch refuses to change it",
    "networkConfiguration": "with nodes, Batch refuses to change it",
    "startTask": "nodes run it when they join or reboot, so old nodes would keep the old one",
    "taskSchedulingPolicy": "with nodes, Batch refuses to change it",
    "taskSlotsPerNode": "with nodes, Batch refuses to change it",
    "userAccounts": "made when a node joins: a new password would reach new nodes only",
    "vmSize": "Batch never changes it",
}
"""The properties whose change makes a new generation, and why. The only such table: hash and options use it."""

START_TASK_RETRIES: Final = 1
SSH_PORT: Final = 22
SSH_FRONTEND_PORTS: Final = (40000, 40999)
"""On the pool's public address, one for each node. Batch wants 40 or more, outside of 50000..55000."""
FIRST_RULE_PRIORITY: Final = 150
"""The lowest that Batch allows."""


@dataclass(frozen=True, kw_only=True)
class References:
    """What a pool's properties name of other resources."""

    node_identity: pulumi.Input[str]
    registry_server: pulumi.Input[str]
    worker_image: pulumi.Input[str]
    passwords: Mapping[str, pulumi.Input[str]]
    """By account name."""


def fixed_properties(
    settings: PoolSettings, network: NetworkSettings, accounts: Sequence[Account], references: References
) -> dict[str, Any]:
    """The inputs that `FIXED` names, by their name on the wire, without those that are not set."""
    fixed = {
        "deploymentConfiguration": batch.DeploymentConfigurationArgs(
            virtual_machine_configuration=batch.VirtualMachineConfigurationArgs(
                image_reference=batch.ImageReferenceArgs(
                    publisher="microsoft-dsvm",
                    offer="ubuntu-hpc",
                    sku=settings.node_image.sku,
                    version=settings.node_image.version,
                ),
                # Image and agent belong together (docs/azure-facts.md#node-images).
                node_agent_sku_id=f"batch.node.ubuntu {settings.node_image.sku[:2]}.{settings.node_image.sku[2:]}",
                container_configuration=_containers(settings, references),
            )
        ),
        "identity": batch.BatchPoolIdentityArgs(
            type=batch.PoolIdentityType.USER_ASSIGNED, user_assigned_identities=[references.node_identity]
        ),
        "interNodeCommunication": batch.InterNodeCommunicationState.DISABLED,
        "networkConfiguration": _network(settings, network),
        "startTask": _start_task(settings, accounts),
        "taskSchedulingPolicy": batch.TaskSchedulingPolicyArgs(
            node_fill_type=batch.ComputeNodeFillType(settings.fill.capitalize())
        ),
        "taskSlotsPerNode": settings.task_slots_per_node,
        "userAccounts": [
            batch.UserAccountArgs(
                name=account.name,
                password=references.passwords[account.name],
                elevation_level=batch.ElevationLevel.ADMIN if account.admin else batch.ElevationLevel.NON_ADMIN,
            )
            for account in accounts
        ],
        "vmSize": settings.vm_size,
    }
    return {key: value for key, value in fixed.items() if value not in (None, [])}


def _containers(settings: PoolSettings, references: References) -> batch.ContainerConfigurationArgs:
    """Docker, with the registry reached as the node identity: there is no registry password on a node."""
    return batch.ContainerConfigurationArgs(
        type=batch.ContainerType.DOCKER_COMPATIBLE,
        container_image_names=[references.worker_image] if settings.prefetch_worker_image else None,
        container_registries=[
            batch.ContainerRegistryArgs(
                registry_server=references.registry_server,
                identity_reference=batch.ComputeNodeIdentityReferenceArgs(resource_id=references.node_identity),
            )
        ],
    )


def _network(settings: PoolSettings, network: NetworkSettings) -> batch.NetworkConfigurationArgs | None:
    """The given subnet, and ssh from the given networks: Batch opens no port but those named here."""
    if network.subnet_id is None and not settings.ssh_from:
        return None
    without_public_ips = batch.PublicIPAddressConfigurationArgs(
        provision=batch.IPAddressProvisioningType.NO_PUBLIC_IP_ADDRESSES
    )
    return batch.NetworkConfigurationArgs(
        subnet_id=network.subnet_id,
        public_ip_address_configuration=None if network.public_ips else without_public_ips,
        endpoint_configuration=_ssh(settings.ssh_from) if settings.ssh_from else None,
    )


def _ssh(networks: Sequence[str]) -> batch.PoolEndpointConfigurationArgs:
    """Port 22 for these networks, and for nobody else: Batch applies the rules in the order of their priority."""
    allowed = [(network, batch.NetworkSecurityGroupRuleAccess.ALLOW) for network in networks]
    return batch.PoolEndpointConfigurationArgs(
        inbound_nat_pools=[
            batch.InboundNatPoolArgs(
                name="ssh",
                protocol=batch.InboundEndpointProtocol.TCP,
                backend_port=SSH_PORT,
                frontend_port_range_start=SSH_FRONTEND_PORTS[0],
                frontend_port_range_end=SSH_FRONTEND_PORTS[1],
                network_security_group_rules=[
                    batch.NetworkSecurityGroupRuleArgs(
                        priority=FIRST_RULE_PRIORITY + at, access=access, source_address_prefix=source
                    )
                    for at, (source, access) in enumerate([*allowed, ("*", batch.NetworkSecurityGroupRuleAccess.DENY)])
                ],
            )
        ]
    )


def _start_task(settings: PoolSettings, accounts: Sequence[Account]) -> batch.StartTaskArgs:
    """The steps of this pool, each an environment variable that the command line runs."""
    admin = next((account.name for account in accounts if account.admin), None)
    steps = start_task.steps(users=admin is not None, own=settings.start_steps)
    return batch.StartTaskArgs(
        command_line=start_task.command_line(steps, admin),
        environment_settings=[batch.EnvironmentSettingArgs(name=step.variable, value=step.script) for step in steps],
        user_identity=batch.UserIdentityArgs(
            auto_user=batch.AutoUserSpecificationArgs(
                scope=batch.AutoUserScope.POOL, elevation_level=batch.ElevationLevel.ADMIN
            )
        ),
        wait_for_success=True,
        max_task_retry_count=START_TASK_RETRIES,
    )


def plain(value: Any) -> Any:
    """Input classes as JSON data; unset properties left out, so that a new SDK's new property changes no name."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return {_camel(key): plain(item) for key, item in vars(value).items() if item is not None}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
