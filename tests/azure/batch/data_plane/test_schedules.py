"""Job schedules, auto pools and job managers through the SDK, on a clock that the tests move."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from testbeds.batch_service import START, LocalBatch
from tests.azure.batch.sdk import add, code_of, details, machine, make_job

HOURLY = {"recurrence_interval": timedelta(hours=1)}


def schedule(client: BatchClient, times: dict[str, Any] | None = None, **specification: Any) -> None:
    given: dict[str, Any] = {"pool_info": models.BatchPoolInfo(pool_id="pool"), **specification}
    client.create_job_schedule(
        models.BatchJobScheduleCreateOptions(
            id="nightly",
            schedule=models.BatchJobScheduleConfiguration(**(times or {})),
            job_specification=models.BatchJobSpecification(**given),
        )
    )


def jobs(client: BatchClient) -> dict[str, str]:
    return {job.id: str(job.state.value) for job in client.list_jobs_from_schedule("nightly")}  # type: ignore[union-attr]


def end(local: LocalBatch, job_id: str) -> None:
    local.client().begin_terminate_job(job_id, {"terminateReason": "done"}).wait()  # type: ignore[arg-type]
    local.settle()


def auto_pool(lifetime: str = "job", **options: Any) -> models.BatchPoolInfo:
    pool = models.BatchPoolSpecification(
        vm_size="standard_d2s_v3", virtual_machine_configuration=machine(), target_dedicated_nodes=1
    )
    specification = models.BatchAutoPoolSpecification(pool_lifetime_option=lifetime, pool=pool, **options)
    return models.BatchPoolInfo(auto_pool_specification=specification)


def test_a_schedule_without_recurrence_makes_one_job_and_is_over_with_it(clocked: LocalBatch) -> None:
    client = clocked.client()
    schedule(client)
    assert jobs(client) == {"nightly:job-1": "active"}
    assert client.get_job("nightly:job-1").execution_info is not None
    end(clocked, "nightly:job-1")
    shown = client.get_job_schedule("NIGHTLY")
    assert shown.state == "completed" and shown.execution_info is not None
    assert shown.execution_info.end_time is not None and shown.execution_info.next_run_time is None
    assert shown.execution_info.recent_job is not None and shown.execution_info.recent_job.id == "nightly:job-1"


def test_a_recurring_schedule_makes_a_job_when_the_one_before_is_over(clocked: LocalBatch) -> None:
    client = clocked.client()
    schedule(client, HOURLY)
    clocked.advance(hours=2, minutes=1)
    assert jobs(client) == {"nightly:job-1": "active"}
    end(clocked, "nightly:job-1")
    assert jobs(client) == {"nightly:job-1": "completed", "nightly:job-2": "active"}
    info = client.get_job_schedule("nightly").execution_info
    assert info is not None and info.next_run_time == START + timedelta(hours=3)


def test_tasks_of_a_schedules_job_run_and_their_files_lie_in_its_folder(clocked: LocalBatch) -> None:
    clocked.pool(nodes=1)
    client = clocked.client()
    schedule(client, HOURLY)
    add(client, "t", job="nightly:job-1")
    clocked.settle()
    task = client.get_task("nightly:job-1", "t")
    assert task.state == "completed" and task.node_info is not None
    assert task.node_info.task_root_directory == "workitems/nightly/job-1/t"
    assert [file.name for file in client.list_task_files("nightly:job-1", "t")] == ["stderr.txt", "stdout.txt"]
    client.begin_delete_job("nightly:job-1").wait()
    clocked.settle()
    assert not [path for path in clocked.executor.files[clocked.node_ids()[0]] if path.startswith("workitems")]


def test_a_start_window_that_is_over_leaves_a_job_out(clocked: LocalBatch) -> None:
    client = clocked.client()
    schedule(client, {**HOURLY, "start_window": timedelta(minutes=10)})
    clocked.advance(hours=1, minutes=11)
    end(clocked, "nightly:job-1")
    assert jobs(client) == {"nightly:job-1": "completed"}
    clocked.advance(minutes=49)
    assert jobs(client)["nightly:job-2"] == "active"


def test_a_schedule_waits_for_its_first_time_and_ends_after_its_last(clocked: LocalBatch) -> None:
    client = clocked.client()
    times = {"do_not_run_until": START + timedelta(minutes=5), "do_not_run_after": START + timedelta(minutes=70)}
    schedule(client, {**HOURLY, **times})
    assert jobs(client) == {}
    clocked.advance(minutes=5)
    end(clocked, "nightly:job-1")
    clocked.advance(minutes=60)
    assert sorted(jobs(client)) == ["nightly:job-1", "nightly:job-2"]
    clocked.advance(minutes=60)
    assert client.get_job_schedule("nightly").state == "active"  # its job is not over
    end(clocked, "nightly:job-2")
    assert client.get_job_schedule("nightly").state == "completed"


def test_a_disabled_schedule_makes_no_job_until_it_is_enabled(clocked: LocalBatch) -> None:
    client = clocked.client()
    schedule(client, HOURLY)
    end(clocked, "nightly:job-1")
    client.disable_job_schedule("nightly")
    with pytest.raises(HttpResponseError) as caught:
        client.disable_job_schedule("nightly")
    assert code_of(caught) == (409, "JobScheduleDisabled")
    clocked.advance(hours=1)
    assert sorted(jobs(client)) == ["nightly:job-1"]
    client.enable_job_schedule("nightly")
    clocked.settle()
    assert jobs(client)["nightly:job-2"] == "active"


def test_terminating_ends_the_job_and_deleting_takes_all_jobs_along(clocked: LocalBatch) -> None:
    client = clocked.client()
    schedule(client, HOURLY)
    client.begin_terminate_job_schedule("nightly").wait()
    clocked.settle()
    assert client.get_job_schedule("nightly").state == "completed"
    info = client.get_job("nightly:job-1").execution_info
    assert info is not None and info.termination_reason == "TerminateJobSchedule"
    client.begin_delete_job_schedule("nightly").wait()
    clocked.settle()
    assert list(client.list_job_schedules()) == [] and list(client.list_jobs()) == []
    with pytest.raises(ResourceNotFoundError):
        client.job_schedule_exists("nightly")


def test_a_change_counts_for_the_jobs_that_come(clocked: LocalBatch) -> None:
    client = clocked.client()
    schedule(client, HOURLY, priority=1)
    info = models.BatchPoolInfo(pool_id="pool")
    change = models.BatchJobSpecification(pool_info=info, priority=7)
    client.update_job_schedule("nightly", models.BatchJobScheduleUpdateOptions(job_specification=change))
    end(clocked, "nightly:job-1")
    clocked.advance(hours=1)
    assert [client.get_job(f"nightly:job-{number}").priority for number in (1, 2)] == [1, 7]
    read = client.get_job_schedule("nightly")
    read.metadata = [models.BatchMetadataItem(name="a", value="b")]
    client.replace_job_schedule("nightly", read)
    again = client.get_job_schedule("nightly")
    assert again.metadata is not None and again.job_specification.priority == 7


def test_a_schedule_goes_on_after_a_restart(clocked: LocalBatch) -> None:
    client = clocked.client()
    schedule(client, HOURLY)
    end(clocked, "nightly:job-1")
    clocked.restart()
    clocked.advance(hours=1)
    assert jobs(clocked.client())["nightly:job-2"] == "active"


@pytest.mark.parametrize(
    ("times", "name"),
    [
        ({"recurrence_interval": timedelta(seconds=59)}, "recurrenceInterval"),
        ({"start_window": timedelta(seconds=1)}, "startWindow"),
        ({"do_not_run_after": START}, "doNotRunAfter"),
    ],
)
def test_times_that_cannot_be_are_refused(clocked: LocalBatch, times: dict[str, Any], name: str) -> None:
    with pytest.raises(HttpResponseError) as caught:
        schedule(clocked.client(), times)
    assert details(caught)["PropertyName"] == name


def test_an_auto_pool_comes_and_goes_with_its_job(clocked: LocalBatch) -> None:
    client = clocked.client()
    info = auto_pool(auto_pool_id_prefix="mine")
    client.create_job(models.BatchJobCreateOptions(id="job", pool_info=info))
    add(client, "t")
    clocked.settle()
    job = client.get_job("job")
    assert job.execution_info is not None and job.execution_info.pool_id is not None
    assert job.execution_info.pool_id.startswith("mine_") and job.pool_info.pool_id is None
    assert client.get_task("job", "t").state == "completed"
    assert [pool.id for pool in client.list_pools()] == [job.execution_info.pool_id]
    shown = job.pool_info.auto_pool_specification
    assert shown is not None and shown.keep_alive is False and shown.pool is not None
    assert (shown.pool.task_slots_per_node, shown.pool.target_dedicated_nodes) == (1, 1)
    end(clocked, "job")
    assert list(client.list_pools()) == []


def test_an_auto_pool_that_shall_be_kept_stays(clocked: LocalBatch) -> None:
    client = clocked.client()
    client.create_job(models.BatchJobCreateOptions(id="job", pool_info=auto_pool(keep_alive=True)))
    end(clocked, "job")
    assert len(list(client.list_pools())) == 1


def test_the_jobs_of_a_schedule_share_its_auto_pool(clocked: LocalBatch) -> None:
    client = clocked.client()
    schedule(client, HOURLY, pool_info=auto_pool("jobschedule"))
    (pool,) = client.list_pools()
    end(clocked, "nightly:job-1")
    clocked.advance(hours=1)
    info = client.get_job("nightly:job-2").execution_info
    assert info is not None and info.pool_id == pool.id and len(list(client.list_pools())) == 1
    client.begin_terminate_job_schedule("nightly").wait()
    clocked.settle()
    assert list(client.list_pools()) == []


@pytest.mark.parametrize(
    ("info", "name"),
    [
        (models.BatchPoolInfo(), "poolInfo"),
        (models.BatchPoolInfo(pool_id="pool", auto_pool_specification=auto_pool().auto_pool_specification), "poolInfo"),
        (auto_pool("jobschedule"), "poolLifetimeOption"),
        (auto_pool(auto_pool_id_prefix="x" * 21), "autoPoolIdPrefix"),
    ],
)
def test_a_job_names_one_pool_or_describes_one(clocked: LocalBatch, info: models.BatchPoolInfo, name: str) -> None:
    with pytest.raises(HttpResponseError) as caught:
        clocked.client().create_job(models.BatchJobCreateOptions(id="job", pool_info=info))
    assert caught.value.status_code == 400 and details(caught)["PropertyName"] == name


def test_a_job_manager_is_the_first_task_and_ends_its_job(node: LocalBatch) -> None:
    client = node.client()
    manager = models.BatchJobManagerTask(id="manager", command_line="manage")
    make_job(client, job_manager_task=manager)
    add(client, "other")
    node.settle()
    assert [run.task_id for _, run in node.executor.runs.values()] == ["manager"]  # exclusive, on a node of two slots
    shown = client.get_job("job").job_manager_task
    assert shown is not None and (shown.kill_job_on_completion, shown.run_exclusive) == (True, True)
    node.do(node.executor.end, node.executor.run_of("manager"), 0)
    job = client.get_job("job")
    assert job.state == "completed" and job.execution_info is not None
    assert job.execution_info.termination_reason == "JMComplete"


def test_a_job_manager_may_share_its_node_and_leave_the_job_active(node: LocalBatch) -> None:
    client = node.client()
    manager = models.BatchJobManagerTask(
        id="manager", command_line="manage", run_exclusive=False, kill_job_on_completion=False
    )
    make_job(client, job_manager_task=manager)
    add(client, "other")
    node.settle()
    assert sorted(run.task_id for _, run in node.executor.runs.values()) == ["manager", "other"]
    node.do(node.executor.end, node.executor.run_of("manager"), 0)
    assert client.get_job("job").state == "active"


def test_a_job_manager_that_wants_no_spot_node_waits_for_another(manual: LocalBatch) -> None:
    fixed = {"targetDedicatedNodes": 0, "targetLowPriorityNodes": 1}
    manual.pool(scaleSettings={"fixedScale": fixed})
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    client = manual.client()
    manager = models.BatchJobManagerTask(id="manager", command_line="manage", allow_low_priority_node=False)
    make_job(client, job_manager_task=manager)
    manual.settle()
    assert client.get_task("job", "manager").state == "active"
