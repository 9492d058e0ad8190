"""A stack on the fake Azure for each test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.plugins.cli.stack import Stack


@pytest.fixture
def stack(make_stack: Callable[..., Stack], cloud_settings: dict[str, str]) -> Stack:
    """A stack on the fake Azure."""
    return make_stack(**cloud_settings)
