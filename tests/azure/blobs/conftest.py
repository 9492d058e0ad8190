"""A cloud with one storage account served, Azurite behind it, and tokens for people with and without rights."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.azure.blobs import azurite
from local.azure.blobs.service import BlobService
from local.azure.control_plane.cloud import Cloud
from local.paths import Paths
from tests.azure.blobs.world import World, started

INSTALLED = Path(azurite.__file__).parent / "node_modules" / "azurite"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    if not INSTALLED.exists() and "CI" not in os.environ:
        pytest.skip("Azurite is not installed: `make setup` installs it")
    cloud = Cloud.open(Paths(tmp_path))
    service = BlobService(cloud)
    made = World(cloud, service, await started(cloud))
    await service.start()
    await made.add_account(allowSharedKeyAccess=False)
    yield made
    for client in made.clients:
        client.close()
    await service.stop()
    if made.azurite.returncode is None:
        made.azurite.kill()
        await made.azurite.wait()
    cloud.close()
