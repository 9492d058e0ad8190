"""A cloud with one group, and plain requests to it."""

from __future__ import annotations

import pytest

from tests.azure.arm.plain_http import PLACE, Http
from tests.azure.running import RunningAzure


@pytest.fixture
def http_(azure: RunningAzure) -> Http:
    """A client in a cloud with one group."""
    client = Http(azure)
    assert client("PUT", "/resourceGroups/rg1", PLACE)[0] == 201
    return client
