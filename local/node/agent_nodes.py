"""What the docker and the process executor share: the table of nodes with an agent, and following their events.

Owns connections and events; making and removing nodes is the executors'. A node's events are followed from its journal,
from the start at each `open`: the journal is the truth, so nothing has to be remembered here between two lives of the
local Azure.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import ClientError

from local.node.agent.config import AgentConfig, read_config, write_config
from local.node.agent_client import AgentClient
from local.node.contract import (
    FileInfo,
    NodeChanged,
    NodeEvent,
    NodeSpec,
    NodeState,
    NodeUnreachable,
    RunSpec,
    UserAccount,
)
from local.node.relay import NodeRelay

log = logging.getLogger(__name__)
BOOT_FILE = "boot.json"  # in the node's runtime folder, from just before a start until the agent has read it
KEPT = ".kept.json"  # ends the name of our copy, beside that folder: the node does not see it
_PAUSE_SECONDS = 0.05  # between looks for the socket of an agent that boots: a file has no event


@dataclass
class KnownNode:
    """A node of this local Azure: its specification, its folder on the host, and the task that follows its events."""

    spec: NodeSpec
    folder: Path
    client: AgentClient
    config: AgentConfig | None = None
    seen: int = 0
    following: asyncio.Task[None] | None = None

    def write_boot_file(self) -> None:
        """Write the settings that the agent reads and removes when it starts."""
        if self.config:
            write_config(self.folder / BOOT_FILE, self.config)


class AgentNodes:
    """The table of nodes. Executors add to it; every request to a node goes through it."""

    def __init__(self, folder: Path, relay: NodeRelay) -> None:
        self._folder = folder
        self._relay = relay
        self._nodes: dict[str, KnownNode] = {}
        self._on_event: Callable[[NodeEvent], None] = lambda event: None

    # -- the table ---------------------------------------------------------------------------------------------------

    async def open(self, on_event: Callable[[NodeEvent], None]) -> None:
        """Read the nodes of the last life of the local Azure, and follow each (`_attach`)."""
        self._on_event = on_event
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for kept in sorted(self._folder.glob(f"*{KEPT}")):
            config = read_config(kept)
            await self._attach(await self._add(config.node, config))

    async def close(self) -> None:
        """Stop following; the nodes go on."""
        for node in list(self._nodes.values()):
            await self._unfollow(node)
        self._nodes.clear()
        await self._relay.close()

    async def _attach(self, node: KnownNode) -> None:
        raise NotImplementedError

    async def _add(self, spec: NodeSpec, config: AgentConfig | None = None) -> KnownNode:
        folder = self._folder_of(spec.node_id)
        node = KnownNode(spec, folder, AgentClient(spec.node_id, folder / "agent.sock"), config)
        if config:
            folder.mkdir(mode=0o700, exist_ok=True)
            write_config(_kept(folder), config)
        await self._relay.open_node(spec.node_id, folder / "host.sock", spec.identities)
        self._nodes[spec.node_id] = node
        return node

    @staticmethod
    def _respecify(node: KnownNode, spec: NodeSpec | None) -> None:
        """Have the node's next boot go by another specification."""
        if spec is not None and node.config is not None:
            node.spec, node.config = spec, replace(node.config, node=spec)
            write_config(_kept(node.folder), node.config)

    def _folder_of(self, node_id: str) -> Path:
        """A short name: a socket's path has at most 108 bytes."""
        return self._folder / hashlib.sha256(node_id.encode()).hexdigest()[:10]

    async def _forget(self, node: KnownNode) -> None:
        await self._unfollow(node)
        await self._relay.close_node(node.spec.node_id)
        self._nodes.pop(node.spec.node_id, None)
        _kept(node.folder).unlink(missing_ok=True)
        await asyncio.to_thread(shutil.rmtree, node.folder, ignore_errors=True)

    def _known(self, node_id: str) -> KnownNode:
        if node_id not in self._nodes:
            raise NodeUnreachable(f"node {node_id} does not exist; its pool may have been resized or deleted")
        return self._nodes[node_id]

    # -- what nodes report -------------------------------------------------------------------------------------------

    def _set_state(self, node: KnownNode, state: NodeState, *errors: tuple[str, str]) -> None:
        at = datetime.now(UTC)
        self._report(NodeChanged(node_id=node.spec.node_id, state=state, at=at, errors=errors))

    def _report(self, event: NodeEvent) -> None:
        try:
            self._on_event(event)
        except Exception:  # the receiver's bug must not end the following of a node
            log.exception("an event of node %s was not taken: %s", event.node_id, event)

    def _follow(self, node: KnownNode) -> None:
        if node.following is None or node.following.done():
            node.following = asyncio.create_task(self._following(node), name=f"follow {node.spec.node_id}")

    async def _unfollow(self, node: KnownNode) -> None:
        if node.following:
            node.following.cancel()
            await asyncio.gather(node.following, return_exceptions=True)
            node.following = None

    async def _following(self, node: KnownNode) -> None:
        """Report every entry of the agent's journal, over any number of connections, until the task is cancelled."""
        while True:
            try:
                async for entry in node.client.events(node.seen):
                    node.seen = entry.seq
                    self._report(entry.event())
            except (ClientError, OSError):
                pass
            except (ValueError, KeyError, TypeError) as error:  # who is root on a node can make its agent say anything
                log.warning("node %s reports what is no event: %s", node.spec.node_id, error)
            await asyncio.sleep(_PAUSE_SECONDS)

    # -- what is asked of a node -------------------------------------------------------------------------------------

    async def start_run(self, node_id: str, run: RunSpec) -> None:
        """Start a run on a node."""
        await self._known(node_id).client.start_run(run)

    async def terminate_run(self, node_id: str, run_id: str) -> None:
        """End a run on a node."""
        await self._known(node_id).client.terminate_run(run_id)

    async def list_files(self, node_id: str, directory: str, recursive: bool) -> list[FileInfo]:
        """List a folder of a node."""
        return await self._known(node_id).client.list_files(directory, recursive)

    async def stat_file(self, node_id: str, path: str) -> FileInfo:
        """A file's properties."""
        return await self._known(node_id).client.stat_file(path)

    def read_file(self, node_id: str, path: str, start: int, end: int | None) -> AsyncIterator[bytes]:
        """A file's bytes from `start` to before `end`."""
        return self._known(node_id).client.read_file(path, start, end)

    async def delete_file(self, node_id: str, path: str, recursive: bool) -> None:
        """Remove a file or folder."""
        await self._known(node_id).client.delete_file(path, recursive)

    async def put_user(self, node_id: str, user: UserAccount) -> None:
        """Add or change a login."""
        await self._known(node_id).client.put_user(user)

    async def delete_user(self, node_id: str, name: str) -> None:
        """Remove a login."""
        await self._known(node_id).client.delete_user(name)


def _kept(folder: Path) -> Path:
    return folder.with_name(folder.name + KEPT)
