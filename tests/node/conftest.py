"""Nodes for tests: an agent in this process on a temporary folder, and one real node for the whole session."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import docker
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from local.azure.platform.certificates import ensure_authority
from local.node import cleanup
from local.node.contract import NodeState
from local.node.docker_executor import DockerExecutor
from local.node.image import ensure_base_image, ensure_node_image
from local.node.relay import NodeRelay
from local.paths import Paths
from tests.node.blob_service import Blobs
from tests.node.events import Events
from tests.node.local_node import LocalNode, LocalNodes
from tests.node.real_node import NODE_ID, RealNode, free_block, node_spec
from tests.node.specs import fake_imds


@pytest_asyncio.fixture
async def blobs() -> AsyncIterator[Blobs]:
    service = Blobs()
    application = web.Application(client_max_size=2**27, middlewares=[service.outage])
    application.router.add_put("/{container}/{name:.+}", service.put)
    application.router.add_get("/{container}/{name:.+}", service.get)
    application.router.add_get("/{container}", service.list)
    async with TestServer(application) as server:
        service.url = str(server.make_url("")).rstrip("/")
        yield service


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


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def node() -> AsyncIterator[RealNode]:
    """One real node for all files of this folder: boot it; afterwards nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="real-node-") as folder:
        paths = Paths(Path(folder))
        paths.ensure()
        ensure_authority(paths)
        image = await asyncio.to_thread(ensure_base_image, paths, print)
        node_image = await asyncio.to_thread(ensure_node_image, paths, print)
        block, events = free_block(), Events()
        executor = DockerExecutor(
            paths, NodeRelay(block, fake_imds), ports=block, hosts={"sql.azure.test": "168.63.129.16"}, image=node_image
        )
        await executor.open(events)
        try:
            begin = time.monotonic()
            # Two at once, as a pool makes them: they share a network that is not there yet.
            bad = node_spec("tvm-bad", "sh -c 'echo why >&2; exit 9'")
            await asyncio.gather(executor.create_node(node_spec()), executor.create_node(bad))
            idle = await events.node(NodeState.IDLE, NodeState.START_TASK_FAILED, NodeState.UNUSABLE, node_id=NODE_ID)
            assert idle.state == NodeState.IDLE, idle
            made = RealNode(executor, events, executor._name(NODE_ID), image, block.start)
            made.boot_seconds = time.monotonic() - begin
            load = f"docker save {image} | docker exec -i {made.container} docker load"
            await asyncio.to_thread(subprocess.run, load, shell=True, check=True, capture_output=True)
            yield made
        finally:
            await executor.close()
            await asyncio.to_thread(cleanup.remove_nodes, paths)
            left = await asyncio.to_thread(cleanup.remaining, paths)
            for name in (image, node_image):
                await asyncio.to_thread(docker.from_env().images.remove, name, force=True)
        assert left == []
