"""Nodes for tests: an agent in this process on a temporary folder, and one real node for the whole session."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from local.node.agent.assembly import Agent
from local.node.agent.config import AgentConfig
from local.node.agent_nodes import Agented, AgentNodes
from local.node.contract import Identity, NodeSpec, NodeState, RunSpec
from local.node.relay import Answer, NodeRelay
from tests.node.events import Events

IDENTITY = Identity(resource_id="/subscriptions/s/id", client_id="client-1", principal_id="principal-1")
NODE = NodeSpec(
    node_id="tvm-1", pool_id="pool", account_name="account", account_url="https://127.0.0.1:1", identities=(IDENTITY,)
)


async def fake_imds(
    node_id: str, identities: tuple[Identity, ...], method: str, target: str, headers: Mapping[str, str]
) -> Answer:
    """Gives every node a token that tells what was asked."""
    token = f"token of {identities[0].client_id} for {target}"
    return 200, {"Content-Type": "application/json"}, json.dumps({"access_token": token}).encode()


def run(run_id: str, command_line: str, **more: Any) -> RunSpec:
    """A task's run in its usual folder."""
    spec = RunSpec(
        run_id=run_id,
        directory=f"workitems/job/job-1/{run_id}",
        command_line=command_line,
        job_id="job",
        task_id=run_id,
    )
    return replace(spec, **more)


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A folder whose name is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="n-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class InProcess(AgentNodes):
    """An executor over one agent in this process: the same client and events as the real ones."""

    async def connect(self, spec: NodeSpec) -> None:
        """Follow the agent that listens in the node's folder."""
        self._follow(await self._add(spec))

    async def _attach(self, node: Agented) -> None:
        self._follow(node)


@dataclass
class LocalNode:
    """An agent with what it was told, the files it works on, and what it reported."""

    config: AgentConfig
    agent: Agent
    nodes: InProcess
    events: Events = field(default_factory=Events)

    @property
    def root(self) -> Path:
        """The node root."""
        return self.config.root_path

    async def do(self, spec: RunSpec) -> str:
        """Run to the end; its stdout."""
        await self.nodes.start_run(self.config.node.node_id, spec)
        await self.events.ended(spec.run_id)
        return (self.root / spec.directory / "stdout.txt").read_text()


class LocalNodes:
    """Makes agents on the same disk: the second one is the first one rebooted."""

    def __init__(self, tmp_path: Path, runtime: Path) -> None:
        self.tmp_path, self.runtime = tmp_path, runtime
        self.made: list[LocalNode] = []

    async def boot(self, **settings: Any) -> LocalNode:
        """Boot an agent and follow it."""
        spec = replace(NODE, **{key: value for key, value in settings.items() if hasattr(NODE, key)})
        others = {key: value for key, value in settings.items() if not hasattr(NODE, key)}
        relay = NodeRelay(range(0), fake_imds)
        nodes = InProcess(self.runtime, relay)
        folder = nodes._folder_of(spec.node_id)
        folder.mkdir(exist_ok=True)
        config = AgentConfig(
            node=spec, root=str(self.tmp_path / "tasks"), state=str(self.tmp_path / "agent"), runtime=str(folder),
            isolated=False, **{"grace_seconds": 5.0, **others},
        )  # fmt: skip
        node = LocalNode(config, Agent(config), nodes)
        self.made.append(node)
        await node.agent.open()
        await nodes.open(node.events)
        await nodes.connect(spec)
        return node

    async def shut_down(self, node: LocalNode) -> None:
        """Stop an agent as a node's stop does."""
        self.made.remove(node)
        await node.nodes.close()
        await node.agent.close()


@pytest_asyncio.fixture
async def local_nodes(tmp_path: Path, runtime: Path) -> AsyncIterator[LocalNodes]:
    """For tests that boot agents themselves."""
    factory = LocalNodes(tmp_path, runtime)
    yield factory
    for node in list(factory.made):
        await factory.shut_down(node)


@pytest_asyncio.fixture
async def local_node(local_nodes: LocalNodes) -> LocalNode:
    """An idle agent without a start task."""
    node = await local_nodes.boot()
    await node.events.node(NodeState.IDLE)
    return node
