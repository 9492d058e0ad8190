"""A node's life on an agent in this process: start task, reboot, stop."""

from __future__ import annotations

from local.node.contract import NodeChanged, NodeState, RunSpec
from tests.node.local_node import LocalNodes
from tests.node.specs import run

START = RunSpec(run_id="start", directory="startup", command_line="sh -c 'echo $AZ_BATCH_NODE_ID; echo oops >&2'")
FAILING = RunSpec(run_id="start", directory="startup", command_line="sh -c 'echo x >> tries; exit 7'")


async def test_the_start_tasks_output_is_kept_and_its_end_reported(local_nodes: LocalNodes) -> None:
    node = await local_nodes.boot(start_task=START)
    idle = await node.events.node(NodeState.IDLE)
    assert (node.root / "startup/stdout.txt").read_text() == "tvm-1\n"
    assert (node.root / "startup/stderr.txt").read_text() == "oops\n"
    assert idle.start_task_exit_code == 0
    assert idle.start_task_started is not None and idle.start_task_ended is not None


async def test_a_failing_start_task_is_retried_then_fails_the_node_with_evidence(local_nodes: LocalNodes) -> None:
    node = await local_nodes.boot(start_task=FAILING, start_task_retries=2)
    failed = await node.events.node(NodeState.START_TASK_FAILED)
    assert (node.root / "startup/wd/tries").read_text() == "x\nx\nx\n"
    assert (failed.start_task_exit_code, failed.start_task_retries) == (7, 2)
    assert failed.start_task_failure is not None
    assert failed.start_task_failure.code == "FailureExitCode"


async def test_where_the_pool_does_not_wait_a_failing_start_task_leaves_the_node_idle(local_nodes: LocalNodes) -> None:
    node = await local_nodes.boot(start_task=FAILING, start_task_wait=False)
    ended = await node.events.until(lambda event: getattr(event, "start_task_ended", None) is not None)
    assert isinstance(ended, NodeChanged)
    assert ended.state == NodeState.IDLE
    assert ended.start_task_failure is not None


async def test_a_start_task_that_is_no_program_fails_the_node(local_nodes: LocalNodes) -> None:
    node = await local_nodes.boot(start_task=RunSpec(run_id="s", directory="startup", command_line="cd /"))
    failed = await node.events.node(NodeState.START_TASK_FAILED)
    assert failed.start_task_failure is not None
    assert failed.start_task_failure.code == "CommandProgramNotFound"


async def test_runs_of_before_a_reboot_are_lost_and_the_start_task_runs_again(local_nodes: LocalNodes) -> None:
    counting = RunSpec(run_id="start", directory="startup", command_line="sh -c 'echo x >> boots'")
    first = await local_nodes.boot(start_task=counting)
    await first.events.node(NodeState.IDLE)
    await first.do(run("done", "true"))
    await first.nodes.start_run("tvm-1", run("long", "sleep 1000"))
    await first.events.started("long")
    await local_nodes.shut_down(first)
    second = await local_nodes.boot(start_task=counting)
    assert (await second.events.ended("long")).lost
    assert not (await second.events.ended("done")).lost
    await second.events.until(lambda event: getattr(event, "start_task_ended", None) is not None)
    assert (second.root / "startup/wd/boots").read_text() == "x\nx\n"


async def test_a_node_killed_without_a_word_reports_its_runs_lost_at_the_next_boot(local_nodes: LocalNodes) -> None:
    first = await local_nodes.boot()
    await first.events.node(NodeState.IDLE)
    journal = first.config.journal
    await first.nodes.start_run("tvm-1", run("victim", "sleep 1000"))
    await first.events.started("victim")
    as_killed = journal.read_bytes()
    await local_nodes.shut_down(first)
    journal.write_bytes(as_killed)
    second = await local_nodes.boot()
    assert (await second.events.ended("victim")).lost


async def test_every_boot_has_an_id_of_its_own_that_stays_until_the_next(local_nodes: LocalNodes) -> None:
    first = await local_nodes.boot(start_task=START)
    idle = await first.events.node(NodeState.IDLE)
    ids = {event.boot_id for event in first.events.all if isinstance(event, NodeChanged)}
    assert ids == {idle.boot_id} and idle.boot_id
    await local_nodes.shut_down(first)
    second = await local_nodes.boot(start_task=START)
    again = await second.events.until(lambda event: getattr(event, "boot_id", "") not in ("", idle.boot_id))
    assert isinstance(again, NodeChanged)
