"""The worker's real image on the real nodes of the deployed stack, through the Batch API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.checkout import Checkout
from tests.scenarios.cluster import DRILL, Cluster


@pytest.fixture(scope="package")
def cluster(deployed: Checkout) -> Iterator[Cluster]:
    made = Cluster(deployed.home)
    made.run("migrate", "--handler", DRILL)
    yield made
    made.close()
