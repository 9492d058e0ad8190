"""A node's agent in this process, on a temporary folder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from local.node.agent.assembly import Agent
from local.node.agent.config import AgentConfig
from local.node.agent_nodes import AgentNodes, KnownNode
from local.node.contract import NodeSpec, RunSpec
from local.node.relay import NodeRelay
from tests.node.events import Events
from tests.node.specs import NODE, fake_imds


class InProcess(AgentNodes):
    """An executor over one agent in this process: the same client and events as the real ones."""

    async def connect(self, spec: NodeSpec) -> None:
        """Follow the agent that listens in the node's folder."""
        self._follow(await self._add(spec))

    async def _attach(self, node: KnownNode) -> None:
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
        self.tmp_path = tmp_path
        self.runtime = runtime
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
            node=spec,
            root=str(self.tmp_path / "tasks"),
            state=str(self.tmp_path / "agent"),
            runtime=str(folder),
            isolated=False,
            **{"grace_seconds": 5.0, **others},
        )
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
