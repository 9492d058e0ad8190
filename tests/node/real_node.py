"""One real node: a container with an engine of its own, on the Docker engine of this machine."""

from __future__ import annotations

import subprocess

from local.azure.platform.ports import is_free
from local.node.contract import (
    NodeSpec,
    RunEnded,
    RunSpec,
    UserAccount,
    UserIdentity,
)
from local.node.docker_executor import DockerExecutor
from tests.node.events import Events
from tests.node.specs import IDENTITY

ADMIN, MEMBER, USER = "batchadmin", "dockeruser", "batchuser"


NODE_ID = "tvm-real-1"


BOOT_SECONDS = 60.0  # 1.6 s on two idle cores; the tests beside this one take both


PROVE = "sh -c 'id; usermod -aG docker dockeruser && usermod -aG docker batchadmin && docker version >&2'"


class RealNode:
    """The executor with one idle node and an image on it."""

    def __init__(self, executor: DockerExecutor, events: Events, container: str, image: str, port: int) -> None:
        self.executor = executor
        self.events = events
        self.container = container
        self.image = image
        self.port = port
        self.boot_seconds = 0.0

    async def text(self, path: str) -> str:
        """A file of the node, through the executor."""
        return b"".join([piece async for piece in self.executor.read_file(NODE_ID, path, 0, None)]).decode()

    async def do(self, spec: RunSpec) -> tuple[RunEnded, str, str]:
        """Run to the end; how it ended, stdout and stderr."""
        await self.executor.start_run(NODE_ID, spec)
        ended = await self.events.ended(spec.run_id)
        return ended, await self.text(f"{spec.directory}/stdout.txt"), await self.text(f"{spec.directory}/stderr.txt")

    def inside(self, *command: str) -> str:
        """A command in the node's container, as the assertion's own eyes."""
        words = ["docker", "exec", self.container, *command]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def node_spec(node_id: str = NODE_ID, start: str = PROVE) -> NodeSpec:
    return NodeSpec(
        node_id=node_id,
        pool_id="pool",
        account_name="account",
        account_url="https://127.0.0.1:1",
        identities=(IDENTITY,),
        container_images=(),
        user_accounts=(
            UserAccount(name=ADMIN, password="Adm1n-pw-9", admin=True),
            UserAccount(name=MEMBER, password="x-9-Member"),
            UserAccount(name=USER, password="x-9-User"),
        ),
        start_task=RunSpec(run_id="start", directory="startup", command_line=start, user=UserIdentity(admin=True)),
    )


def free_block() -> range:
    """Eight ports below those of every other test and of every local Azure that is a process of its own."""
    return next(
        range(first, first + 8) for first in range(9_000, 10_000, 8) if all(map(is_free, range(first, first + 8)))
    )


def named(user: str) -> UserIdentity:
    return UserIdentity(username=user)
