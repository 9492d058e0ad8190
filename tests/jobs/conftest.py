"""A service on loopback and a folder to submit from, for each seed that the tests with seeds run with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.terminal import wording
from tests.jobs.hostile import Mood, Service, hostile
from tests.jobs.submitting import SEEDS, Terminal


@pytest.fixture(autouse=True)
def no_options_of_an_earlier_command() -> None:
    """What a printed command takes over of the command line is the process's: each test begins without."""
    wording.remember((), None, None)


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
