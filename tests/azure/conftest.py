"""Fixtures: a running cloud with ARM and identity, and management clients of the real SDKs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.azure.running import RunningAzure


@pytest.fixture(scope="session", autouse=True)
def socket_folders_are_removed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`Paths.sockets` lies in the machine's temporary folder; tests get a short one of their own that goes away."""
    tmp_path_factory.getbasetemp()  # pytest's own folder stays where it is
    with tempfile.TemporaryDirectory(prefix="la-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        patch.setenv("TMPDIR", folder)
        yield


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[RunningAzure]:
    """A fresh cloud."""
    with RunningAzure(tmp_path / "home") as running:
        yield running


@pytest.fixture
def client(azure: RunningAzure) -> Callable[..., Any]:
    """Make a management client: `client(BatchManagementClient)`."""

    def make(kind: type, credential: Any = None, **options: Any) -> Any:
        return kind(
            credential or azure.credential(), azure.cloud.settings.subscription_id, **azure.client_options(), **options
        )

    return make
