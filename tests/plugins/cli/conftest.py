"""One CLI and one home for all tests of this room; a stack for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.setup import pulumi_cli

from .stack import LANGUAGE_HOST, Cli, Stack


@pytest.fixture(scope="session")
def cli() -> Cli:
    """The CLI that the set-up found or built; `make test` prepares one."""
    found = pulumi_cli.find()
    assert found is not None, "there is no Pulumi CLI on this machine: make setup"
    if found.official:
        return Cli(found.pulumi, None, {})
    return Cli(found.pulumi, LANGUAGE_HOST, {"PULUMI_STANDIN_EXECUTOR": str(found.executor)})


@pytest.fixture(scope="session")
def pulumi_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pulumi-home")


@pytest.fixture
def make_stack(cli: Cli, pulumi_home: Path, tmp_path: Path) -> Callable[..., Stack]:
    return lambda **environment: Stack(cli, tmp_path, pulumi_home, environment)


@pytest.fixture
def stack(make_stack: Callable[..., Stack], cloud_settings: dict[str, str]) -> Stack:
    """A stack on the fake Azure."""
    return make_stack(**cloud_settings)
