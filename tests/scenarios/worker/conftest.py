"""One deployed stack for all tests of this folder: the worker's real image on real nodes, through the Batch API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.checkout import Checkout
from tests.scenarios.cluster import DRILL, Cluster


class Armed(Checkout):
    """A checkout with more environment for what it starts."""

    more: dict[str, str] = {}  # noqa: RUF012 - set on the instance

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | self.more


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Armed]:
    made = Armed(tmp_path_factory.mktemp("clone"))
    try:
        made.module("local", "tour")
        yield made
    finally:
        made.run(str(made.python), "-m", "local", "reset", "--yes")


@pytest.fixture(scope="package")
def cluster(place: Armed) -> Iterator[Cluster]:
    made = Cluster(place.home)
    made.run("migrate", "--handler", DRILL)
    yield made
    made.close()
