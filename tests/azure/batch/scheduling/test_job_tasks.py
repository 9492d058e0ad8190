"""Job preparation and release tasks: what is refused, their status and their files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError, ResourceExistsError

from testbeds.batch_service import LocalBatch
from tests.azure.batch.scheduling.job_tasks import PREPARE, RELEASE, make, status, terminate
from tests.azure.batch.sdk import add, code_of, make_job


def test_their_ids_are_taken(azure: LocalBatch) -> None:
    client = azure.client()
    make(client)
    for task, code in (("JobPreparation", "TaskIdSameAsJobPreparationTask"), (RELEASE, "TaskIdSameAsJobReleaseTask")):
        with pytest.raises(ResourceExistsError) as refused:
            add(client, task)
        assert code_of(refused) == (409, code)


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ({"job_release_task": models.BatchJobReleaseTask(command_line="x")}, "needs a preparation task"),
        (
            {
                "job_preparation_task": models.BatchJobPreparationTask(id="same", command_line="x"),
                "job_release_task": models.BatchJobReleaseTask(id="SAME", command_line="x"),
            },
            "the preparation task's id",
        ),
        (
            {
                "job_preparation_task": models.BatchJobPreparationTask(command_line="x"),
                "job_release_task": models.BatchJobReleaseTask(
                    command_line="x", max_wall_clock_time=timedelta(minutes=16)
                ),
            },
            "at most 15 minutes",
        ),
    ],
)
def test_a_release_that_cannot_be_is_refused(azure: LocalBatch, tasks: dict[str, Any], words: str) -> None:
    with pytest.raises(HttpResponseError, match=words) as refused:
        make_job(azure.client(), **tasks)
    assert code_of(refused) == (400, "InvalidPropertyValue")


def test_a_job_without_preparation_has_no_status(azure: LocalBatch) -> None:
    make_job(azure.client())
    with pytest.raises(ResourceExistsError) as refused:
        status(azure)
    assert code_of(refused) == (409, "JobPreparationTaskOrReleaseTaskNotSpecified")


def test_the_status_is_filtered_selected_and_paged(azure: LocalBatch) -> None:
    azure.pool(nodes=3)
    client = azure.client()
    make(client)
    assert status(azure) == []
    add(client, "a", "b", "c")
    azure.settle()
    terminate(azure)
    whole = status(azure, max_results=1)
    assert {one.node_id for one in whole} <= set(azure.node_ids()) and len(whole) >= 1
    one = whole[0]
    assert one.node_url == f"{azure.endpoint()}/pools/pool/nodes/{one.node_id}" and one.pool_id == "pool"
    for info, name in (
        (one.job_preparation_task_execution_info, PREPARE),
        (one.job_release_task_execution_info, RELEASE),
    ):
        assert info is not None and info.task_root_directory == f"workitems/job/job-1/{name}"
        assert info.task_root_directory_url == f"{one.node_url}/files/{info.task_root_directory}"
    found = status(azure, filter=f"nodeId eq '{one.node_id}'", select=["nodeId"])
    assert [item.as_dict() for item in found] == [{"nodeId": one.node_id}]
    assert status(azure, filter="jobPreparationTaskExecutionInfo/exitCode ne 0") == []
    with pytest.raises(HttpResponseError):
        status(azure, filter="colour eq 'red'")


def test_its_files_are_the_nodes_files(node: LocalBatch) -> None:
    (node_id,) = node.node_ids()
    client = node.client()
    make(client)
    add(client, "t")
    node.settle()
    path = f"workitems/job/job-1/{PREPARE}/stdout.txt"
    node.executor.write(node_id, path, b"ready\n")
    assert b"".join(client.download_node_file("pool", node_id, path)) == b"ready\n"
