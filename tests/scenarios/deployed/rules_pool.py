"""Pools that the tests make through ARM beside the stack's own: host pools, without container configuration."""

from __future__ import annotations

import secrets
import subprocess
from typing import Final

from azure.mgmt.batch import models as arm

from tests.scenarios.deployed.stack import Stack

ADMIN: Final = "ruleadmin"
MEMBER: Final = "rulemember"
"""Not an admin; the start task puts it into the docker group."""
USER: Final = "ruleuser"
START: Final = f"/bin/sh -c 'echo started by $(id -un); usermod --append --groups docker {MEMBER}'"


def create(stack: Stack, pool_id: str, *, start: str, nodes: int = 1, slots: int = 2) -> None:
    """A pool with the stack's node image, identity and endpoints, three users, and a start task that runs as root."""
    like = stack.batch_management.pool.get(stack.group, stack.cloud["batch"]["account"], stack.pool_id)
    assert like.deployment_configuration is not None
    machine = like.deployment_configuration.virtual_machine_configuration
    assert machine is not None
    root = arm.UserIdentity(auto_user=arm.AutoUserSpecification(scope="Pool", elevation_level="Admin"))
    pool = arm.Pool(
        identity=arm.BatchPoolIdentity(
            type="UserAssigned",
            user_assigned_identities={stack.outputs["worker_identity"]["resource_id"]: arm.UserAssignedIdentities()},
        ),
        vm_size=like.vm_size,
        deployment_configuration=arm.DeploymentConfiguration(
            virtual_machine_configuration=arm.VirtualMachineConfiguration(
                image_reference=machine.image_reference, node_agent_sku_id=machine.node_agent_sku_id
            )
        ),
        scale_settings=arm.ScaleSettings(fixed_scale=arm.FixedScaleSettings(target_dedicated_nodes=nodes)),
        task_slots_per_node=slots,
        network_configuration=like.network_configuration,
        user_accounts=[
            arm.UserAccount(name=name, password=secrets.token_urlsafe(16) + "aA1!", elevation_level=level)
            for name, level in ((ADMIN, "Admin"), (MEMBER, "NonAdmin"), (USER, "NonAdmin"))
        ],
        start_task=arm.StartTask(command_line=start, user_identity=root, wait_for_success=True, max_task_retry_count=0),
    )
    stack.batch_management.pool.create(stack.group, stack.cloud["batch"]["account"], pool_id, pool)


def delete(stack: Stack, pool_id: str) -> None:
    stack.batch_management.pool.begin_delete(stack.group, stack.cloud["batch"]["account"], pool_id).result()


def container_of(node_id: str) -> str:
    """The container that is the node: the only one whose name ends in the node's id."""
    words = ["docker", "ps", "--all", "--no-trunc", "--filter", f"name={node_id}$", "--format", "{{.Names}}"]
    (name,) = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return name
