"""A service on loopback and a folder to submit from, for each seed that the tests with seeds run with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.submission.hostile import Mood, Service, hostile
from tests.jobs.submission.submitting import SEEDS, Terminal


@pytest.fixture(params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def service(seed: int) -> Iterator[Service]:
    """A service that is well, until a test gives it another mood."""
    with hostile(seed) as found:
        found.mood = Mood()
        yield found


@pytest.fixture
def terminal(tmp_path: Path, service: Service) -> Terminal:
    return Terminal(tmp_path, service.port)
