"""kill -9 while something is under way: no accepted task is lost, none runs twice, none is left hanging."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable

import pytest
from azure.batch import models

from local.azure.batch.account.account import Account
from local.azure.batch.model import Ending
from local.azure.batch.model.states import TaskState
from local.azure.batch.scheduling import job_life, task_runs
from local.azure.batch.scheduling.turn import Turn
from local.node.contract import RunSpec
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, make_job


def lose_orders(local: LocalBatch) -> None:
    """Until the next start of the service no order reaches a node: it is killed before any is sent."""
    arrives = local.executor.start_run, local.executor.terminate_run, local._open

    async def lost(node_id: str, run: RunSpec | str) -> None:
        """Never sent."""

    def open_again() -> None:
        local.executor.start_run, local.executor.terminate_run = arrives[0], arrives[1]  # type: ignore[method-assign]
        arrives[2]()

    local.executor.start_run = local.executor.terminate_run = lost  # type: ignore[method-assign, assignment]
    local._open = open_again  # type: ignore[method-assign]


@pytest.mark.parametrize("verb", ["terminate", "delete", "terminate job", "delete job", "disable job"])
def test_a_task_that_was_being_ended_before_its_node_knew_of_it_is_not_left_hanging(
    node: LocalBatch, verb: str
) -> None:
    client = node.client()
    make_job(client)
    lose_orders(node)
    add(client, "t")
    node.settle()
    assert client.get_task("job", "t").state == "preparing" and node.executor.starts == []
    account = node.service.account("mybatch")
    assert account is not None
    job = account.state.jobs["job"]
    task = account.state.tasks(job)["t"]
    calls: dict[str, Callable[[Turn], None]] = {
        "terminate": lambda turn: task_runs.end_task(turn, task),
        "delete": lambda turn: task_runs.delete_task(turn, task),
        "terminate job": lambda turn: job_life.terminate(turn, job, "enough"),
        "delete job": lambda turn: job_life.delete(turn, job),
        "disable job": lambda turn: job_life.disable(turn, job, "terminate"),
    }
    node.do(account.scheduling.do, calls[verb])
    node.restart()
    client = node.client()
    assert node.executor.runs == {} and node.executor.starts == []  # it never ran, and never will
    states = {one.id: [task.state for task in client.list_tasks(one.id)] for one in client.list_jobs()}
    completed = {"terminate": ["completed"], "delete": [], "terminate job": ["completed"], "disable job": ["completed"]}
    assert states == ({} if verb == "delete job" else {"job": completed[verb]})


def test_a_deletion_that_was_only_begun_is_finished(node: LocalBatch) -> None:
    client = node.client()
    make_job(client)
    add(client, "t")
    node.settle()
    account = node.service.account("mybatch")
    assert account is not None
    task = account.state.tasks(account.state.jobs["job"])["t"]
    task.deleting = True
    node.do(account.scheduling.do, Turn.add, task)  # killed here, before the run was told to end
    node.restart()
    assert node.executor.runs == {} and list(node.client().list_tasks("job")) == []


@pytest.mark.parametrize("seed", range(int(os.environ.get("BATCH_KILLS", "2"))))
def test_kills_under_load_lose_double_and_hang_nothing(azure: LocalBatch, seed: int) -> None:
    chance = random.Random(seed)
    azure.pool(nodes=2, taskSlotsPerNode=4)
    client = azure.client()
    make_job(client)
    added: set[str] = set()
    for round_ in range(6):
        client = azure.client()
        names = [f"{round_}-{number}" for number in range(20)]
        client.create_task_collection(
            "job",
            models.BatchTaskGroup(
                task_values=[models.BatchTaskCreateOptions(id=one, command_line="x") for one in names]
            ),
        )
        added |= set(names)
        account = azure.service.account("mybatch")
        assert account is not None

        async def meanwhile(account: Account = account, steps: int = chance.randrange(60)) -> None:
            for _ in range(steps):
                await asyncio.sleep(0)
                running = [task for task in account.state.all_tasks() if task.on_node]
                if running and chance.random() < 0.2:
                    account.scheduling.do(task_runs.end_run, chance.choice(running), chance.choice(list(Ending)))

        azure.run(meanwhile())
        azure.stop()
        azure._open()
    azure.settle()
    tasks = {task.id: task for task in azure.client().list_tasks("job")}
    assert set(tasks) == added
    assert {task.state for task in tasks.values()} == {TaskState.COMPLETED.value}
    assert len(azure.executor.starts) == len(set(azure.executor.starts))
    assert azure.executor.runs == {}
