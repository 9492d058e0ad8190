"""The network that a local Azure's nodes share: made with the first, removed with the last."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import docker
import pytest

from local.node.docker_executor import HOME_LABEL, DockerExecutor
from local.node.relay import NodeRelay
from local.paths import Paths
from tests.node.specs import fake_imds

pytestmark = pytest.mark.docker


async def test_the_network_goes_with_the_last_node(tmp_path: Path) -> None:
    paths, client = Paths(tmp_path / "home"), docker.from_env()
    filters = {"label": f"{HOME_LABEL}={paths.id}"}
    executor = DockerExecutor(paths, NodeRelay(range(1, 2), fake_imds), ports=range(1, 2), image="unused")
    client.networks.create(f"local-azure-{paths.id}", labels={HOME_LABEL: paths.id})
    try:
        executor._nodes["another"] = cast(Any, None)
        await executor.delete_node("one")
        assert len(client.networks.list(filters=filters)) == 1
        executor._nodes.clear()
        await executor.delete_node("another")
        assert client.networks.list(filters=filters) == []
        await executor.delete_node("one that was gone already")
    finally:
        for network in client.networks.list(filters=filters):
            network.remove()
