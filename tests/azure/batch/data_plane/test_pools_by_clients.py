"""Pools made and changed through the data plane, images, and what becomes of single nodes."""

from __future__ import annotations

from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.core.rest import HttpRequest

from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, code_of, details, machine, make_job


def create(client: BatchClient, pool_id: str = "pool", **options: Any) -> None:
    given: dict[str, Any] = {"vm_size": "Standard_D2s_v3", "virtual_machine_configuration": machine(), **options}
    client.create_pool(models.BatchPoolCreateOptions(id=pool_id, **given))


def test_a_client_makes_a_pool_and_its_tasks_run(azure: LocalBatch) -> None:
    client = azure.client()
    start = models.BatchStartTask(command_line="prepare")
    users = [models.UserAccount(name="admin", password="hush-hush", elevation_level="admin")]
    create(client, target_dedicated_nodes=2, start_task=start, user_accounts=users, task_slots_per_node=2)
    azure.settle()
    make_job(client)
    add(client, "t")
    azure.settle()
    pool = client.get_pool("POOL")
    assert (pool.current_dedicated_nodes, pool.allocation_state, pool.task_slots_per_node) == (2, "steady", 2)
    assert pool.start_task is not None and pool.start_task.max_task_retry_count == 0
    assert pool.start_task.wait_for_success is True and pool.vm_size == "standard_d2s_v3"
    assert "hush" not in str(pool.as_dict())
    assert client.get_task("job", "t").state == "completed"
    assert azure.executor.users[azure.node_ids()[0]]["admin"].password == "hush-hush"
    with pytest.raises(ResourceExistsError) as caught:
        create(client, "Pool")
    assert code_of(caught) == (409, "PoolExists")


def test_a_new_pool_is_resizing_when_the_answer_comes_also_with_no_nodes(manual: LocalBatch) -> None:
    client = manual.client()
    create(client)
    manual.settle()
    assert client.get_pool("pool").allocation_state == "steady"
    create(client, "other", target_low_priority_nodes=1)
    assert client.get_pool("other").target_low_priority_nodes == 1


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"enable_auto_scale": True}, "autoScaleFormula"),
        ({"auto_scale_formula": "$TargetDedicatedNodes=0;"}, "autoScaleFormula"),
        ({"target_dedicated_nodes": -1}, "targetDedicatedNodes"),
        ({"task_slots_per_node": 257}, "taskSlotsPerNode"),
        (
            {"user_accounts": [models.UserAccount(name="a", password="x"), models.UserAccount(name="A", password="x")]},
            "name",
        ),
        (
            {
                "start_task": models.BatchStartTask(
                    command_line="x", resource_files=[models.ResourceFile(file_path="f")]
                )
            },
            "resourceFiles[0]",
        ),
        ({"virtual_machine_configuration": None}, "virtualMachineConfiguration"),
        ({"network_configuration": models.NetworkConfiguration(subnet_id="/s/subnets/nowhere")}, "subnetId"),
    ],
)
def test_a_pool_that_cannot_work_is_refused_by_the_name_of_its_property(
    azure: LocalBatch, options: dict[str, Any], name: str
) -> None:
    with pytest.raises(HttpResponseError) as caught:
        create(azure.client(), **options)
    assert caught.value.status_code == 400 and details(caught)["PropertyName"] == name
    assert azure.client().list_pools and [pool.id for pool in azure.client().list_pools()] == []


def test_a_package_that_there_is_not_is_refused_with_its_own_code(azure: LocalBatch) -> None:
    reference = models.BatchApplicationPackageReference(application_id="none")
    with pytest.raises(HttpResponseError) as caught:
        create(azure.client(), application_package_references=[reference])
    assert code_of(caught) == (409, "InvalidApplicationPackageReferences")


@pytest.mark.parametrize("image", range(18))
def test_every_image_of_the_list_is_accepted_with_its_agent(azure: LocalBatch, image: int) -> None:
    client = azure.client()
    one = list(client.list_supported_images())[image]
    reference: dict[str, str] = dict(one.image_reference.as_dict())
    create(client, virtual_machine_configuration=machine(reference, one.node_agent_sku_id))


GALLERY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/mine/images/one"


def test_images_of_galleries_are_accepted_by_their_id(azure: LocalBatch) -> None:
    client = azure.client()
    for number, image in enumerate(
        (
            {"virtual_machine_image_id": GALLERY},
            {"virtual_machine_image_id": f"{GALLERY}/versions/1.0.0"},
            {"shared_gallery_image_id": "/sharedGalleries/g/images/i/versions/latest"},
            {"community_gallery_image_id": "/CommunityGalleries/g/Images/i/Versions/latest"},
        )
    ):
        create(client, f"pool-{number}", virtual_machine_configuration=machine(image))
    assert [pool.id for pool in client.list_pools()] == ["pool-0", "pool-1", "pool-2", "pool-3"]


