"""Pools and nodes through the SDK: allocation, loss of nodes, users."""

from __future__ import annotations

import pytest
from azure.batch import models
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from local.node.contract import NodeState
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, make_job


def test_a_pool_is_shown_in_the_data_planes_words(azure: LocalBatch) -> None:
    azure.pool(nodes=2, containers=True, taskSlotsPerNode=2, taskSchedulingPolicy={"nodeFillType": "Pack"})
    pool = azure.client().get_pool("POOL")
    assert (pool.id, pool.state, pool.allocation_state) == ("pool", "active", "steady")
    assert (pool.current_dedicated_nodes, pool.target_dedicated_nodes, pool.task_slots_per_node) == (2, 2, 2)
    machine = pool.virtual_machine_configuration
    assert machine is not None and machine.container_configuration is not None
    assert machine.container_configuration.type == models.ContainerType.DOCKER_COMPATIBLE
    assert machine.node_agent_sku_id == "batch.node.ubuntu 24.04"
    assert pool.task_scheduling_policy is not None and pool.task_scheduling_policy.node_fill_type == "Pack"
    assert azure.client().pool_exists("pool")


def test_a_resize_up_and_down_changes_the_nodes(azure: LocalBatch) -> None:
    azure.pool(nodes=1)
    client = azure.client()
    client.begin_resize_pool("pool", models.BatchPoolResizeOptions(target_dedicated_nodes=3)).wait()
    assert len(list(client.list_nodes("pool"))) == 3
    client.begin_resize_pool("pool", models.BatchPoolResizeOptions(target_dedicated_nodes=0)).wait()
    azure.settle()
    assert list(client.list_nodes("pool")) == [] and azure.executor.nodes == {}


def test_a_resize_during_a_resize_is_refused(manual: LocalBatch) -> None:
    manual.executor.create_node = _never  # type: ignore[method-assign]
    manual.pool(nodes=1)
    client = manual.client()
    assert client.get_pool("pool").allocation_state == "resizing"
    with pytest.raises(ResourceExistsError) as caught:
        client.begin_resize_pool("pool", models.BatchPoolResizeOptions(target_dedicated_nodes=3))
    assert caught.value.error is not None and caught.value.error.code == "PoolBeingResized"


async def _never(spec: object) -> None:
    """A node that is asked for and does not come."""


def test_a_node_that_cannot_be_made_is_a_resize_error(manual: LocalBatch) -> None:
    async def fail(spec: object) -> None:
        raise RuntimeError("no room left")

    manual.executor.create_node = fail  # type: ignore[method-assign]
    manual.pool(nodes=1)
    manual.settle()
    pool = manual.client().get_pool("pool")
    assert pool.allocation_state == "steady" and pool.current_dedicated_nodes == 0
    assert pool.resize_errors is not None and "no room left" in str(pool.resize_errors[0].message)


def test_removed_nodes_give_their_tasks_back(manual: LocalBatch) -> None:
    manual.pool(nodes=1)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    client = manual.client()
    make_job(client)
    add(client, "t")
    manual.settle()
    nodes = models.BatchNodeRemoveOptions(node_ids=manual.node_ids())
    client.begin_remove_nodes("pool", nodes).wait()
    manual.settle()
    task = client.get_task("job", "t")
    assert task.state == "active" and task.execution_info is not None and task.execution_info.requeue_count == 1
    assert client.get_pool("pool").target_dedicated_nodes == 0


def test_a_dying_nodes_tasks_are_requeued_and_not_counted_as_retries(manual: LocalBatch) -> None:
    manual.pool(nodes=2)
    first, second = manual.node_ids()
    manual.do(manual.executor.node_up, first)
    client = manual.client()
    make_job(client)
    add(client, "t")
    manual.settle()
    manual.do(manual.executor.node_state, first, NodeState.UNUSABLE, ("NodeUnusable", "the disk is full"))
    task = client.get_task("job", "t")
    assert task.state == "active" and task.execution_info is not None
    assert (task.execution_info.requeue_count, task.execution_info.retry_count) == (1, 0)
    errors = client.get_node("pool", first).errors
    assert errors is not None and errors[0].code == "NodeUnusable"
    manual.do(manual.executor.node_up, second)
    task = client.get_task("job", "t")
    assert task.state == "preparing" and task.node_info is not None and task.node_info.node_id == second


def test_a_node_that_does_not_answer_loses_its_run(manual: LocalBatch) -> None:
    manual.pool(nodes=1)
    node = manual.node_ids()[0]
    manual.do(manual.executor.node_up, node)
    manual.executor.unreachable.add(node)
    client = manual.client()
    make_job(client)
    add(client, "t")
    manual.settle()
    assert client.get_task("job", "t").state == "active"
    assert client.get_node("pool", node).state == "unknown"
    manual.executor.unreachable.clear()
    manual.do(manual.executor.node_up, node)
    assert client.get_task("job", "t").state == "preparing"


