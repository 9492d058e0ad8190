"""Job preparation tasks through the SDK, on nodes that do as the test says, and that go down."""

from __future__ import annotations

from datetime import timedelta

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest

from local.node.contract import FailureInfo, NodeState
from testbeds.batch_service import LocalBatch
from tests.azure.batch.scheduling.job_tasks import (
    PREPARE,
    RELEASE,
    make,
    prepared,
    reboot,
    running,
    spec,
    status,
    terminate,
)
from tests.azure.batch.sdk import add, end, make_job, states


def test_a_task_waits_preparing_until_its_node_is_prepared_once(node: LocalBatch) -> None:
    client = node.client()
    make(client)
    add(client, "a", "b", "c")
    assert states(node, "a", "b", "c") == ["preparing", "preparing", "active"]
    assert running(node) == [PREPARE]
    node.do(node.executor.begin, node.executor.run_of(PREPARE))
    assert prepared(node).state == "running"
    end(node, PREPARE)
    assert running(node) == ["a", "b"]
    end(node, "a")
    assert running(node) == ["b", "c"]
    info = prepared(node)
    assert (info.state, info.result, info.exit_code, info.retry_count) == ("completed", "success", 0, 0)


def test_its_defaults_are_filled_in_and_a_job_that_was_read_can_be_sent_back(azure: LocalBatch) -> None:
    client = azure.client()
    registry = models.ContainerRegistryReference(username="me", password="secret")
    image = models.BatchTaskContainerSettings(image_name="i", registry=registry)
    make(
        client,
        constraints=models.BatchTaskConstraints(max_wall_clock_time=timedelta(hours=1)),
        container_settings=image,
    )
    job = client.get_job("job")
    first, last = job.job_preparation_task, job.job_release_task
    assert first is not None and last is not None and first.constraints is not None
    assert (first.id, first.wait_for_success, first.rerun_on_node_reboot_after_success) == (PREPARE, True, True)
    assert (first.constraints.max_task_retry_count, first.constraints.retention_time) == (0, timedelta(days=7))
    assert first.container_settings is not None and first.container_settings.registry is not None
    assert first.container_settings.registry.password is None
    assert (last.id, last.max_wall_clock_time, last.retention_time) == (
        RELEASE,
        timedelta(minutes=15),
        timedelta(days=7),
    )
    address = f"{azure.endpoint()}/jobs/job?api-version=2025-06-01"
    raw = client.send_request(HttpRequest("GET", address)).json()
    assert client.send_request(HttpRequest("PUT", address, json={**raw, "priority": 3})).status_code == 200
    assert client.get_job("job").priority == 3
    raw["jobPreparationTask"]["commandLine"] = "other"
    with pytest.raises(HttpResponseError, match="cannot be changed"):
        client.send_request(HttpRequest("PUT", address, json=raw))


def test_tasks_and_the_release_task_know_where_the_preparation_worked(node: LocalBatch) -> None:
    client = node.client()
    setting = [models.EnvironmentSetting(name="GREETING", value="hello")]
    preparation = models.BatchJobPreparationTask(id="Prep", command_line="prepare")
    release = models.BatchJobReleaseTask(command_line="release")
    make_job(client, job_preparation_task=preparation, job_release_task=release, common_environment_settings=setting)
    add(client, "t")
    node.settle()
    first = spec(node, "Prep")
    assert first.directory == "workitems/job/job-1/Prep" and first.environment["GREETING"] == "hello"
    assert "AZ_BATCH_JOB_PREP_DIR" not in first.environment
    end(node, "Prep")
    task = spec(node, "t")
    end(node, "t")
    terminate(node)
    for later in (task, spec(node, RELEASE)):
        assert later.environment["AZ_BATCH_JOB_PREP_DIR"] == "/mnt/batch/tasks/workitems/job/job-1/Prep"
        assert later.environment["AZ_BATCH_JOB_PREP_WORKING_DIR"] == "/mnt/batch/tasks/workitems/job/job-1/Prep/wd"
        assert later.preparation_directory == first.directory


