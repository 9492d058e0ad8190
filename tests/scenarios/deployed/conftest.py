"""One deployed stack for all tests of this folder: deploying takes longer than any of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.checkout import Checkout
from tests.scenarios.deployed.stack import Stack


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """`make up` without its set-up, which the machine has had already."""
    checkout = Checkout(tmp_path_factory.mktemp("clone"))
    try:
        checkout.module("local", "tour")
        yield checkout
    finally:
        checkout.run(str(checkout.python), "-m", "local", "reset", "--yes")


@pytest.fixture(scope="session")
def stack(deployed: Checkout) -> Stack:
    return Stack(deployed)
