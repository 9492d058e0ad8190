"""Job preparation and job release on real nodes: files, failure, a node that dies, and a local Azure that does."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator

import pytest
from azure.batch import models
from azure.core.exceptions import ResourceNotFoundError

from tests.scenarios.checkout import Checkout
from tests.scenarios.deployed import rules_pool
from tests.scenarios.deployed.stack import Job, Stack
from tests.scenarios.machine import kill_all

pytestmark = pytest.mark.docker

PREPARE = """/bin/sh -c 'echo prepared > ready; echo x >> $AZ_BATCH_NODE_SHARED_DIR/$AZ_BATCH_JOB_ID; echo done'"""
RELEASE = """/bin/sh -c 'cat $AZ_BATCH_JOB_PREP_WORKING_DIR/ready; rm $AZ_BATCH_NODE_SHARED_DIR/$AZ_BATCH_JOB_ID'"""


@pytest.fixture(scope="module")
def pool(stack: Stack) -> Iterator[str]:
    """A host pool with one node of two slots; its id."""
    pool_id = f"prepared-{uuid.uuid4().hex[:8]}"
    rules_pool.create(stack, pool_id, start=rules_pool.START)
    stack.steady(pool_id, 1)
    yield pool_id
    rules_pool.delete(stack, pool_id)


def prepared_job(stack: Stack, pool_id: str, prepare: str = PREPARE) -> Job:
    return stack.job(
        f"prepared-{uuid.uuid4().hex[:8]}",
        pool_id,
        job_preparation_task=models.BatchJobPreparationTask(command_line=prepare),
        job_release_task=models.BatchJobReleaseTask(command_line=RELEASE),
    )


def status(stack: Stack, job: Job) -> list[models.BatchJobPreparationAndReleaseTaskStatus]:
    return list(stack.batch.list_job_preparation_and_release_task_status(job.id))


def preparation(stack: Stack, job: Job) -> models.BatchJobPreparationTaskExecutionInfo | None:
    """Of the one node, once it began."""
    found = status(stack, job)
    return found[0].job_preparation_task_execution_info if found else None


def node_text(stack: Stack, pool_id: str, path: str) -> str:
    (node,) = stack.nodes(pool_id)
    return b"".join(stack.batch.download_node_file(pool_id, str(node.id), path)).decode()


def test_a_node_is_prepared_once_for_all_tasks_and_released_when_the_job_ends(stack: Stack, pool: str) -> None:
    job = prepared_job(stack, pool)
    for task in ("one", "two", "three"):
        job.add(task, "/bin/sh -c 'cat $AZ_BATCH_JOB_PREP_WORKING_DIR/ready; ls $AZ_BATCH_JOB_PREP_DIR'")
    for task in ("one", "two", "three"):
        assert job.ended(task).out == "prepared\nstderr.txt\nstdout.txt\nwd\n"
    folder = f"workitems/{job.id}/job-1"
    assert node_text(stack, pool, f"{folder}/jobpreparation/stdout.txt") == "done\n"
    assert node_text(stack, pool, f"shared/{job.id}") == "x\n"
    stack.batch.begin_terminate_job(job.id, {"terminateReason": "enough"}).wait()  # type: ignore[arg-type]
    assert stack.batch.get_job(job.id).state == "completed"
    assert node_text(stack, pool, f"{folder}/jobrelease/stdout.txt") == "prepared\n"
    (one,) = status(stack, job)
    for info in (one.job_preparation_task_execution_info, one.job_release_task_execution_info):
        assert info is not None and (info.state, info.result, info.exit_code) == ("completed", "success", 0)


def test_where_the_preparation_fails_tasks_stay_active_with_evidence_and_other_jobs_run(
    stack: Stack, pool: str
) -> None:
    job = prepared_job(stack, pool, "/bin/sh -c 'echo why >&2; exit 9'")
    job.add("never", "/bin/true")
    info = stack.until(lambda: preparation(stack, job), lambda found: found and found.state == "completed", "prepared")
    assert info is not None and info.failure_info is not None
    assert (info.exit_code, info.failure_info.code, info.result) == (9, "FailureExitCode", "failure")
    assert node_text(stack, pool, f"{info.task_root_directory}/stderr.txt") == "why\n"
    other = stack.job(f"other-{uuid.uuid4().hex[:8]}", pool)
    assert other.run("runs", "/bin/true").code == 0
    assert job.task("never").state == "active"
    stack.batch.begin_terminate_job(job.id, {"terminateReason": "enough"}).wait()  # type: ignore[arg-type]
    assert stack.batch.get_job(job.id).state == "completed"
    assert [one.job_release_task_execution_info for one in status(stack, job)] == [None]


def test_a_node_that_dies_and_comes_back_is_prepared_again(stack: Stack, pool: str) -> None:
    job = prepared_job(stack, pool)
    assert job.run("before", "/bin/true").code == 0
    (node,) = stack.nodes(pool)
    job.add("long", "/bin/sleep 1000")
    job.in_state("long", "running")
    name = rules_pool.container_of(str(node.id))
    subprocess.run(["docker", "kill", name], check=True, capture_output=True)
    stack.until(lambda: job.task("long").execution_info, lambda info: info and info.requeue_count == 1, "requeued")
    job.in_state("long", "running")
    assert node_text(stack, pool, f"shared/{job.id}") == "x\nx\n"
    stack.batch.begin_delete_job(job.id).wait()
    steady = stack.until(
        lambda: [file.name for file in stack.batch.list_node_files(pool, str(node.id), recursive=True)],
        lambda names: not any(job.id in str(name) for name in names),
        "rid of the job's files",
    )
    assert "startup/stdout.txt" in steady


WAIT_FOR_GO = "until [ -e $AZ_BATCH_NODE_SHARED_DIR/$AZ_BATCH_TASK_ID ]; do sleep 0.1; done"
"""Until another job's task lets it go on."""


