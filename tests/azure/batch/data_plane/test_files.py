"""Files of tasks and nodes through the SDK."""

from __future__ import annotations

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, make_job

FOLDER = "workitems/job/job-1/t"


@pytest.fixture
def running(manual: LocalBatch) -> LocalBatch:
    """A task that runs and has written something."""
    manual.pool(nodes=1)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    client = manual.client()
    make_job(client)
    add(client, "t", "waits")
    manual.settle()
    manual.do(manual.executor.begin, manual.executor.run_of("t"))
    node = manual.node_ids()[0]
    manual.executor.write(node, f"{FOLDER}/stdout.txt", b"0123456789")
    manual.executor.write(node, f"{FOLDER}/wd/a b/c.csv", b"x,y\n")
    return manual


def test_output_is_read_while_the_task_runs(running: LocalBatch) -> None:
    client = running.client()
    assert b"".join(client.download_task_file("job", "t", "stdout.txt")) == b"0123456789"
    properties = client.get_task_file_properties("job", "t", "stdout.txt")
    assert properties.content_length == 10
    node = running.node_ids()[0]
    assert b"".join(client.download_node_file("pool", node, f"{FOLDER}/stdout.txt")) == b"0123456789"


def test_a_range_is_answered_with_200(running: LocalBatch) -> None:
    statuses: list[int] = []
    data = running.client().download_task_file(
        "job",
        "t",
        "stdout.txt",
        ocp_range="bytes=2-4",
        raw_response_hook=lambda r: statuses.append(r.http_response.status_code),
    )
    assert b"".join(data) == b"234" and statuses == [200]
    with pytest.raises(HttpResponseError) as caught:
        b"".join(running.client().download_task_file("job", "t", "stdout.txt", ocp_range="bytes=10-"))
    assert caught.value.status_code == 416


def test_lists_are_relative_and_recursive_when_asked(running: LocalBatch) -> None:
    client = running.client()
    top = {file.name: file.is_directory for file in client.list_task_files("job", "t")}
    assert top == {"stderr.txt": False, "stdout.txt": False, "wd": True}
    deep = {file.name: file for file in client.list_task_files("job", "t", recursive=True)}
    assert set(deep) == {"stderr.txt", "stdout.txt", "wd", "wd/a b", "wd/a b/c.csv"}
    found = deep["wd/a b/c.csv"].properties
    assert found is not None and (found.content_length, found.content_type) == (4, "text/csv")
    assert b"".join(client.download_task_file("job", "t", "wd/a b/c.csv")) == b"x,y\n"


def test_what_is_not_there_is_said_so(running: LocalBatch) -> None:
    client = running.client()
    with pytest.raises(ResourceNotFoundError) as caught:
        client.download_task_file("job", "t", "nothing.txt")
    assert caught.value.reason == "The specified file does not exist."
    with pytest.raises(ResourceExistsError) as conflict:
        list(client.list_task_files("job", "waits"))
    assert conflict.value.error is not None and conflict.value.error.code == "TaskFilesUnavailable"


def test_a_path_never_leaves_the_tasks_folder(running: LocalBatch) -> None:
    running.executor.write(running.node_ids()[0], "startup/stdout.txt", b"other")
    with pytest.raises(ResourceNotFoundError):
        running.client().download_task_file("job", "t", "../../../../startup/stdout.txt")


def test_files_are_deleted(running: LocalBatch) -> None:
    client = running.client()
    with pytest.raises(ResourceExistsError):
        client.delete_task_file("job", "t", "wd")
    client.delete_task_file("job", "t", "wd", recursive=True)
    assert {file.name for file in client.list_task_files("job", "t")} == {"stderr.txt", "stdout.txt"}


def test_files_of_a_node_that_is_gone_are_unavailable(running: LocalBatch) -> None:
    client = running.client()
    running.do(running.executor.end, running.executor.run_of("t"), 0)
    client.terminate_task("job", "waits")
    client.begin_resize_pool("pool", models.BatchPoolResizeOptions(target_dedicated_nodes=0)).wait()
    running.settle()
    with pytest.raises(ResourceExistsError, match="not in the pool any more"):
        client.download_task_file("job", "t", "stdout.txt")
