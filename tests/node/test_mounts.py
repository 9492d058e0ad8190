"""File systems of a pool's `mountConfiguration`: what is refused, and in which words; mounting itself needs a real node
(tests/local/deployment/test_saving_everything.py)."""

from __future__ import annotations

import pytest

from local.node.agent.mounts import mount_options
from local.node.contract import FileSystemMount, NodeState
from tests.node.local_node import LocalNodes


@pytest.mark.parametrize(
    ("blobfuse", "extra"),
    [
        ("", []),
        ("-o attr_timeout=240 -o entry_timeout=240", []),
        ("-o allow_other -o attr_timeout=240", ["--allow-other"]),
        ("-o ro,allow_other", ["--allow-other", "--read-only"]),
        ("--allow-other --read-only", ["--allow-other", "--read-only"]),
    ],
)
def test_blobfuse_options_that_mean_something_to_rclone(blobfuse: str, extra: list[str]) -> None:
    assert mount_options(blobfuse) == mount_options("") + extra


async def test_a_mount_that_cannot_be_made_here_makes_the_node_unusable(local_nodes: LocalNodes) -> None:
    refused = FileSystemMount(kind="nfs", path="data", refusal="local nodes mount no nfs file system")
    node = await local_nodes.boot(mounts=(refused,))
    ((code, message),) = (await node.events.node(NodeState.UNUSABLE)).errors
    assert code == "MountConfigurationError"
    assert message == (
        "An error was encountered while configuring specified mount(s): local nodes mount no nfs file system; data"
    )


async def test_a_process_mounts_nothing_and_names_the_executor_that_does(local_nodes: LocalNodes) -> None:
    wanted = FileSystemMount(kind="blobfuse", path="data", container="data", url="https://nowhere/data?sig=x")
    node = await local_nodes.boot(mounts=(wanted,))
    ((_, message),) = (await node.events.node(NodeState.UNUSABLE)).errors
    assert "start the local Azure with the docker executor" in message and "sig=" not in message
