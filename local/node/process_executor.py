"""Nodes as plain processes of this machine, for machines without an engine: no isolation, no users, no containers.

The same agent as in a node container, in a process of its own that outlives neither this machine nor `delete_node`. Its
commands run as the user that started the local Azure and see this machine's files: for trusted work only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from local.node.agent.config import AgentConfig
from local.node.agent_nodes import BOOT_FILE, AgentNodes, KnownNode
from local.node.contract import NodeSpec, NodeState, NodeUnreachable
from local.node.relay import NodeRelay
from local.paths import CHECKOUT, Paths

WARNING = "executor process: tasks run on this machine without isolation, as the present user; trusted work only"
FOLDER = "processes"
_PID_FILE = "agent.pid"
_STOP_SECONDS = 15.0


class ProcessExecutor(AgentNodes):
    """The process executor."""

    name = "process"

    def __init__(self, paths: Paths, relay: NodeRelay, *, progress: Callable[[str], None] = lambda words: None) -> None:
        super().__init__(paths.sockets / FOLDER, relay)
        self._paths = paths
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._ends: set[asyncio.Task[None]] = set()
        self._planned: set[str] = set()
        progress(WARNING)

    async def create_node(self, spec: NodeSpec) -> None:
        """Start a node's agent; one that runs is left as it is."""
        node = self._nodes.get(spec.node_id)
        if node is None:
            base = self._paths.state / "process-nodes" / spec.node_id
            config = AgentConfig(
                node=spec,
                root=str(base / "tasks"),
                state=str(base / "agent"),
                runtime=str(self._folder_of(spec.node_id)),
                isolated=False,
            )
            node = await self._add(spec, config)
            self._set_state(node, NodeState.CREATING)
        await self._attach(node)

    async def reboot_node(self, node_id: str, spec: NodeSpec | None = None) -> None:
        """Stop the agent with its runs and start it again."""
        node = self._known(node_id)
        self._respecify(node, spec)
        self._set_state(node, NodeState.REBOOTING)
        await self._stop(node)
        await self._attach(node)

    async def delete_node(self, node_id: str) -> None:
        """Stop the agent with its runs, and forget the node."""
        if node := self._nodes.get(node_id):
            await self._unfollow(node)
            await self._stop(node)
            await self._forget(node)

    def remote_login(self, node_id: str) -> tuple[str, int]:
        """Raise NodeUnreachable: the node is this machine."""
        raise NodeUnreachable(f"node {node_id} is a process of this machine; there is nothing to log in to")

    async def _attach(self, node: KnownNode) -> None:
        if agent_pid(node.folder) is None:
            await self._spawn(node)
        self._follow(node)

    async def _spawn(self, node: KnownNode) -> None:
        node.write_boot_file()
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "SSL_CERT_FILE": str(self._paths.ca)}
        with (self._paths.log / f"node-{node.spec.node_id}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "local.node.agent",
                str(node.folder / BOOT_FILE),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (node.folder / _PID_FILE).write_text(str(process.pid))
        self._processes[node.spec.node_id] = process
        end = asyncio.create_task(self._report_end(node, process))
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)

    async def _report_end(self, node: KnownNode, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        if node.spec.node_id not in self._planned and node.spec.node_id in self._nodes:
            if node.following:
                node.following.cancel()
            self._set_state(node, NodeState.UNKNOWN, ("NodeDied", f"the node's agent ended with {process.returncode}"))

    async def _stop(self, node: KnownNode) -> None:
        self._planned.add(node.spec.node_id)
        try:
            pid = agent_pid(node.folder)
            process = self._processes.pop(node.spec.node_id, None)
            if pid is None:
                return
            os.kill(pid, signal.SIGTERM)
            if process:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), _STOP_SECONDS)
                    return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        finally:
            (node.folder / _PID_FILE).unlink(missing_ok=True)
            self._planned.discard(node.spec.node_id)


def agent_pid(folder: Path) -> int | None:
    """The agent's process id, if that process is still this node's agent."""
    try:
        pid = int((folder / _PID_FILE).read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if str(folder / BOOT_FILE).encode() in command else None
