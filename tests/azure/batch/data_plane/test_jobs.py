"""Jobs through the SDK: life, changes, refusals."""

from __future__ import annotations

from datetime import timedelta

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, make_job


def test_the_service_fills_in_its_defaults(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client)
    job = client.get_job("JOB")
    assert (job.id, job.state, job.priority, job.max_parallel_tasks) == ("job", "active", 0, -1)
    assert (job.all_tasks_complete_mode, job.task_failure_mode) == ("noaction", "noaction")
    assert job.execution_info is not None and job.execution_info.pool_id == "pool"
    assert job.url == f"{azure.endpoint()}/jobs/job"


def test_job_ids_are_unique_without_case(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client, "Job")
    with pytest.raises(ResourceExistsError) as caught:
        make_job(client, "jOB")
    assert caught.value.error is not None and caught.value.error.code == "JobExists"


def test_an_unknown_job_is_named_not_found(azure: LocalBatch) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        azure.client().get_job("nobody")
    assert caught.value.error is not None and caught.value.error.code == "JobNotFound"


def test_a_wrong_property_is_named_with_its_value(azure: LocalBatch) -> None:
    with pytest.raises(HttpResponseError) as caught:
        make_job(azure.client(), "has space")
    assert caught.value.status_code == 400
    details = {detail.code: detail.message for detail in caught.value.error.details}  # type: ignore[union-attr]
    assert (details["PropertyName"], details["PropertyValue"]) == ("id", "has space")


def test_a_patch_replaces_whole_sub_objects(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client, constraints=models.BatchJobConstraints(max_task_retry_count=5))
    limit = models.BatchJobConstraints(max_wall_clock_time=timedelta(hours=1))
    client.update_job("job", models.BatchJobUpdateOptions(constraints=limit))
    constraints = client.get_job("job").constraints
    assert constraints is not None
    assert (constraints.max_task_retry_count, constraints.max_wall_clock_time) == (0, timedelta(hours=1))


def test_a_job_that_was_read_can_be_sent_back_changed(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client, metadata=[models.BatchMetadataItem(name="a", value="b")])
    job = client.get_job("job")
    job.priority = 7
    client.replace_job("job", job)
    again = client.get_job("job")
    assert again.priority == 7 and again.metadata is not None and again.metadata[0].value == "b"


def test_a_stale_etag_is_refused(azure: LocalBatch) -> None:
    from azure.core import MatchConditions
    from azure.core.exceptions import ResourceModifiedError

    client = azure.client()
    make_job(client)
    etag = client.get_job("job").etag
    change = models.BatchJobUpdateOptions(priority=1)
    client.update_job("job", change, etag=etag, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError) as caught:
        client.update_job("job", change, etag=etag, match_condition=MatchConditions.IfNotModified)
    assert caught.value.status_code == 412


def test_terminating_ends_running_tasks_and_leaves_waiting_ones_active(manual: LocalBatch) -> None:
    manual.pool(nodes=1)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    client = manual.client()
    make_job(client)
    add(client, "runs", "waits")
    manual.settle()
    manual.do(manual.executor.begin, manual.executor.run_of("runs"))
    poller = client.begin_terminate_job("job", {"terminateReason": "enough"})  # type: ignore[arg-type]
    poller.wait()
    assert poller.status() == "Succeeded"
    job = client.get_job("job")
    assert job.state == "completed" and job.execution_info is not None
    assert job.execution_info.termination_reason == "enough"
    assert job.execution_info.end_time is not None
    ran = client.get_task("job", "runs").execution_info
    assert ran is not None and ran.failure_info is not None and ran.failure_info.code == "TaskEnded"
    assert client.get_task("job", "waits").state == "active"
    with pytest.raises(ResourceExistsError) as caught:
        add(client, "late")
    assert caught.value.error is not None and caught.value.error.code == "JobCompleted"


def test_deleting_waits_for_running_tasks_then_the_job_is_gone(manual: LocalBatch) -> None:
    manual.pool(nodes=1)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    client = manual.client()
    make_job(client)
    add(client, "runs")
    manual.settle()
    poller = client.begin_delete_job("job")
    poller.wait()
    assert poller.status() == "Succeeded"
    with pytest.raises(ResourceNotFoundError):
        client.get_job("job")
    manual.settle()
    assert not [path for path in manual.executor.files[manual.node_ids()[0]] if path.startswith("workitems")]


def test_a_disabled_job_requeues_its_tasks_and_runs_them_again_when_enabled(manual: LocalBatch) -> None:
    manual.pool(nodes=1)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    client = manual.client()
    make_job(client)
    add(client, "t")
    manual.settle()
    client.begin_disable_job("job", models.BatchJobDisableOptions(disable_tasks="requeue")).wait()
    assert client.get_job("job").state == "disabled"
    task = client.get_task("job", "t")
    assert task.state == "active" and task.execution_info is not None and task.execution_info.requeue_count == 1
    client.begin_enable_job("job").wait()
    manual.settle()
    assert client.get_job("job").state == "active"
    assert client.get_task("job", "t").state == "preparing"
    assert len(manual.executor.starts) == 2


def test_all_tasks_complete_ends_the_job_also_when_the_mode_comes_last(azure: LocalBatch) -> None:
    azure.pool()
    client = azure.client()
    make_job(client)
    add(client, "a", "b")
    azure.settle()
    assert client.get_job("job").state == "active"
    client.update_job("job", models.BatchJobUpdateOptions(all_tasks_complete_mode="terminatejob"))
    azure.settle()
    job = client.get_job("job")
    assert job.state == "completed" and job.execution_info is not None
    assert job.execution_info.termination_reason == "AllTasksComplete"


def test_a_job_created_to_end_with_its_tasks_takes_tasks_first(azure: LocalBatch) -> None:
    azure.pool()
    client = azure.client()
    make_job(client, all_tasks_complete_mode="terminatejob")
    assert client.get_job("job").state == "active"
    add(client, "only")
    azure.settle()
    assert client.get_job("job").state == "completed"


def test_a_job_can_wait_for_a_pool_that_comes_later(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client)
    add(client, "t")
    azure.settle()
    assert client.get_task("job", "t").state == "active"
    azure.pool()
    azure.settle()
    assert client.get_task("job", "t").state == "completed"


def test_lists_page_filter_and_select(azure: LocalBatch) -> None:
    client = azure.client()
    for number in range(5):
        make_job(client, f"job-{number}", priority=number)
    assert [job.id for job in client.list_jobs(max_results=2)] == [f"job-{number}" for number in range(5)]
    found = list(client.list_jobs(filter="priority ge 2 and not startswith(id, 'JOB-3')", select=["id"], max_results=1))
    assert [job.id for job in found] == ["job-2", "job-4"]
    assert "priority" not in found[0]
    with pytest.raises(HttpResponseError) as caught:
        list(client.list_jobs(filter="colour eq 'red'"))
    assert caught.value.status_code == 400
