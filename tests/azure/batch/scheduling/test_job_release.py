"""Job release tasks through the SDK, on nodes that do as the test says."""

from __future__ import annotations

import pytest
from azure.batch import models
from azure.core.exceptions import ResourceNotFoundError

from testbeds.batch_service import LocalBatch
from tests.azure.batch.scheduling.job_tasks import PREPARE, RELEASE, ask, make, running, status, terminate
from tests.azure.batch.sdk import add, end, make_job


def test_the_release_runs_on_every_prepared_node_takes_no_slot_and_may_fail(nodes: LocalBatch) -> None:
    client = nodes.client()
    make(client)
    add(client, "a", "b")
    nodes.settle()
    assert running(nodes) == [PREPARE, PREPARE]
    for task in (PREPARE, PREPARE, "a", "b"):
        end(nodes, task)
    make_job(client, "full")
    add(client, "1", "2", "3", "4", job="full")
    nodes.settle()
    terminate(nodes)
    assert running(nodes) == ["1", "2", "3", "4", RELEASE, RELEASE]
    assert client.get_job("job").state == "terminating"
    end(nodes, RELEASE, 5)
    assert client.get_job("job").state == "terminating"
    end(nodes, RELEASE, 0)
    job = client.get_job("job")
    assert job.state == "completed" and job.execution_info is not None
    assert job.execution_info.termination_reason == "enough"
    released = [one.job_release_task_execution_info for one in status(nodes)]
    assert sorted((str(one.result), one.exit_code) for one in released if one) == [
        (str(models.BatchTaskExecutionResult.FAILURE), 5),
        (str(models.BatchTaskExecutionResult.SUCCESS), 0),
    ]


def test_it_runs_when_all_tasks_are_complete_and_after_a_failed_task(azure: LocalBatch) -> None:
    azure.pool(nodes=1)
    client = azure.client()
    make(client)
    add(client, "t")
    azure.settle()
    client.update_job("job", models.BatchJobUpdateOptions(all_tasks_complete_mode="terminatejob"))
    azure.settle()
    assert client.get_job("job").state == "completed"
    (one,) = status(azure)
    assert one.job_release_task_execution_info is not None
    assert one.job_release_task_execution_info.result == "success"


def test_deleting_an_active_job_releases_its_nodes_first_and_takes_its_files_along(node: LocalBatch) -> None:
    (node_id,) = node.node_ids()
    client = node.client()
    make(client)
    add(client, "t")
    node.settle()
    end(node, PREPARE)
    ask(node, "DELETE", "/jobs/job")
    assert running(node) == [RELEASE] and client.get_job("job").state == "deleting"
    end(node, RELEASE)
    with pytest.raises(ResourceNotFoundError):
        client.get_job("job")
    assert [path for path in node.executor.files[node_id] if path.startswith("workitems")] == []
    assert node.cloud.store.count("batch.job-task") == 0


def test_deleting_a_completed_job_does_not_release_again(node: LocalBatch) -> None:
    client = node.client()
    make(client)
    add(client, "t")
    node.settle()
    end(node, PREPARE)
    terminate(node)
    end(node, RELEASE)
    client.begin_delete_job("job").wait()
    node.settle()
    assert running(node) == []


def test_nodes_that_could_not_be_prepared_are_not_released_and_a_running_preparation_is_ended(
    nodes: LocalBatch,
) -> None:
    client = nodes.client()
    make(client)
    add(client, "t")
    nodes.settle()
    end(nodes, PREPARE, 1)
    assert running(nodes) == [PREPARE]  # on the other node
    terminate(nodes)
    assert running(nodes) == []
    assert client.get_job("job").state == "completed"
    assert [one.job_release_task_execution_info for one in status(nodes)] == [None, None]


def test_a_node_that_reboots_in_its_release_runs_it_again(node: LocalBatch) -> None:
    (node_id,) = node.node_ids()
    client = node.client()
    make(client)
    add(client, "t")
    node.settle()
    end(node, PREPARE)
    terminate(node)
    first = node.executor.run_of(RELEASE)
    node.run(node.executor.reboot_node(node_id))
    node.settle()
    assert running(node) == [] and client.get_job("job").state == "terminating"
    node.do(node.executor.node_up, node_id)
    assert node.executor.run_of(RELEASE) != first
    end(node, RELEASE)
    assert client.get_job("job").state == "completed"


def test_a_release_ends_with_the_node_that_goes(node: LocalBatch) -> None:
    client = node.client()
    make(client)
    add(client, "t")
    node.settle()
    end(node, PREPARE)
    terminate(node)
    client.begin_remove_nodes("pool", models.BatchNodeRemoveOptions(node_ids=node.node_ids())).wait()
    node.settle()
    assert client.get_job("job").state == "completed"
