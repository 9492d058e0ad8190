"""A node that dies is started again by the local Azure: at once, or when half a minute since the last time is over."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from local.node import docker_executor
from local.node.agent_client import AgentClient
from local.node.agent_nodes import KnownNode
from local.node.contract import NodeSpec
from local.node.docker_executor import DockerExecutor
from local.node.relay import NodeRelay
from local.paths import Paths
from tests.node.specs import fake_imds

PERIOD = 0.3  # seconds


class Revivals(DockerExecutor):
    """Without an engine: notes when a node would be started."""

    def __init__(self, paths: Paths) -> None:
        super().__init__(paths, NodeRelay(range(1, 2), fake_imds), ports=range(1, 2), image="unused")
        self.at: list[float] = []

    async def _attach(self, node: KnownNode) -> None:
        self.at.append(asyncio.get_running_loop().time())


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Revivals:
    monkeypatch.setattr(docker_executor, "_REVIVE_SECONDS", PERIOD)
    executor = Revivals(Paths(tmp_path / "home"))
    spec = NodeSpec(node_id="one", pool_id="pool", account_name="account", account_url="https://account")
    executor._nodes["one"] = KnownNode(spec, tmp_path, AgentClient("one", tmp_path / "agent.sock"))
    return executor


async def test_a_node_that_dies_soon_again_is_started_when_the_period_is_over(executor: Revivals) -> None:
    executor._on_engine_event("one", "die")
    await asyncio.sleep(PERIOD / 10)
    executor._on_engine_event("one", "die")
    await asyncio.sleep(PERIOD / 10)
    assert len(executor.at) == 1
    executor._on_engine_event("one", "die")  # it is waited for already
    await asyncio.sleep(PERIOD * 1.5)
    assert len(executor.at) == 2
    assert executor.at[1] - executor.at[0] >= PERIOD
    assert not executor._reviving


@pytest.mark.parametrize("planned", [True, False])
async def test_a_node_that_was_deleted_or_is_being_deleted_stays_down(executor: Revivals, planned: bool) -> None:
    executor._on_engine_event("one", "die")
    await asyncio.sleep(PERIOD / 10)
    executor._on_engine_event("one", "die")
    if planned:
        executor._planned.add("one")
    else:
        executor._nodes.clear()
    await asyncio.sleep(PERIOD * 1.5)
    assert len(executor.at) == 1


def test_an_agent_without_a_boot_file_says_so_without_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.node.agent", str(tmp_path / "boot.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "there is no boot file" in done.stderr
    assert "next:" in done.stderr
    assert "Traceback" not in done.stderr