def test_where_it_fails_no_task_of_the_job_runs_and_the_node_stays_good_for_others(nodes: LocalBatch) -> None:
    client = nodes.client()
    make(client)
    add(client, "t")
    nodes.settle()
    bad = client.get_task("job", "t").node_info
    assert bad is not None
    end(nodes, PREPARE, 4)
    assert states(nodes, "t") == ["preparing"]  # on the other node, which is prepared now
    moved = client.get_task("job", "t")
    assert moved.node_info is not None and moved.node_info.node_id != bad.node_id
    assert moved.execution_info is not None and moved.execution_info.requeue_count == 0
    end(nodes, PREPARE, 4)
    assert states(nodes, "t") == ["active"] and running(nodes) == []
    for one in status(nodes):
        info = one.job_preparation_task_execution_info
        assert info is not None and (info.state, info.result, info.exit_code) == ("completed", "failure", 4)
        assert info.failure_info is not None and info.failure_info.code == "FailureExitCode"
    make_job(client, "other")
    add(client, "x", job="other")
    nodes.settle()
    assert running(nodes) == ["x"]


def test_it_is_retried_as_often_as_it_may_and_not_when_it_could_not_start(node: LocalBatch) -> None:
    client = node.client()
    make(client, constraints=models.BatchTaskConstraints(max_task_retry_count=2))
    add(client, "t")
    node.settle()
    first = node.executor.run_of(PREPARE)
    end(node, PREPARE, 1)
    assert node.executor.run_of(PREPARE) != first and states(node, "t") == ["preparing"]
    assert prepared(node).retry_count == 1 and prepared(node).last_retry_time is not None
    failure = FailureInfo(category="usererror", code="BlobNotFound", message="")
    node.do(node.executor.end, node.executor.run_of(PREPARE), None, failure)
    assert states(node, "t") == ["active"]
    info = prepared(node)
    assert info.failure_info is not None and (info.failure_info.code, info.exit_code) == ("BlobNotFound", None)


def test_tasks_need_not_wait_for_it(node: LocalBatch) -> None:
    client = node.client()
    make(client, wait_for_success=False)
    add(client, "t")
    node.settle()
    assert running(node) == [PREPARE, "t"]
    end(node, PREPARE, 1)
    add(client, "u")
    node.settle()
    assert running(node) == ["t", "u"]


def test_a_container_preparation_on_a_host_pool_fails_in_words(node: LocalBatch) -> None:
    client = node.client()
    make(client, container_settings=models.BatchTaskContainerSettings(image_name="i"))
    add(client, "t")
    assert states(node, "t") == ["active"]
    info = prepared(node)
    assert info.failure_info is not None and info.failure_info.code == "ContainerPoolNotSupported"


def test_on_a_container_pool_it_may_run_on_the_host(manual: LocalBatch) -> None:
    manual.pool(nodes=1, containers=True)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    client = manual.client()
    make(client)
    add(client, "t", container_settings=models.BatchTaskContainerSettings(image_name="i"))
    manual.settle()
    end(manual, PREPARE)
    assert running(manual) == ["t"]


def test_a_task_that_is_held_can_be_terminated_deleted_and_requeued(node: LocalBatch) -> None:
    client = node.client()
    make(client)
    add(client, "t", "u")
    node.settle()
    client.terminate_task("job", "t")
    client.delete_task("job", "u")
    node.settle()
    info = client.get_task("job", "t").execution_info
    assert info is not None and info.failure_info is not None and info.failure_info.code == "TaskEnded"
    with pytest.raises(ResourceNotFoundError):
        client.get_task("job", "u")
    add(client, "v")
    assert states(node, "v") == ["preparing"]
    client.begin_disable_job("job", models.BatchJobDisableOptions(disable_tasks="requeue")).wait()
    assert states(node, "v") == ["active"] and running(node) == [PREPARE]
    assert node.executor.terminated == []  # the node never knew of them
    end(node, PREPARE)
    client.begin_enable_job("job").wait()
    node.settle()
    assert running(node) == ["v"]


