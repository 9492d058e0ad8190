"""A cloud with one registry served, docker-registry behind it, and tokens for people with and without rights."""

from __future__ import annotations

import os
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resources import Resource
from local.azure.registry.service import RegistryService
from local.paths import Paths
from tests.azure.registry.world import World, started


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    if shutil.which("docker-registry") is None and "CI" not in os.environ:
        pytest.skip("docker-registry is not installed: `make setup` installs it")
    paths = Paths(tmp_path)
    cloud = Cloud.open(paths)
    service = RegistryService(cloud)
    upstream = await started(paths)
    await service.start()
    trust = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(paths.ca)))
    async with aiohttp.ClientSession(connector=trust) as client:
        made = World(cloud, service, Resource(id="", type="", name=""), upstream, client)
        made.registry = await made.add_registry("acrLocal")
        yield made
    await service.stop()
    if made.upstream.returncode is None:
        made.upstream.kill()
        await made.upstream.wait()
    cloud.close()
