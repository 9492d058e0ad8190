"""An image and a VM size change under 50 running tasks: the commands of `jobs` against the service, through the SDK.

The pool's new generation is made beside the old one; `pools drain` moves the jobs, and the old one is deleted.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from jobs.command.parser import parse
from jobs.errors import Refused
from jobs.exits import Exit
from jobs.service.connection import Connection, SharedKey
from jobs.session import Session
from jobs.terminal.render import Render
from testbeds.batch_service import IMAGE, LocalBatch
from tests.jobs.fakes import FakeClock, outputs

OLD, NEW = "default-9f3c", "default-1a2b"
SLOTS = 25
JOBS = {"first": 30, "second": 15, "third": 15}  # 50 tasks fit on the two nodes, 10 wait


class Generations:
    """The account with both generations, and the command line of `jobs`."""

    def __init__(self, local: LocalBatch) -> None:
        self.local = local
        self.clock = FakeClock()
        self.output = io.StringIO()
        local.account(allowedAuthenticationModes=["AAD", "SharedKey"])
        local.pool(OLD, nodes=2, taskSlotsPerNode=SLOTS, vmSize="STANDARD_D8S_V3")
        self.nodes_up()
        self.old_nodes = set(local.node_ids())
        self.client: BatchClient = local.client()
        for job, count in JOBS.items():
            info = models.BatchPoolInfo(pool_id=OLD)
            self.client.create_job(models.BatchJobCreateOptions(id=job, pool_info=info))
            tasks = [models.BatchTaskCreateOptions(id=f"t{number}", command_line="x") for number in range(count)]
            self.client.create_task_collection(job, models.BatchTaskGroup(task_values=tasks))
        local.settle()
        for run in list(local.executor.runs):
            local.do(local.executor.begin, run)
        machine = {"imageReference": {**IMAGE, "sku": "2204"}, "nodeAgentSkuId": "batch.node.ubuntu 22.04"}
        local.pool(
            NEW,
            nodes=2,
            taskSlotsPerNode=SLOTS,
            vmSize="STANDARD_D16S_V3",
            deploymentConfiguration={"virtualMachineConfiguration": machine},
        )
        self.nodes_up()

    def nodes_up(self) -> None:
        for node in self.local.node_ids():
            self.local.do(self.local.executor.node_up, node)

    def finish(self, most: int) -> None:
        """So many of the runs under way succeed."""
        for run in list(self.local.executor.runs)[:most]:
            self.local.do(self.local.executor.begin, run)
            self.local.do(self.local.executor.end, run, 0)

    def jobs(self, *words: str) -> Exit:
        key = self.local.key().named_key.key
        connection = Connection(
            batch_endpoint=self.local.endpoint(),
            credential=SharedKey(account="mybatch", key=key),
            outputs=outputs(),
            ca=self.local.paths.ca,
        )
        render = Render(out=io.StringIO(), err=self.output)
        session = Session(find_connection=lambda: connection, render=render, clock=self.clock)
        arguments = parse(list(words))
        return arguments.run(arguments, session)

    def states(self) -> dict[str, tuple[str | None, str | None]]:
        found = {
            job.id: (job.state, job.pool_info.pool_id if job.pool_info else None) for job in self.client.list_jobs()
        }
        return {name: found[name] for name in JOBS}

    def tasks(self) -> list[models.BatchTask]:
        return [task for job in JOBS for task in self.client.list_tasks(job)]


@pytest.fixture
def generations(manual: LocalBatch) -> Generations:
    made = Generations(manual)
    assert len(manual.executor.runs) == 50
    return made


def counts(tasks: list[models.BatchTask], of: Callable[[models.BatchTaskExecutionInfo], object]) -> set[object]:
    return {of(task.execution_info) for task in tasks if task.execution_info is not None}


def test_with_wait_no_task_is_ended_and_no_job_stranded(generations: Generations) -> None:
    g = generations
    g.clock.on_sleep = [lambda: g.finish(20), lambda: g.finish(30)]
    assert g.jobs("pools", "drain", OLD, "--yes") == Exit.OK
    assert g.states() == dict.fromkeys(JOBS, ("active", NEW))
    assert g.local.executor.terminated == []
    g.local.settle()
    assert len(g.local.executor.runs) == 10
    assert {node for node, _ in g.local.executor.runs.values()}.isdisjoint(g.old_nodes)
    g.client.begin_delete_pool(OLD).wait()
    g.local.settle()
    with pytest.raises(ResourceNotFoundError):
        g.client.get_pool(OLD)
    g.finish(10)
    tasks = g.tasks()
    assert counts(tasks, lambda info: info.result) == {"success"} and len(tasks) == 60
    assert counts(tasks, lambda info: (info.requeue_count, info.retry_count)) == {(0, 0)}
    assert not any(job.metadata for job in g.client.list_jobs())


def test_with_requeue_the_running_tasks_begin_again_on_the_new_generation(generations: Generations) -> None:
    g = generations
    g.clock.on_sleep = [g.local.settle] * 5
    assert g.jobs("pools", "drain", OLD, "--running", "requeue", "--yes") == Exit.OK
    assert g.states() == dict.fromkeys(JOBS, ("active", NEW))
    g.local.settle()
    assert len(g.local.executor.runs) == 50
    assert {node for node, _ in g.local.executor.runs.values()}.isdisjoint(g.old_nodes)
    g.finish(50)
    g.finish(10)
    tasks = g.tasks()
    assert counts(tasks, lambda info: info.result) == {"success"}
    assert counts(tasks, lambda info: info.retry_count) == {0}
    requeued = sum((task.execution_info.requeue_count or 0) for task in tasks if task.execution_info)
    assert 50 <= requeued <= 60  # the ten that waited may begin in the places of jobs that were disabled first


def test_jobs_evaluates_a_pools_formula_and_says_what_is_wrong(generations: Generations) -> None:
    g = generations
    automatic = {"formula": "$TargetDedicatedNodes = min(2, avg($PendingTasks.GetSample(TimeInterval_Minute, 100)));"}
    g.local.pool("auto", scaleSettings={"autoScale": automatic})
    with pytest.raises(Refused, match=r"InsufficientSampleData: Line 1, Col 36: .*wanted 100%, received 50%"):
        g.jobs("pools", "auto", "--evaluate")
    assert g.jobs("pools", "wait", "auto") == Exit.SERVICE
    assert "the autoscale formula cannot be evaluated: InsufficientSampleData" in g.output.getvalue()


def test_pools_wait_sees_the_service_as_it_is(generations: Generations) -> None:
    g = generations
    assert g.jobs("pools", "wait", OLD, NEW) == Exit.OK
    assert f"pool {OLD}: 2 of 2 nodes work (2 running)" in g.output.getvalue()


def test_a_pool_deleted_under_its_jobs_gives_their_tasks_back_and_strands_them(generations: Generations) -> None:
    """What the drain is for: Azure's own rule for a deleted pool."""
    g = generations
    g.client.begin_delete_pool(OLD).wait()
    g.local.settle()
    assert g.states() == dict.fromkeys(JOBS, ("active", OLD))
    assert {task.state for task in g.tasks()} == {"active"} and g.local.executor.runs == {}
    g.clock.on_sleep = [g.local.settle] * 5
    assert g.jobs("pools", "drain", OLD, "--yes") == Exit.OK
    g.local.settle()
    assert g.states() == dict.fromkeys(JOBS, ("active", NEW)) and len(g.local.executor.runs) == 50


def test_a_pool_may_be_named_anew_only_by_a_disabled_job(generations: Generations) -> None:
    client = generations.client
    for pool in (NEW, OLD):
        change = models.BatchJobUpdateOptions(pool_info=models.BatchPoolInfo(pool_id=pool))
        with pytest.raises(ResourceExistsError) as caught:
            client.update_job("first", change)
        assert caught.value.error is not None and caught.value.error.code == "JobNotDisabled"
    client.begin_disable_job("first", models.BatchJobDisableOptions(disable_tasks="wait"))
    assert client.get_job("first").state == "disabling"
    with pytest.raises(ResourceExistsError):
        client.update_job("first", change)
    generations.finish(50)
    assert client.get_job("first").state == "disabled"
    client.update_job("first", models.BatchJobUpdateOptions(pool_info=models.BatchPoolInfo(pool_id=NEW)))
    client.begin_enable_job("first").wait()
    assert generations.states()["first"] == ("active", NEW)