def test_nodes_waiting_for_their_start_task_take_no_tasks(manual: LocalBatch) -> None:
    manual.pool(nodes=1, startTask={"commandLine": "prepare", "waitForSuccess": True})
    node = manual.node_ids()[0]
    spec = manual.executor.nodes[node]
    assert spec.start_task is not None and spec.start_task.directory == "startup"
    manual.do(manual.executor.node_state, node, NodeState.WAITING_FOR_START_TASK)
    client = manual.client()
    make_job(client)
    add(client, "t")
    manual.settle()
    assert client.get_task("job", "t").state == "active"
    counts = next(iter(client.list_pool_node_counts())).dedicated
    assert counts is not None and (counts.waiting_for_start_task, counts.total) == (1, 1)
    manual.do(manual.executor.node_up, node)
    shown = client.get_node("pool", node)
    assert shown.state == "running" and shown.running_tasks_count == 1
    assert shown.start_task_info is not None and shown.start_task_info.result == "success"


def test_a_reboot_is_seen_at_once_and_requeues(manual: LocalBatch) -> None:
    manual.pool(nodes=1)
    node = manual.node_ids()[0]
    manual.do(manual.executor.node_up, node)
    client = manual.client()
    make_job(client)
    add(client, "t")
    manual.settle()
    poller = client.begin_reboot_node("pool", node, {"nodeRebootOption": "requeue"})  # type: ignore[arg-type]
    poller.wait()
    manual.settle()
    assert client.get_task("job", "t").state == "active"
    manual.do(manual.executor.node_up, node)
    assert client.get_node("pool", node).state == "running"


def test_scheduling_can_be_turned_off_and_on(manual: LocalBatch) -> None:
    manual.pool(nodes=1)
    node = manual.node_ids()[0]
    manual.do(manual.executor.node_up, node)
    client = manual.client()
    client.disable_node_scheduling("pool", node, {"nodeDisableSchedulingOption": "requeue"})  # type: ignore[arg-type]
    assert client.get_node("pool", node).state == "offline"
    make_job(client)
    add(client, "t")
    manual.settle()
    assert client.get_task("job", "t").state == "active"
    client.enable_node_scheduling("pool", node)
    manual.settle()
    assert client.get_task("job", "t").state == "preparing"
    with pytest.raises(ResourceExistsError) as caught:
        client.enable_node_scheduling("pool", node)
    assert caught.value.error is not None and caught.value.error.code == "NodeAlreadyInTargetSchedulingState"


def test_users_come_and_go_and_their_passwords_are_never_shown(azure: LocalBatch) -> None:
    azure.pool(nodes=1, userAccounts=[{"name": "admin", "password": "secret-1", "elevationLevel": "Admin"}])
    node = azure.node_ids()[0]
    client = azure.client()
    assert azure.executor.users[node]["admin"].password == "secret-1" and azure.executor.users[node]["admin"].admin
    client.create_node_user(
        "pool", node, models.BatchNodeUserCreateOptions(name="guest", password="secret-2", is_admin=True)
    )
    client.replace_node_user("pool", node, "guest", models.BatchNodeUserReplaceOptions(password="secret-3"))
    assert azure.executor.users[node]["guest"].password == "secret-3" and azure.executor.users[node]["guest"].admin
    with pytest.raises(ResourceExistsError):
        client.create_node_user("pool", node, models.BatchNodeUserCreateOptions(name="guest", password="x"))
    client.delete_node_user("pool", node, "guest")
    with pytest.raises(ResourceNotFoundError):
        client.delete_node_user("pool", node, "guest")
    shown = str(client.get_pool("pool").as_dict())
    assert "admin" in shown and "secret" not in shown


def test_a_deleted_pool_takes_its_nodes_and_its_arm_resource_along(azure: LocalBatch) -> None:
    resource = azure.pool(nodes=2)
    client = azure.client()
    poller = client.begin_delete_pool("pool")
    poller.wait()
    azure.settle()
    assert poller.status() == "Succeeded" and azure.executor.nodes == {}
    assert azure.cloud.resources.get(resource.id) is None


def test_supported_images_have_what_preflight_checks_look_for(azure: LocalBatch) -> None:
    images = list(azure.client().list_supported_images(filter="verificationType eq 'verified'"))
    assert any(
        image.node_agent_sku_id == "batch.node.ubuntu 24.04" and "DockerCompatible" in (image.capabilities or [])
        for image in images
    )
