"""One local Azure without nodes for all tests of a file, and stacks that are in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.infra.deployed.nodeless import Deployed, NodelessAzure


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodelessAzure]:
    running = NodelessAzure(tmp_path_factory.mktemp("azure"))
    yield running
    running.stop()


@pytest.fixture
def stack(azure: NodelessAzure, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Deployed]:
    """A stack of this name, not deployed."""
    return lambda name: Deployed(azure, name, tmp_path_factory.mktemp(name))
