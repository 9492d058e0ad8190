"""The process executor with a real agent process."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.azure.platform.certificates import ensure_authority
from local.node.cleanup import remaining
from local.node.contract import Executor, NodeState, NodeUnreachable, RunSpec
from local.node.process_executor import WARNING, ProcessExecutor, agent_pid
from local.node.relay import NodeRelay
from local.paths import Paths
from tests.node.events import Events
from tests.node.specs import NODE, fake_imds, run


async def test_a_process_node_lives_through_a_restart_of_the_local_azure_and_ends_with_its_removal(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Paths, "sockets", property(lambda self: runtime))
    paths = Paths(tmp_path)
    paths.ensure()
    ensure_authority(paths)
    words: list[str] = []
    first: Executor = ProcessExecutor(paths, NodeRelay(range(0), fake_imds), progress=words.append)
    assert words == [WARNING]
    events = Events()
    await first.open(events)
    await first.create_node(NODE)
    await events.node(NodeState.IDLE)
    spec: RunSpec = run("r", "sh -c 'echo $AZ_BATCH_TASK_WORKING_DIR'")
    await first.start_run(NODE.node_id, spec)
    await events.ended("r")
    await first.close()

    second, later = ProcessExecutor(paths, NodeRelay(range(0), fake_imds)), Events()
    await second.open(later)
    assert (await later.ended("r")).exit_code == 0
    pieces = second.read_file(NODE.node_id, f"{spec.directory}/stdout.txt", 0, None)
    assert b"".join([piece async for piece in pieces]).decode().strip().endswith(f"tasks/{spec.directory}/wd")
    with pytest.raises(NodeUnreachable):
        second.remote_login(NODE.node_id)
    pid = agent_pid(next((runtime / "processes").iterdir()))
    assert pid is not None
    assert f"process {pid}" in remaining(paths)
    await second.delete_node(NODE.node_id)
    assert f"process {pid}" not in remaining(paths)
    with pytest.raises(NodeUnreachable):
        await second.start_run(NODE.node_id, spec)
    await second.close()
    assert not (runtime / "processes").exists() or list((runtime / "processes").iterdir()) == []
