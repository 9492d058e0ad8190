"""Tasks through the SDK: adding, running, failing, retrying, ending."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.rest import HttpRequest

from local.node.contract import FailureInfo
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, make_job


@pytest.fixture
def one_node(manual: LocalBatch) -> LocalBatch:
    """A pool with one node that is up, and a job."""
    manual.pool(nodes=1)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    make_job(manual.client())
    return manual


def test_a_collection_reports_each_task_with_capitalised_status(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client)
    body = {"value": [{"id": "a", "commandLine": "x"}, {"id": "A", "commandLine": "x"}, {"id": "b", "colour": 1}]}
    request = HttpRequest(
        "POST", f"{azure.endpoint()}/jobs/job/addtaskcollection?api-version=2024-02-01.19.0", json=body
    )
    response = client.send_request(request)
    assert response.status_code == 200
    results = response.json()["value"]
    assert [result["status"] for result in results] == ["Success", "ClientError", "ClientError"]
    assert [result.get("error", {}).get("code") for result in results] == [None, "TaskExists", "InvalidRequestBody"]
    assert results[0]["location"] == f"{azure.endpoint()}/jobs/job/tasks/a"


def test_a_collection_has_at_most_100_tasks_and_one_mebibyte(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client)
    many = [models.BatchTaskCreateOptions(id=f"t{number}", command_line="x") for number in range(101)]
    with pytest.raises(HttpResponseError) as caught:
        client.create_task_collection("job", models.BatchTaskGroup(task_values=many))
    assert caught.value.status_code == 413
    big = [models.BatchTaskCreateOptions(id="big", command_line="x" * 1_100_000)]
    with pytest.raises(HttpResponseError) as caught:
        client.create_task_collection("job", models.BatchTaskGroup(task_values=big))
    assert caught.value.error is not None and caught.value.error.code == "RequestBodyTooLarge"


def test_the_sdks_bulk_helper_adds_and_counts_come_out_right(azure: LocalBatch) -> None:
    azure.pool(nodes=2, taskSlotsPerNode=4)
    client = azure.client()
    make_job(client)
    client.create_tasks(
        "job", [models.BatchTaskCreateOptions(id=f"t{number:03}", command_line="x") for number in range(250)]
    )
    azure.settle()
    counts = client.get_job_task_counts("job").task_counts
    assert (counts.completed, counts.succeeded, counts.active, counts.failed) == (250, 250, 0, 0)
    assert len(list(client.list_tasks("job", max_results=100, select=["id", "state"]))) == 250


def test_a_failing_task_shows_the_services_failure_information(one_node: LocalBatch) -> None:
    client = one_node.client()
    add(client, "t")
    one_node.settle()
    run = one_node.executor.run_of("t")
    one_node.do(one_node.executor.begin, run)
    assert client.get_task("job", "t").state == "running"
    one_node.do(one_node.executor.end, run, 3)
    task = client.get_task("job", "t").execution_info
    assert task is not None and task.exit_code == 3 and task.result == "failure"
    assert task.failure_info is not None
    assert (task.failure_info.category, task.failure_info.code) == ("UserError", "FailureExitCode")
    assert task.failure_info.message == "The task exited with an exit code representing a failure"


def test_a_failing_task_is_retried_as_often_as_it_may(one_node: LocalBatch) -> None:
    client = one_node.client()
    add(client, "t", constraints=models.BatchTaskConstraints(max_task_retry_count=1))
    one_node.settle()
    one_node.do(one_node.executor.end, one_node.executor.run_of("t"), 1)
    task = client.get_task("job", "t")
    assert task.state == "preparing" and task.execution_info is not None and task.execution_info.retry_count == 1
    one_node.do(one_node.executor.end, one_node.executor.run_of("t"), 1)
    assert client.get_task("job", "t").state == "completed"
    assert len(set(one_node.executor.starts)) == 2


def test_an_upload_failure_is_passed_through_and_not_retried(one_node: LocalBatch) -> None:
    client = one_node.client()
    add(client, "t", constraints=models.BatchTaskConstraints(max_task_retry_count=3))
    one_node.settle()
    failure = FailureInfo(category="usererror", code="FileUploadContainerNotFound", message="One of the files ...")
    one_node.do(one_node.executor.end, one_node.executor.run_of("t"), 0, failure)
    info = client.get_task("job", "t").execution_info
    assert info is not None and info.failure_info is not None
    assert (info.failure_info.code, info.retry_count, info.result) == ("FileUploadContainerNotFound", 0, "failure")


def test_a_running_task_is_terminated_on_its_node(one_node: LocalBatch) -> None:
    client = one_node.client()
    add(client, "t", "u")
    one_node.settle()
    client.terminate_task("job", "u")
    client.terminate_task("job", "t")
    one_node.settle()
    for name in ("t", "u"):
        info = client.get_task("job", name).execution_info
        assert info is not None and info.failure_info is not None and info.failure_info.code == "TaskEnded"
    assert len(one_node.executor.terminated) == 1
    with pytest.raises(ResourceExistsError) as caught:
        client.terminate_task("job", "t")
    assert caught.value.error is not None and caught.value.error.code == "TaskCompleted"


def test_a_task_cannot_be_edited_but_its_constraints_can(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client)
    add(client, "t")
    task = client.get_task("job", "t")
    task.constraints = models.BatchTaskConstraints(max_task_retry_count=4)
    client.replace_task("job", "t", task)
    constraints = client.get_task("job", "t").constraints
    assert constraints is not None and constraints.max_task_retry_count == 4
    request = HttpRequest(
        "PUT",
        f"{azure.endpoint()}/jobs/job/tasks/t?api-version=2025-06-01",
        content=json.dumps({"commandLine": "other"}),
    )
    with pytest.raises(HttpResponseError, match="a task cannot be edited") as caught:
        client.send_request(request)
    assert caught.value.status_code == 400


def test_a_task_is_reactivated_only_while_its_node_lives_and_it_failed(one_node: LocalBatch) -> None:
    client = one_node.client()
    add(client, "good", "bad")
    one_node.settle()
    with pytest.raises(ResourceExistsError) as caught:
        client.reactivate_task("job", "bad")
    assert caught.value.error is not None and caught.value.error.code == "TaskNotCompleted"
    one_node.do(one_node.executor.end, one_node.executor.run_of("good"), 0)
    one_node.do(one_node.executor.end, one_node.executor.run_of("bad"), 2)
    with pytest.raises(ResourceExistsError) as caught:
        client.reactivate_task("job", "good")
    assert caught.value.error is not None and caught.value.error.code == "TaskSucceeded"
    client.reactivate_task("job", "bad")
    one_node.settle()
    task = client.get_task("job", "bad")
    assert task.state == "preparing" and task.execution_info is not None and task.execution_info.exit_code is None
    one_node.do(one_node.executor.end, one_node.executor.run_of("bad"), 2)
    one_node.pool(nodes=0)
    one_node.settle()
    with pytest.raises(ResourceExistsError, match="not in the pool any more"):
        client.reactivate_task("job", "bad")


def test_a_deleted_task_is_gone_with_its_files(one_node: LocalBatch) -> None:
    client = one_node.client()
    add(client, "t")
    one_node.settle()
    client.delete_task("job", "t")
    with pytest.raises(ResourceNotFoundError):
        client.get_task("job", "t")
    one_node.settle()
    assert one_node.executor.files[one_node.node_ids()[0]] == {}
    add(client, "t")


def test_a_container_pool_fails_a_task_without_container_settings(azure: LocalBatch) -> None:
    azure.pool(containers=True)
    client = azure.client()
    make_job(client)
    add(client, "host")
    add(client, "contained", container_settings=models.BatchTaskContainerSettings(image_name="busybox"))
    azure.settle()
    host = client.get_task("job", "host").execution_info
    assert host is not None and host.failure_info is not None and host.exit_code is None
    assert host.failure_info.code == "ContainerTaskSettingsNotFound"
    contained = client.get_task("job", "contained").execution_info
    assert contained is not None and contained.result == "success"
    assert len(azure.executor.starts) == 1


def test_the_environment_is_batchs_the_jobs_and_the_tasks(one_node: LocalBatch) -> None:
    client = one_node.client()
    setting = models.EnvironmentSetting
    make_job(
        client,
        "with-env",
        common_environment_settings=[setting(name="LEVEL", value="info"), setting(name="KEPT", value="yes")],
    )
    add(client, "t", job="with-env", environment_settings=[setting(name="LEVEL", value="debug")])
    one_node.settle()
    _, run = one_node.executor.runs[one_node.executor.run_of("t")]
    assert run.environment["LEVEL"] == "debug" and run.environment["KEPT"] == "yes"
    assert run.environment["AZ_BATCH_ACCOUNT_URL"] == one_node.endpoint()
    assert run.environment["AZ_BATCH_TASK_WORKING_DIR"] == "/mnt/batch/tasks/workitems/with-env/job-1/t/wd"
    assert run.environment["AZ_BATCH_TASK_USER_IDENTITY"] == "PoolNonAdmin"
    assert run.directory == "workitems/with-env/job-1/t"


def test_limits_and_files_reach_the_node(one_node: LocalBatch) -> None:
    client = one_node.client()
    destination = models.OutputFileDestination(
        container=models.OutputFileBlobContainerDestination(
            container_url="https://127.0.0.1:1/job-x",
            path="p",
            identity_reference=models.BatchNodeIdentityReference(resource_id="/nobody"),
        )
    )
    output = models.OutputFile(
        file_pattern="../std*.txt",
        destination=destination,
        upload_options=models.OutputFileUploadConfiguration(upload_condition="taskcompletion"),
    )
    limits = models.BatchTaskConstraints(max_wall_clock_time=timedelta(minutes=5))
    add(client, "t", output_files=[output], constraints=limits)
    one_node.settle()
    _, run = one_node.executor.runs[one_node.executor.run_of("t")]
    assert run.max_wall_clock_seconds == 300
    assert run.output_files[0].file_pattern == "../std*.txt"
    assert run.output_files[0].identity_client_id == "00000000-0000-0000-0000-000000000000"
    shown = client.get_task("job", "t").output_files
    assert shown is not None and shown[0].destination.container is not None
