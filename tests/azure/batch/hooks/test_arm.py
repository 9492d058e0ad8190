"""Accounts and pools through ARM with the real management SDK (azure-mgmt-batch 18.0.0, REST 2024-07-01)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.batch import BatchManagementClient
from azure.mgmt.batch import models as arm

from local.azure.arm.service import ArmService
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.versions.api_versions import without_unknown
from testbeds.batch_service import LocalBatch, TokenOf

MACHINE = arm.VirtualMachineConfiguration(
    image_reference=arm.ImageReference(publisher="microsoft-dsvm", offer="ubuntu-hpc", sku="2404", version="latest"),
    node_agent_sku_id="batch.node.ubuntu 24.04",
    container_configuration=arm.ContainerConfiguration(type="DockerCompatible"),
)


@pytest.fixture
def arm_client(tmp_path: Path) -> Iterator[tuple[LocalBatch, BatchManagementClient]]:
    """ARM beside the Batch service, and its client as the deployer."""
    local = LocalBatch(tmp_path / "home", automatic=True)
    service = ArmService(local.cloud)
    local.run(service.start())
    group = Resource(id=local.group, type="Microsoft.Resources/resourceGroups", name="group", location="westeurope")
    local.do(local.cloud.resources.put, group)
    credential: Any = TokenOf(local.cloud, local.cloud.settings.deployer_object_id, "https://management.azure.com/")
    client = BatchManagementClient(
        credential,
        local.cloud.settings.subscription_id,
        base_url=local.cloud.arm_url,
        polling_interval=0,
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=str(local.paths.ca),
    )
    yield local, client
    local.run(service.stop())
    local.close()


def a_pool(nodes: int = 1, command: str = "prepare", slots: int = 2) -> arm.Pool:
    return arm.Pool(
        vm_size="STANDARD_D2S_V3",
        deployment_configuration=arm.DeploymentConfiguration(virtual_machine_configuration=MACHINE),
        scale_settings=arm.ScaleSettings(fixed_scale=arm.FixedScaleSettings(target_dedicated_nodes=nodes)),
        start_task=arm.StartTask(command_line=command, wait_for_success=True),
        user_accounts=[arm.UserAccount(name="admin", password="hush-hush", elevation_level="Admin")],
        task_slots_per_node=slots,
    )


def test_an_account_and_a_pool_live_and_die_through_arm(
    arm_client: tuple[LocalBatch, BatchManagementClient],
) -> None:
    local, client = arm_client
    wanted = arm.BatchAccountCreateParameters(location="westeurope", allowed_authentication_modes=["AAD"])
    account = client.batch_account.begin_create("group", "armbatch", wanted).result()
    assert account.account_endpoint == local.endpoint("armbatch").removeprefix("https://")
    pool = client.pool.create("group", "armbatch", "pool", a_pool())
    assert pool.user_accounts is not None and pool.user_accounts[0].name == "admin"
    assert "hush" not in str(pool.serialize(keep_readonly=True))
    local.settle()
    shown = client.pool.get("group", "armbatch", "pool")
    assert (shown.allocation_state, shown.current_dedicated_nodes, shown.provisioning_state) == (
        "Steady",
        1,
        "Succeeded",
    )
    assert local.executor.nodes[local.node_ids()[0]].user_accounts[0].password == "hush-hush"
    client.pool.create("group", "armbatch", "pool", a_pool(nodes=2))
    client.pool.create("group", "armbatch", "pool", a_pool(nodes=2, command="other"))
    with pytest.raises(HttpResponseError) as caught:
        client.pool.create("group", "armbatch", "pool", a_pool(nodes=2, slots=3))
    assert caught.value.status_code == 400
    assert caught.value.error is not None and caught.value.error.code == "PropertyCannotBeUpdated"
    with pytest.raises(HttpResponseError) as keys:
        client.batch_account.get_keys("group", "armbatch")
    assert keys.value.status_code == 403
    client.pool.begin_delete("group", "armbatch", "pool").wait()
    client.batch_account.begin_delete("group", "armbatch").wait()
    assert local.executor.nodes == {} and local.service.account("armbatch") is None


def test_an_answer_of_an_earlier_version_has_nothing_that_its_models_do_not_have() -> None:
    """The table is the one by which bodies are checked."""
    image = {"offer": "ubuntu-hpc", "communityGalleryImageId": "x"}
    extension = {"name": "e", "enableAutomaticUpgrade": True}
    machine = {"imageReference": image, "extensions": [extension]}
    pool = {"name": "p", "properties": {"deploymentConfiguration": {"virtualMachineConfiguration": machine}}}
    kind = "Microsoft.Batch/batchAccounts/pools"
    shown = without_unknown(kind, "2022-10-01", pool)["properties"]["deploymentConfiguration"]
    assert shown == {
        "virtualMachineConfiguration": {"imageReference": {"offer": "ubuntu-hpc"}, "extensions": [{"name": "e"}]}
    }
    assert without_unknown(kind, "2024-07-01", pool) == pool