def test_another_image_is_refused_as_azure_does(azure: LocalBatch) -> None:
    unknown = {"publisher": "a", "offer": "b", "sku": "c", "version": "latest"}
    with pytest.raises(HttpResponseError) as caught:
        create(azure.client(), virtual_machine_configuration=machine(unknown))
    assert details(caught) == {
        "PropertyName": "imageReference",
        "Reason": "The specified imageReference with publisher a offer b sku c is not supported.",
    }
    with pytest.raises(HttpResponseError) as caught:
        create(azure.client(), virtual_machine_configuration=machine({"virtual_machine_image_id": "mine"}))
    assert (details(caught)["PropertyName"], details(caught)["PropertyValue"]) == ("virtualMachineImageId", "mine")
    with pytest.raises(HttpResponseError) as caught:
        create(azure.client(), virtual_machine_configuration=machine(agent="batch.node.ubuntu 22.04"))
    assert details(caught)["PropertyName"] == "nodeAgentSKUId"


def test_a_changed_start_task_runs_where_nodes_join_or_boot_and_nowhere_else(azure: LocalBatch) -> None:
    client = azure.client()
    create(client, target_dedicated_nodes=2, start_task=models.BatchStartTask(command_line="old"))
    azure.settle()
    stays, boots = sorted(azure.node_ids())
    client.update_pool("pool", models.BatchPoolUpdateOptions(start_task=models.BatchStartTask(command_line="new")))
    client.begin_reboot_node("pool", boots, {"nodeRebootOption": "requeue"}).wait()  # type: ignore[arg-type]
    client.begin_resize_pool("pool", models.BatchPoolResizeOptions(target_dedicated_nodes=3)).wait()
    azure.settle()
    (joined,) = set(azure.node_ids()) - {stays, boots}
    ran = {node: spec.start_task.command_line for node, spec in azure.executor.nodes.items() if spec.start_task}
    assert ran == {stays: "old", boots: "new", joined: "new"}
    shown = {node.id: node.start_task.command_line for node in client.list_nodes("pool") if node.start_task}
    assert shown == ran


def test_a_patch_leaves_what_it_does_not_name_and_an_empty_list_removes(azure: LocalBatch) -> None:
    client = azure.client()
    items = [models.BatchMetadataItem(name="a", value="b")]
    create(client, target_dedicated_nodes=1, metadata=items, start_task=models.BatchStartTask(command_line="s"))
    azure.settle()
    before = client.get_pool("pool")
    client.update_pool("pool", models.BatchPoolUpdateOptions(metadata=[]))
    pool = client.get_pool("pool")
    assert pool.metadata is None and pool.start_task is not None
    assert pool.etag != before.etag
    with pytest.raises(HttpResponseError) as caught:
        client.update_pool("pool", models.BatchPoolUpdateOptions(task_slots_per_node=4, display_name="x"))
    assert code_of(caught) == (400, "PropertyCannotBeUpdated") and azure.settle() is None
    client.begin_resize_pool("pool", models.BatchPoolResizeOptions(target_dedicated_nodes=0)).wait()
    azure.settle()
    client.update_pool("pool", models.BatchPoolUpdateOptions(task_slots_per_node=4))
    assert client.get_pool("pool").task_slots_per_node == 4


def test_replaced_properties_are_as_given_or_gone(azure: LocalBatch) -> None:
    client = azure.client()
    create(client, start_task=models.BatchStartTask(command_line="s"))
    items = [models.BatchMetadataItem(name="a", value="b")]
    client.replace_pool_properties(
        "pool", models.BatchPoolReplaceOptions(application_package_references=[], metadata=items)
    )
    pool = client.get_pool("pool")
    assert pool.start_task is None and pool.metadata is not None and pool.metadata[0].value == "b"


