"""The settings of an agent: the node's specification, its folders, and the ports that lead to the local Azure.

The executor writes it as a file of mode 0600 in the node's runtime folder before each start of the agent: it holds
passwords, so it travels neither in an environment nor on a command line. The agent removes it as soon as it is read;
what the executor keeps for the next start lies beside the runtime folder, where no node sees it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.node.contract import NodeSpec, from_json, to_json

NODE_ROOT = "/mnt/batch/tasks"  # observed in every printed environment of a Linux node
AGENT_STATE = "/var/lib/node-agent"
AGENT_RUNTIME = "/run/node-agent/runtime"
PLATFORM_ADDRESS = "168.63.129.16"  # Azure's own address on every VM: task containers reach the local Azure through it
# Which folders a node has: the observed layout.
ROOT_FOLDERS = ("applications", "fsmounts", "shared", "startup", "volatile", "workitems")


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """The boot file. `isolated` is False for the process executor: no users, no containers, no addresses of its own.

    `grace_seconds` lies between TERM and KILL when a run is ended. Azure documents neither the signal nor the
    grace: `terminate_with` "term" is a guess, "kill" is the worst case to test against.
    """

    node: NodeSpec
    root: str = NODE_ROOT
    state: str = AGENT_STATE
    runtime: str = AGENT_RUNTIME
    first_port: int = 0
    port_count: int = 0
    hosts: Mapping[str, str] = field(default_factory=dict)
    isolated: bool = True
    terminate_with: str = "term"
    grace_seconds: float = 10.0

    @property
    def root_path(self) -> Path:
        """The node root, which task containers see under the same path."""
        return Path(self.root)

    @property
    def ports(self) -> range:
        """The local Azure's port block."""
        return range(self.first_port, self.first_port + self.port_count)

    @property
    def host_socket(self) -> Path:
        """Where the host's relay listens."""
        return Path(self.runtime) / "host.sock"

    @property
    def agent_socket(self) -> Path:
        """Where the agent listens."""
        return Path(self.runtime) / "agent.sock"

    @property
    def journal(self) -> Path:
        """The agent's memory."""
        return Path(self.state) / "journal.jsonl"


def write_config(path: Path, config: AgentConfig) -> None:
    """Write a boot file for its owner only, at once."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(to_json(config), file)
    part.replace(path)


def read_config(path: Path) -> AgentConfig:
    """Read a boot file; an unknown key is refused."""
    return from_json(AgentConfig, json.loads(path.read_text()))


class NoBootFile(Exception):
    """The agent was started by somebody else than the local Azure."""


def take_config(path: Path) -> AgentConfig:
    """Read the boot file and remove it, in the agent: no password stays on the node after its use.

    Raises NoBootFile.
    """
    try:
        config = read_config(path)
    except FileNotFoundError:
        raise NoBootFile(
            f"there is no boot file {path}\n"
            "  cause: a node's agent reads it once, and this start was not the local Azure's (a `docker start`, say)\n"
            "  next:  wait for the local Azure, which starts dead nodes within half a minute; if that is down itself: "
            "python -m local start"
        ) from None
    path.unlink()
    return config
