"""Who gives way to whom: preemption by priority, `force`, and files whose time is over."""

from __future__ import annotations

from datetime import timedelta

from azure.batch import models
from azure.core.rest import HttpRequest

from local.azure.batch.decisions.scheduler import Line, Preemptible, Room, Waiting, preempt
from testbeds.batch_service import LocalBatch
from tests.azure.batch.scheduling.job_tasks import make
from tests.azure.batch.sdk import add, make_job


def test_the_lowest_priority_goes_first_and_only_as_much_as_is_needed() -> None:
    running = [Preemptible("a", "n", 1, 0), Preemptible("b", "n", 1, 5), Preemptible("c", "n", 2, 9)]
    rooms = [Room("n", 4, 4)]
    assert preempt([Line("high", [Waiting("t")], 10)], rooms, running) == ["a"]
    assert preempt([Line("high", [Waiting("t", 2)], 10)], rooms, running) == ["a", "b"]
    assert preempt([Line("high", [Waiting("t", 2)], 5)], rooms, running) == []  # 1 slot of a lower priority only
    assert preempt([Line("high", [Waiting("t")], 10, limit=1, running=1)], rooms, running) == []
    assert preempt([Line("high", [Waiting("t")], 10)], [Room("n", 4, 3)], running) == []  # a slot gets free anyhow


def test_tasks_of_a_job_that_allows_it_are_requeued_for_a_higher_priority(node: LocalBatch) -> None:
    client = node.client()
    make_job(client, "low", allow_task_preemption=True)
    add(client, "a", "b", job="low")
    node.settle()
    make_job(client, "high", priority=10)
    add(client, "urgent", job="high")
    node.settle()
    assert client.get_task("high", "urgent").state == "preparing"
    requeued = [client.get_task("low", one).execution_info for one in ("a", "b")]
    assert sorted(info.requeue_count for info in requeued if info) == [0, 1]
    make_job(client, "firm")
    add(client, "c", job="firm")
    node.settle()
    assert len(node.executor.runs) == 2  # equal priority moves nobody


def test_a_job_that_does_not_allow_it_keeps_its_nodes(node: LocalBatch) -> None:
    client = node.client()
    make_job(client, "low")
    add(client, "a", "b", job="low")
    node.settle()
    make_job(client, "high", priority=10)
    add(client, "urgent", job="high")
    node.settle()
    assert client.get_task("high", "urgent").state == "active"


def deaf(local: LocalBatch) -> None:
    """Nodes that do not end what they shall."""

    async def silent(node_id: str, run_id: str) -> None:
        """The order does not arrive."""

    local.executor.terminate_run = silent  # type: ignore[method-assign]


def test_a_forced_deletion_does_not_wait_for_the_nodes(node: LocalBatch) -> None:
    client = node.client()
    make(client)
    add(client, "t")
    node.settle()
    node.do(node.executor.end, node.executor.run_of("jobpreparation"), 0)
    deaf(node)
    address = f"{node.endpoint()}/jobs/job?api-version=2025-06-01"
    assert client.send_request(HttpRequest("DELETE", address)).status_code == 202
    node.settle()
    assert client.get_job("job").state == "deleting"
    assert client.send_request(HttpRequest("DELETE", f"{address}&force=true")).status_code == 202
    node.settle()
    assert list(client.list_jobs()) == []


def test_a_forced_end_completes_the_tasks_at_once(node: LocalBatch) -> None:
    client = node.client()
    make_job(client)
    add(client, "t")
    node.settle()
    deaf(node)
    client.begin_terminate_job("job", {"terminateReason": "now"}, force=True).wait()  # type: ignore[arg-type]
    assert client.get_job("job").state == "completed"
    info = client.get_task("job", "t").execution_info
    assert info is not None and info.failure_info is not None and info.failure_info.code == "TaskEnded"


def test_a_tasks_files_go_when_their_time_is_over(clocked: LocalBatch) -> None:
    clocked.pool(nodes=1)
    client = clocked.client()
    make_job(client)
    keep = models.BatchTaskConstraints(retention_time=timedelta(minutes=5))
    add(client, "short", constraints=keep)
    add(client, "long")
    clocked.settle()
    clocked.restart()
    clocked.advance(minutes=4)
    folders = {
        path.split("/")[3] for path in clocked.executor.files[clocked.node_ids()[0]] if path.startswith("workitems")
    }
    assert folders == {"short", "long"}
    clocked.advance(minutes=1)
    folders = {
        path.split("/")[3] for path in clocked.executor.files[clocked.node_ids()[0]] if path.startswith("workitems")
    }
    assert folders == {"long"}