def test_conditions_hold_for_changes_of_pools(azure: LocalBatch) -> None:
    client = azure.client()
    create(client, target_dedicated_nodes=1)
    etag = client.get_pool("pool").etag
    azure.settle()  # the pool gets steady, which is no change of a client's
    change = models.BatchPoolUpdateOptions(metadata=[models.BatchMetadataItem(name="a", value="b")])
    client.update_pool("pool", change, etag=etag, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(HttpResponseError) as caught:
        client.update_pool("pool", change, etag=etag, match_condition=MatchConditions.IfNotModified)
    assert caught.value.status_code == 412


def test_a_stopped_resize_keeps_its_target_and_says_what_is_missing(manual: LocalBatch) -> None:
    client = manual.client()
    create(client)
    manual.settle()

    async def late(spec: object) -> None:
        """A node whose machine does not come."""

    manual.executor.create_node = late  # type: ignore[method-assign]
    for path, body in (("resize", {"targetDedicatedNodes": 1, "targetLowPriorityNodes": 3}), ("stopresize", None)):
        request = HttpRequest("POST", f"{manual.endpoint()}/pools/pool/{path}?api-version=2025-06-01", json=body)
        assert client.send_request(request).status_code == 202
    manual.settle()
    pool = client.get_pool("pool")
    assert (pool.target_low_priority_nodes, pool.current_low_priority_nodes) == (3, 0)
    assert pool.allocation_state == "steady" and pool.resize_errors is not None
    assert [error.code for error in pool.resize_errors] == ["ResizeStopped"] * 2
    assert "low priority nodes could not be allocated due to a stop resize" in str(pool.resize_errors[1].message)


def test_a_reimaged_node_loses_its_files_and_runs_the_task_again(node: LocalBatch) -> None:
    client = node.client()
    make_job(client)
    add(client, "t")
    node.settle()
    (node_id,) = node.node_ids()
    node.executor.write(node_id, "shared/left", b"over")
    poller = client.begin_reimage_node("pool", node_id, {"nodeReimageOption": "requeue"})  # type: ignore[arg-type]
    node.settle()
    assert client.get_task("job", "t").state == "active" and "shared/left" not in node.executor.files[node_id]
    node.do(node.executor.node_up, node_id)
    poller.wait()
    assert poller.status() == "Succeeded" and client.get_task("job", "t").state == "preparing"


def test_a_deallocated_node_stays_in_the_pool_and_comes_back_when_it_is_started(azure: LocalBatch) -> None:
    client = azure.client()
    create(client, target_dedicated_nodes=1)
    azure.settle()
    (node_id,) = azure.node_ids()
    with pytest.raises(HttpResponseError) as caught:
        client.begin_start_node("pool", node_id)
    assert code_of(caught) == (409, "OperationNotValidOnNode")
    client.begin_deallocate_node("pool", node_id, {"nodeDeallocateOption": "terminate"}).wait()  # type: ignore[arg-type]
    azure.settle()
    shown = client.get_node("pool", node_id)
    assert shown.state == "deallocated" and azure.node_ids() == []
    counts = next(iter(client.list_pool_node_counts())).dedicated
    assert counts is not None and (counts.deallocated, counts.total) == (1, 1)
    azure.restart()
    client = azure.client()
    assert client.get_node("pool", node_id).state == "deallocated" and azure.node_ids() == []
    client.begin_start_node("pool", node_id).wait()
    azure.settle()
    assert client.get_node("pool", node_id).state == "idle"


def test_extensions_logs_and_usage_have_the_forms_of_the_service(azure: LocalBatch) -> None:
    client = azure.client()
    extension = models.VMExtension(name="Agent", publisher="p", type="t", protected_settings={"key": "hush"})
    create(client, target_dedicated_nodes=1, virtual_machine_configuration=machine(extensions=[extension]))
    azure.settle()
    (node_id,) = azure.node_ids()
    shown, own = client.list_node_extensions("pool", node_id)
    assert own.vm_extension is not None and own.vm_extension.name == "batchNodeExtension"
    assert shown.provisioning_state == "Succeeded" and "hush" not in str(shown.as_dict())
    assert shown.instance_view is not None and shown.instance_view.statuses is not None
    (status,) = shown.instance_view.statuses
    assert (status.code, status.level) == ("ProvisioningState/succeeded", "Info")
    assert "executes none" in str(status.message)
    assert client.get_node_extension("pool", node_id, "agent").vm_extension is not None
    with pytest.raises(HttpResponseError) as caught:
        client.get_node_extension("pool", node_id, "other")
    assert caught.value.status_code == 404
    import datetime

    since = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    options = models.UploadBatchServiceLogsOptions(container_url="https://x.example/logs?sas", start_time=since)
    logs = client.upload_node_logs("pool", node_id, options)
    assert logs.virtual_directory_name.startswith("batch-") and node_id in logs.virtual_directory_name
    assert list(client.list_pool_usage_metrics(start_time=since)) == []
    assert list(client.list_applications()) == []