def test_a_killed_local_azure_goes_on_with_a_preparation_and_a_release(
    deployed: Checkout, stack: Stack, pool: str
) -> None:
    job = stack.job(
        f"prepared-{uuid.uuid4().hex[:8]}",
        pool,
        job_preparation_task=models.BatchJobPreparationTask(command_line=f"/bin/sh -c 'echo begun; {WAIT_FOR_GO}'"),
        job_release_task=models.BatchJobReleaseTask(command_line=f"/bin/sh -c 'echo begun; {WAIT_FOR_GO}'"),
    )
    helper = stack.job(f"helper-{uuid.uuid4().hex[:8]}", pool)
    folder = f"workitems/{job.id}/job-1"

    def outage_of(task: str) -> None:
        """Kill the local Azure while the task runs; the node goes on with it, and it ends once all is there again."""
        stack.until(lambda: begun(stack, pool, f"{folder}/{task}"), lambda text: text == "begun\n", f"{task} running")
        kill_all(deployed.processes())
        deployed.module("local", "start")
        assert helper.run(f"go-{task}", f"/bin/sh -c 'touch $AZ_BATCH_NODE_SHARED_DIR/{task}'").code == 0

    job.add("task", "/bin/echo ran")
    outage_of("jobpreparation")
    ended = job.ended("task")
    assert (ended.out, ended.execution.requeue_count, ended.execution.retry_count) == ("ran\n", 0, 0)
    stack.batch.begin_terminate_job(job.id, {"terminateReason": "enough"})  # type: ignore[arg-type]
    outage_of("jobrelease")
    stack.until(lambda: stack.batch.get_job(job.id).state, lambda state: state == "completed", "completed")
    (one,) = status(stack, job)
    for info in (one.job_preparation_task_execution_info, one.job_release_task_execution_info):
        assert info is not None and (info.result, info.exit_code) == ("success", 0)
        assert node_text(stack, pool, f"{info.task_root_directory}/stdout.txt") == "begun\n"


def begun(stack: Stack, pool_id: str, folder: str) -> str:
    """What a task wrote so far; nothing while it has no folder."""
    try:
        return node_text(stack, pool_id, f"{folder}/stdout.txt")
    except ResourceNotFoundError:
        return ""


def test_a_container_task_reads_what_was_prepared_on_its_host(stack: Stack) -> None:
    job = prepared_job(stack, stack.pool_id)
    mounts = [
        models.ContainerHostBatchBindMountEntry(source=source, is_read_only=True)
        for source in (models.ContainerHostDataPath.JOB_PREP, models.ContainerHostDataPath.TASK)
    ]
    settings = models.BatchTaskContainerSettings(
        image_name=stack.outputs["worker_image"],
        container_run_options="--rm --entrypoint /bin/sh",
        container_host_batch_bind_mounts=mounts,
    )
    ended = job.run("reads", "-c 'cat $AZ_BATCH_JOB_PREP_WORKING_DIR/ready'", container_settings=settings)
    assert (ended.code, ended.out) == (0, "prepared\n"), ended.err
    stack.batch.begin_delete_job(job.id).wait()
