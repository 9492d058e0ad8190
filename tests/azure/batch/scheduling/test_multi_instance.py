"""Multi-instance tasks: coordination on every node, the command on the primary."""

from __future__ import annotations

from typing import Any

import pytest
from azure.batch import models

from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, make_job


def mpi(instances: int = 2) -> models.MultiInstanceSettings:
    return models.MultiInstanceSettings(coordination_command_line="coordinate", number_of_instances=instances)


@pytest.fixture
def cluster(manual: LocalBatch) -> LocalBatch:
    """Three nodes that know one another, and a job."""
    manual.pool(nodes=3, interNodeCommunication="Enabled")
    for node in manual.node_ids():
        manual.do(manual.executor.node_up, node)
    make_job(manual.client())
    return manual


def commands(local: LocalBatch) -> list[str]:
    return sorted(run.command_line for _, run in local.executor.runs.values())


def coordinate(local: LocalBatch, exit_code: int = 0) -> None:
    """End one coordination command."""
    run_id = next(run_id for run_id, (_, run) in local.executor.runs.items() if run.command_line == "coordinate")
    local.do(local.executor.end, run_id, exit_code)


def test_the_command_runs_on_one_node_when_all_are_coordinated(cluster: LocalBatch) -> None:
    client = cluster.client()
    add(client, "mpi", multi_instance_settings=mpi(3))
    add(client, "waits")
    cluster.settle()
    assert commands(cluster) == ["coordinate"] * 3  # and no node is left for the other task
    coordinate(cluster)
    coordinate(cluster)
    assert commands(cluster) == ["coordinate"] and client.get_task("job", "mpi").state == "preparing"
    coordinate(cluster)
    assert commands(cluster) == ["run"]
    (node_id, spec) = next(iter(cluster.executor.runs.values()))
    assert spec.environment["AZ_BATCH_IS_CURRENT_NODE_MASTER"] == "true"
    subtasks = list(client.list_subtasks("job", "mpi"))
    assert [one.id for one in subtasks] == [1, 2] and {one.state for one in subtasks} == {"completed"}
    assert node_id not in {one.node_info.node_id for one in subtasks if one.node_info}
    cluster.do(cluster.executor.end, spec.run_id, 0)
    assert client.get_task("job", "mpi").state == "completed"
    assert client.get_task("job", "waits").state == "preparing"


def test_a_coordination_that_fails_fails_the_attempt_and_stops_the_others(cluster: LocalBatch) -> None:
    client = cluster.client()
    add(client, "mpi", multi_instance_settings=mpi(2), constraints=models.BatchTaskConstraints(max_task_retry_count=1))
    cluster.settle()
    coordinate(cluster, 3)
    assert commands(cluster) == ["coordinate"] * 2  # the second attempt; nothing of the first is left
    coordinate(cluster, 3)
    task = client.get_task("job", "mpi")
    assert task.state == "completed" and task.execution_info is not None and task.execution_info.exit_code == 3
    assert commands(cluster) == []


def test_a_lost_node_requeues_all_of_it_and_a_restart_loses_nothing(cluster: LocalBatch) -> None:
    client = cluster.client()
    add(client, "mpi", multi_instance_settings=mpi(2))
    cluster.settle()
    cluster.restart()
    assert commands(cluster) == ["coordinate"] * 2
    lost = next(node for node, _ in reversed(cluster.executor.runs.values()))
    cluster.run(cluster.executor.reboot_node(lost))
    cluster.settle()
    info = cluster.client().get_task("job", "mpi").execution_info
    assert info is not None and info.requeue_count == 1
    assert commands(cluster) == ["coordinate"] * 2  # on the two nodes that are left


def test_terminating_ends_it_while_it_coordinates(cluster: LocalBatch) -> None:
    client = cluster.client()
    add(client, "mpi", multi_instance_settings=mpi(2))
    cluster.settle()
    client.terminate_task("job", "mpi")
    cluster.settle()
    assert commands(cluster) == [] and client.get_task("job", "mpi").state == "completed"


@pytest.mark.parametrize("properties", [{}, {"interNodeCommunication": "Enabled", "taskSlotsPerNode": 2}])
def test_on_another_kind_of_pool_it_stays_active(manual: LocalBatch, properties: dict[str, Any]) -> None:
    manual.pool(nodes=2, **properties)
    for node in manual.node_ids():
        manual.do(manual.executor.node_up, node)
    client = manual.client()
    make_job(client)
    add(client, "mpi", multi_instance_settings=mpi(2))
    add(client, "other")
    manual.settle()
    assert client.get_task("job", "mpi").state == "active" and commands(manual) == ["run"]
