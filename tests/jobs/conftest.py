"""For all tests of `jobs`: what one leaves in the process is not the next one's."""

from __future__ import annotations

import pytest

from jobs.terminal import wording


@pytest.fixture(autouse=True)
def no_options_of_an_earlier_command() -> None:
    """What a printed command takes over of the command line is the process's: each test begins without."""
    wording.remember((), None, None)
