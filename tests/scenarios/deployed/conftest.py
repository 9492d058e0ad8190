"""The clients of the deployed stack."""

from __future__ import annotations

import pytest

from tests.scenarios.checkout import Checkout
from tests.scenarios.deployed.stack import Stack


@pytest.fixture(scope="session")
def stack(deployed: Checkout) -> Stack:
    return Stack(deployed)
