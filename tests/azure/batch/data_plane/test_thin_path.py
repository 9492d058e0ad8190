"""Account, pool, job, task, run and files through the real SDK: the shortest way that has everything in it."""

from __future__ import annotations

from azure.batch import models

from testbeds.batch_service import LocalBatch


def test_a_task_runs_and_its_output_is_read(azure: LocalBatch) -> None:
    azure.pool(nodes=1)
    client = azure.client()
    client.create_job(models.BatchJobCreateOptions(id="job", pool_info=models.BatchPoolInfo(pool_id="pool")))
    client.create_task("job", models.BatchTaskCreateOptions(id="Task-1", command_line="date"))
    azure.settle()
    task = client.get_task("job", "task-1")
    assert task.state == models.BatchTaskState.COMPLETED
    assert task.execution_info is not None
    assert task.execution_info.exit_code == 0
    assert task.execution_info.result == models.BatchTaskExecutionResult.SUCCESS
    assert task.node_info is not None and task.node_info.node_id == azure.node_ids()[0]
    azure.executor.write(azure.node_ids()[0], "workitems/job/job-1/Task-1/stdout.txt", b"hello\n")
    assert b"".join(client.download_task_file("job", "task-1", "stdout.txt")) == b"hello\n"
    assert [file.name for file in client.list_task_files("job", "Task-1")] == ["stderr.txt", "stdout.txt"]
