"""A Pulumi CLI for tests: a stand-in that keeps settings as the real one does, and the real one where it matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from local.deployment import project
from tests.local.deployment.settings_cli import Settings
from tools.setup import pulumi_cli
from tools.setup.pulumi_cli import Installation


@pytest.fixture
def settings_cli(monkeypatch: pytest.MonkeyPatch) -> Settings:
    fake = Settings()
    monkeypatch.setattr(project, "ask", fake)
    return fake


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Installation]:
    """`installation(official=True)`: sets which CLI the set-up has found."""

    def make(*, official: bool = False) -> Installation:
        executor = None if official else Path("/cache/bin/pulumi-language-python-exec")
        cli = Installation(Path("/cache/bin/pulumi"), official, executor, "3.274.1")
        monkeypatch.setattr(project, "find", lambda: cli)
        return cli

    return make


@pytest.fixture(scope="session")
def real_cli() -> Installation:
    """The CLI of this machine. Tests that use it are `thorough`: `make test` prepares it, `make test-fast` does not."""
    cli = pulumi_cli.find()
    assert cli is not None, "there is no Pulumi CLI on this machine: make setup"
    return cli
