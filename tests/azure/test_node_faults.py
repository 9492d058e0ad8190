"""What a pool and its tasks see of faults of nodes; the executor below is `noop`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError

from local.azure.batch.service import BatchService
from local.azure.control_plane.cloud import Cloud
from local.azure.node_faults import NodesWithFaults
from local.azure.platform.faults import Rule
from local.node.noop import NoopExecutor
from testbeds.batch_service import BATCH_DATA_CONTRIBUTOR, SUBMITTER, LocalBatch


class FaultyBatch(LocalBatch):
    """The Batch service over nodes with faults."""

    def _open(self) -> None:
        self.cloud = Cloud.open(self.paths, self.clock)
        self.service = BatchService(self.cloud, NodesWithFaults(self.executor, self.cloud.faults, self.cloud.clock))
        self.run(self.service.start())

    def fault(self, kind: str, **more: Any) -> int:
        return self.cloud.faults.set(Rule("nodes", kind, **more))


@pytest.fixture
def batch(tmp_path: Path) -> Iterator[FaultyBatch]:
    local = FaultyBatch(tmp_path / "home", automatic=False)
    account = local.account()
    local.grant(SUBMITTER, BATCH_DATA_CONTRIBUTOR, account.id)
    yield local
    local.close()


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def states(client: BatchClient) -> list[str]:
    return sorted(getattr(node.state, "value", "") for node in client.list_nodes("pool"))


def up(batch: FaultyBatch) -> BatchClient:
    """Two nodes that are idle, and a job."""
    batch.pool(nodes=2)
    for node in batch.node_ids():
        batch.do(batch.executor.node_up, node)
    client = batch.client()
    client.create_job(models.BatchJobCreateOptions(id="j", pool_info=models.BatchPoolInfo(pool_id="pool")))
    return client


def add(client: BatchClient, name: str) -> None:
    client.create_task("j", models.BatchTaskCreateOptions(id=name, command_line="true"))


@pytest.mark.parametrize(("kind", "state"), [("preempt", "preempted"), ("unusable", "unusable")])
def test_a_node_is_taken_at_once_and_its_task_runs_on_another(batch: FaultyBatch, kind: str, state: str) -> None:
    client = up(batch)
    add(client, "t")
    eventually(lambda: bool(batch.executor.runs))
    first = next(iter(batch.executor.runs))
    node = batch.executor.runs[first][0]
    batch.do(batch.executor.begin, first)
    batch.fault(kind, match=f"^now pool {node}$")
    eventually(lambda: state in states(client))
    eventually(lambda: any(one != first and where != node for one, (where, _) in batch.executor.runs.items()))
    batch.do(batch.executor.end, batch.executor.run_of("t"))
    assert client.get_task("j", "t").state == "completed"


def test_a_preempted_node_comes_back_when_there_is_capacity(batch: FaultyBatch) -> None:
    client = up(batch)
    node = batch.node_ids()[0]
    batch.fault("preempt", match=node, seconds=0.2)
    eventually(lambda: node not in batch.executor.nodes)
    eventually(lambda: node in batch.executor.nodes)
    batch.do(batch.executor.node_up, node)
    assert states(client) == ["idle", "idle"]


def test_a_node_that_is_killed_boots_again_and_its_run_is_lost(batch: FaultyBatch) -> None:
    client = up(batch)
    batch.fault("kill", match="^run pool .* j t$")
    add(client, "t")
    eventually(lambda: len(batch.executor.starts) == 2)
    add(client, "other")  # the fault has happened as often as it was to
    eventually(lambda: client.get_task("j", "t").execution_info.requeue_count == 1)  # type: ignore[union-attr]


@pytest.mark.parametrize(("kind", "code"), [("disk-full", "DiskFull"), ("pull-failed", "ContainerInvalidImage")])
def test_a_task_fails_on_its_node_by_rule(batch: FaultyBatch, kind: str, code: str) -> None:
    batch.pool(nodes=1, containers=True)
    batch.do(batch.executor.node_up, batch.node_ids()[0])
    client = batch.client()
    client.create_job(models.BatchJobCreateOptions(id="j", pool_info=models.BatchPoolInfo(pool_id="pool")))
    number = batch.fault(kind, match="^run .* bad$")
    for name in ("good", "bad"):
        settings = models.BatchTaskContainerSettings(image_name="busybox")
        client.create_task(
            "j", models.BatchTaskCreateOptions(id=name, command_line="true", container_settings=settings)
        )
        if name == "good":
            eventually(lambda: bool(batch.executor.runs))
            batch.do(batch.executor.begin, batch.executor.run_of("good"))
            batch.do(batch.executor.end, batch.executor.run_of("good"))
    eventually(lambda: client.get_task("j", "bad").state == "completed")
    bad = client.get_task("j", "bad").execution_info
    assert bad is not None and bad.failure_info is not None and bad.failure_info.code == code
    assert client.get_task("j", "good").execution_info.result == "success"  # type: ignore[union-attr]
    assert batch.cloud.faults.state()[number]["fired"] == 1


@pytest.mark.parametrize(("wait", "state"), [(True, "starttaskfailed"), (False, "idle")])
def test_a_start_task_fails_until_the_node_boots_again(batch: FaultyBatch, wait: bool, state: str) -> None:
    batch.fault("start-task-failed")
    batch.pool(nodes=1, startTask={"commandLine": "true", "waitForSuccess": wait})
    node = batch.node_ids()[0]
    batch.do(batch.executor.node_up, node)
    client = batch.client()
    found = client.get_node("pool", node)
    assert found.state == state
    assert found.start_task_info is not None and found.start_task_info.exit_code == 1
    if wait:
        client.begin_reboot_node("pool", node, {"nodeRebootOption": "requeue"})  # type: ignore[arg-type]
        eventually(lambda: batch.executor.states[node] == "starting")
        batch.do(batch.executor.node_up, node)
        assert states(client) == ["idle"]


def test_a_node_without_space_is_unusable_from_its_boot(batch: FaultyBatch) -> None:
    batch.fault("disk-full", match="^boot pool")
    batch.pool(nodes=1)
    node = batch.node_ids()[0]
    batch.do(batch.executor.node_up, node)
    found = batch.client().get_node("pool", node)
    assert found.state == "unusable"
    assert [error.code for error in found.errors or []] == ["DiskFull"]


def test_tasks_added_together_are_refused_in_part_and_lists_come_in_pages(batch: FaultyBatch) -> None:
    client = up(batch)
    tasks = [models.BatchTaskCreateOptions(id=f"t{number}", command_line="true") for number in range(4)]
    batch.cloud.faults.set(Rule("batch", "partial", match="create_task_collection"))
    results = client.create_task_collection("j", models.BatchTaskGroup(task_values=tasks))
    assert [str(one.status) for one in results.result_values] == ["Success", "ServerError"] * 2  # type: ignore[union-attr]
    batch.cloud.faults.set(Rule("batch", "partial", times=0, match="list_tasks"))
    pages = list(client.list_tasks("j").by_page())
    assert [len(list(page)) for page in pages] == [1, 1]


def test_the_data_plane_throttles_in_its_own_words(batch: FaultyBatch) -> None:
    client = up(batch)
    batch.cloud.faults.set(Rule("batch", "throttle", match="get_job", retry_after=4))
    with pytest.raises(HttpResponseError) as caught:
        client.get_job("j")
    answer: Any = caught.value.response
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "4")
    assert client.get_job("j").id == "j"


async def test_a_rule_for_a_node_that_is_gone_does_no_harm() -> None:
    from datetime import UTC, datetime

    from local.azure.platform.clock import ManualClock
    from local.azure.platform.faults import Faults
    from local.node.contract import NodeSpec

    inner, faults = NoopExecutor(), Faults()
    nodes = NodesWithFaults(inner, faults, ManualClock(datetime.now(UTC)))
    await nodes.open(lambda event: None)
    await nodes.create_node(NodeSpec(node_id="n", pool_id="p", account_name="a", account_url="u"))
    await inner.delete_node("n")
    faults.set(Rule("nodes", "kill", match="n"))
    await asyncio.sleep(0.05)
    await nodes.close()
