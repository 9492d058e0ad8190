"""One deployed checkout serves the scenario; it is destroyed and stopped at the end, whatever happened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.checkout import Checkout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    place = Checkout(tmp_path_factory.mktemp("clone"))
    yield place
    place.run(str(place.python), "-m", "local", "reset", "--yes")
