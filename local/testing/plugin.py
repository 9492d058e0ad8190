"""The pytest fixtures: `local_azure` is a Batch account of its own for each test, in one local Azure for the session.

# conftest.py, with this checkout on PYTHONPATH
pytest_plugins = ["local.testing.plugin"]
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.testing.azure import BatchAccount, LocalAzure


@pytest.fixture(scope="session")
def local_azure_cloud() -> Iterator[LocalAzure]:
    """The local Azure of this session: one subscription, its services on ports of 127.0.0.1."""
    with LocalAzure() as azure:
        yield azure


@pytest.fixture
def local_azure(local_azure_cloud: LocalAzure) -> Iterator[BatchAccount]:
    """A Batch account that only this test uses, in a resource group that goes with it."""
    with local_azure_cloud.account() as account:
        yield account