def test_dependents_of_a_task_run_on_prepared_nodes_only(nodes: LocalBatch) -> None:
    client = nodes.client()
    make_job(
        client,
        uses_task_dependencies=True,
        job_preparation_task=models.BatchJobPreparationTask(command_line="prepare"),
    )
    add(client, "parent")
    add(client, "child", depends_on=models.BatchTaskDependencies(task_ids=["parent"]))
    nodes.settle()
    end(nodes, PREPARE)
    end(nodes, "parent")
    assert running(nodes) in (["child"], [PREPARE])
    assert states(nodes, "child") == ["preparing"]


def test_a_rebooted_node_is_prepared_again_unless_that_is_not_wanted(node: LocalBatch) -> None:
    (node_id,) = node.node_ids()
    client = node.client()
    make(client)
    make_job(
        client,
        "once",
        job_preparation_task=models.BatchJobPreparationTask(
            id="once", command_line="x", rerun_on_node_reboot_after_success=False
        ),
    )
    for job in ("job", "once"):
        add(client, "before", job=job)
    node.settle()
    for task in (PREPARE, "once"):
        end(node, task)
    for _ in range(2):
        end(node, "before")
    reboot(node, node_id)
    assert prepared(node).result == "success"  # until it runs again
    node.do(node.executor.node_up, node_id)
    for job in ("job", "once"):
        add(client, f"after-{job}", job=job)
    node.settle()
    assert running(node) == ["after-once", PREPARE]


def test_a_node_that_died_and_came_back_is_not_prepared_whatever_the_job_says(node: LocalBatch) -> None:
    (node_id,) = node.node_ids()
    client = node.client()
    make(client, rerun_on_node_reboot_after_success=False)
    add(client, "t")
    node.settle()
    end(node, PREPARE)
    node.do(node.executor.node_state, node_id, NodeState.UNKNOWN, ("NodeDied", "gone"))
    node.do(node.executor.node_state, node_id, NodeState.STARTING)
    assert states(node, "t") == ["active"]
    node.do(node.executor.node_up, node_id)
    assert states(node, "t") == ["preparing"] and PREPARE in running(node)


def test_a_failed_preparation_bars_the_node_over_a_reboot_but_not_when_it_is_made_anew(node: LocalBatch) -> None:
    (node_id,) = node.node_ids()
    client = node.client()
    make(client)
    add(client, "t")
    node.settle()
    end(node, PREPARE, 1)
    reboot(node, node_id)
    node.do(node.executor.node_up, node_id)
    assert states(node, "t") == ["active"] and running(node) == []
    for state in (NodeState.UNKNOWN, NodeState.STARTING, NodeState.IDLE):
        node.do(node.executor.node_state, node_id, state)
    assert states(node, "t") == ["preparing"] and running(node) == [PREPARE]


def test_a_node_lost_while_it_is_prepared_is_prepared_when_it_is_back(nodes: LocalBatch) -> None:
    client = nodes.client()
    make(client)
    add(client, "t")
    nodes.settle()
    info = client.get_task("job", "t").node_info
    assert info is not None and info.node_id is not None
    nodes.run(nodes.executor.reboot_node(info.node_id))
    nodes.settle()
    moved = client.get_task("job", "t")
    assert moved.state == "preparing" and moved.node_info is not None and moved.node_info.node_id != info.node_id
    assert moved.execution_info is not None and moved.execution_info.requeue_count == 1
    nodes.do(nodes.executor.node_up, info.node_id)
    add(client, "u", affinity_info=models.BatchAffinityInfo(affinity_id=f"TVM:{info.node_id}"))
    nodes.settle()
    assert running(nodes) == [PREPARE, PREPARE]


def test_the_status_remembers_nodes_that_left(nodes: LocalBatch) -> None:
    client = nodes.client()
    make(client)
    add(client, "t")
    nodes.settle()
    end(nodes, PREPARE)
    end(nodes, "t")
    (one,) = status(nodes)
    assert one.node_id is not None
    client.begin_remove_nodes("pool", models.BatchNodeRemoveOptions(node_ids=[one.node_id])).wait()
    nodes.settle()
    (again,) = status(nodes)
    assert again.node_id == one.node_id
    terminate(nodes)
    assert client.get_job("job").state == "completed"
    assert again.job_release_task_execution_info is None
