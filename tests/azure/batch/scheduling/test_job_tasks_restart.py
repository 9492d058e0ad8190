"""Preparations and releases that a killed local Azure left behind."""

from __future__ import annotations

import pytest

from local.azure.batch.scheduling.turn import Turn
from local.node.contract import NodeState
from testbeds.batch_service import LocalBatch
from tests.azure.batch.scheduling.job_tasks import PREPARE, RELEASE, make, running, terminate
from tests.azure.batch.sdk import add, end, states


def test_a_preparation_and_the_tasks_that_wait_for_it_go_on_after_a_restart(node: LocalBatch) -> None:
    client = node.client()
    make(client)
    add(client, "a", "b")
    node.settle()
    run = node.executor.run_of(PREPARE)
    node.restart()
    assert states(node, "a", "b") == ["preparing", "preparing"]
    assert node.executor.starts == [run]
    end(node, PREPARE)
    assert running(node) == ["a", "b"]
    node.restart()
    assert running(node) == ["a", "b"] and len(node.executor.starts) == 3


@pytest.mark.parametrize(("code", "expected"), [(0, ["t"]), (1, [])])
def test_a_preparation_that_ended_meanwhile_is_picked_up(node: LocalBatch, code: int, expected: list[str]) -> None:
    client = node.client()
    make(client)
    add(client, "t")
    node.settle()
    run = node.executor.run_of(PREPARE)
    node.stop()
    node.executor.end(run, code)
    node._open()
    node.settle()
    assert running(node) == expected


def test_a_node_that_was_made_anew_meanwhile_is_not_taken_for_prepared(node: LocalBatch) -> None:
    (node_id,) = node.node_ids()
    client = node.client()
    make(client)
    add(client, "before")
    node.settle()
    end(node, PREPARE)
    end(node, "before")
    node.stop()
    node.executor.node_state(node_id, NodeState.STARTING)
    node.executor.node_up(node_id)
    node._open()
    add(node.client(), "after")
    node.settle()
    assert running(node) == [PREPARE]


def test_a_release_goes_on_after_a_restart_and_a_restart_alone_prepares_nothing_again(node: LocalBatch) -> None:
    client = node.client()
    make(client)
    add(client, "t")
    node.settle()
    end(node, PREPARE)
    end(node, "t")
    node.restart()
    assert running(node) == []
    terminate(node)
    run = node.executor.run_of(RELEASE)
    node.restart()
    assert node.executor.run_of(RELEASE) == run
    node.stop()
    node.executor.end(run, 0)
    node._open()
    node.settle()
    assert node.client().get_job("job").state == "completed"


def test_a_held_task_that_was_being_ended_is_ended_after_a_restart(node: LocalBatch) -> None:
    client = node.client()
    make(client)
    add(client, "t")
    node.settle()
    account = node.service.account("mybatch")
    assert account is not None
    task = account.state.tasks(account.state.jobs["job"])["t"]
    task.ending = type(task).from_json({**task.to_json(), "ending": "terminate"}).ending
    node.do(account.scheduling.do, Turn.add, task)
    node.restart()
    assert states(node, "t") == ["completed"]
