"""One CLI and one home for all tests of this room; a stack for each test."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .stack import LANGUAGE_HOST, Cli, Stack


@pytest.fixture(scope="session")
def cli() -> Cli:
    """The CLI that set-up found or built. Without one these tests are skipped, which CI counts as a failure."""
    try:
        from tools.setup import pulumi_cli
    except ImportError:  # PLUGIN_TESTS_*: until set-up has it
        host = os.environ.get("PLUGIN_TESTS_LANGUAGE_HOST")
        if not (host and "PLUGIN_TESTS_PULUMI" in os.environ):
            pytest.skip("there is no Pulumi CLI here")
        path = f"{host}:{os.environ['PATH']}"
        return Cli(
            Path(os.environ["PLUGIN_TESTS_PULUMI"]),
            Path(host),
            {
                "PATH": path,
                "PULUMI_PYTHON": sys.executable,
                "PULUMI_LANGUAGE_PYTHON_EXEC": os.environ["PULUMI_LANGUAGE_PYTHON_EXEC"],
            },
        )
    found = pulumi_cli.find()
    if found is None:
        pytest.skip("there is no Pulumi CLI here; `make setup` builds one")
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
