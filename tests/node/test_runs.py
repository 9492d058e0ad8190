"""Host commands on an agent in this process: the rules that need no isolation."""

from __future__ import annotations

import pytest

from local.node.contract import ActionRefused, ContainerSettings, RunEnded, UserAccount, UserIdentity
from tests.node.local_node import LocalNode, LocalNodes
from tests.node.specs import run


async def failure_code(node: LocalNode, run_id: str) -> str:
    failure = (await node.events.ended(run_id)).failure
    assert failure is not None
    return failure.code


async def test_the_command_line_is_not_parsed_by_a_shell(local_node: LocalNode) -> None:
    assert (
        await local_node.do(run("words", "echo a && hostname | wc > /tmp/x; $HOME"))
        == "a && hostname | wc > /tmp/x; $HOME\n"
    )


async def test_a_shell_is_had_by_asking_for_one(local_node: LocalNode) -> None:
    out = await local_node.do(
        run("shell", """/bin/sh -c 'echo "$GREETING" && pwd'""", environment={"GREETING": "hello"})
    )
    assert out == f"hello\n{local_node.root}/workitems/job/job-1/shell/wd\n"


async def test_the_command_sees_the_batch_variables(local_node: LocalNode) -> None:
    lines = (await local_node.do(run("env", "env"))).splitlines()
    assert f"AZ_BATCH_TASK_DIR={local_node.root}/workitems/job/job-1/env" in lines
    assert {"AZ_BATCH_NODE_ID=tvm-1", "AZ_BATCH_POOL_ID=pool", "AZ_BATCH_TASK_ID=env"} <= set(lines)


async def test_a_shell_builtin_is_no_program(local_node: LocalNode) -> None:
    await local_node.do(run("builtin", "cd /"))
    assert await failure_code(local_node, "builtin") == "CommandProgramNotFound"
    assert (await local_node.events.ended("builtin")).exit_code is None


async def test_another_exit_code_than_0_is_a_failure_in_the_services_words(local_node: LocalNode) -> None:
    await local_node.do(run("three", "sh -c 'exit 3'"))
    ended = await local_node.events.ended("three")
    assert (ended.exit_code, ended.failure and ended.failure.code) == (3, "FailureExitCode")


async def test_a_run_that_the_node_knows_is_not_run_again(local_node: LocalNode) -> None:
    spec = run("once", "sh -c 'echo x >> count'")
    await local_node.do(spec)
    await local_node.do(spec)
    await local_node.do(run("later", "true"))
    assert (local_node.root / spec.directory / "wd/count").read_text() == "x\n"
    assert sum(isinstance(one, RunEnded) and one.run_id == "once" for one in local_node.events.all) == 1


async def test_a_run_that_is_ended_before_it_came_is_reported_once_and_never_runs(local_node: LocalNode) -> None:
    for _ in range(2):
        await local_node.nodes.terminate_run("tvm-1", "early")
    ended = await local_node.events.ended("early")
    assert (ended.exit_code, ended.failure and ended.failure.code) == (None, "TaskEnded")
    await local_node.nodes.start_run("tvm-1", run("early", "sh -c 'echo x > ran'"))
    await local_node.do(run("later", "true"))
    assert not (local_node.root / "workitems/job/job-1/early").exists()
    assert sum(isinstance(one, RunEnded) and one.run_id == "early" for one in local_node.events.all) == 1


async def test_terminating_gives_the_command_a_signal_and_time_to_answer(local_node: LocalNode) -> None:
    spec = run("trap", "sh -c 'trap \"echo bye; exit 143\" TERM; echo ready; while :; do sleep 0.05; done'")
    await local_node.nodes.start_run("tvm-1", spec)
    await local_node.events.started("trap")
    await local_node.nodes.terminate_run("tvm-1", "trap")
    ended = await local_node.events.ended("trap")
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.message) == ("TaskEnded", "Task was ended by user request")
    assert ended.exit_code == 143


async def test_with_kill_there_is_no_time_to_answer(local_nodes: LocalNodes) -> None:
    node = await local_nodes.boot(terminate_with="kill")
    await node.nodes.start_run("tvm-1", run("kill", "sleep 1000"))
    await node.events.started("kill")
    await node.nodes.terminate_run("tvm-1", "kill")
    assert (await node.events.ended("kill")).exit_code == 137


async def test_a_run_longer_than_its_wall_clock_is_ended(local_node: LocalNode) -> None:
    await local_node.do(run("slow", "sleep 1000", max_wall_clock_seconds=0.1))
    ended = await local_node.events.ended("slow")
    assert ended.failure is not None
    assert (ended.failure.category, ended.failure.code) == ("servererror", "TaskEnded")


async def test_files_are_readable_while_the_command_runs(local_node: LocalNode) -> None:
    await local_node.nodes.start_run("tvm-1", run("talk", "sh -c 'echo early; mkfifo gate; read line < gate'"))
    await local_node.events.started("talk")
    gate = local_node.root / "workitems/job/job-1/talk/wd/gate"
    text = b""
    while text != b"early\n" or not gate.exists():
        pieces = local_node.nodes.read_file("tvm-1", "workitems/job/job-1/talk/stdout.txt", 0, None)
        text = b"".join([piece async for piece in pieces])
    gate.write_text("go\n")
    assert (await local_node.events.ended("talk")).exit_code == 0


async def test_files_that_are_not_there_are_told_as_such(local_node: LocalNode) -> None:
    with pytest.raises(FileNotFoundError):
        await local_node.nodes.stat_file("tvm-1", "startup/none")
    with pytest.raises(FileNotFoundError):
        _ = [piece async for piece in local_node.nodes.read_file("tvm-1", "../agent/journal.jsonl", 0, None)]


async def test_without_isolation_containers_and_users_are_refused_in_words(local_node: LocalNode) -> None:
    await local_node.do(run("box", "true", container=ContainerSettings(image="i")))
    assert await failure_code(local_node, "box") == "ContainerCreateFailed"
    await local_node.do(run("named", "true", user=UserIdentity(username="batchadmin")))
    assert await failure_code(local_node, "named") == "UserAccountNotFound"
    with pytest.raises(ActionRefused, match="use the docker executor"):
        await local_node.nodes.put_user("tvm-1", UserAccount(name="me"))
