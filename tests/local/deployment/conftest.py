"""A Pulumi CLI for tests: a stand-in that keeps settings as the real one does, and the real one where it matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from local.deployment import project
from local.deployment.project import Stack
from tests.local.conftest import paths
from tools.setup import pulumi_cli
from tools.setup.pulumi_cli import Installation

__all__ = ["paths"]
SALT = "v1:salt"


class Settings:
    """Stands for `pulumi stack init` and `pulumi config set --secret`; notes the calls and what came by stdin."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.secrets: dict[str, str] = {}

    def __call__(self, stack: Stack, *arguments: str, stdin: str | None = None) -> str:
        self.calls.append(arguments)
        match arguments:
            case ("stack", "init", _):
                stack.state_file.parent.mkdir(parents=True, exist_ok=True)
                stack.state_file.write_text("{}")
                self._change(stack.settings_file, {})
            case ("config", "set", "--secret", name):
                assert stdin is not None
                self.secrets[name] = stdin
                self._change(stack.settings_file, {f"azure-batch-platform:{name}": {"secure": f"sealed {name}"}})
            case _:
                raise AssertionError(f"not expected: pulumi {' '.join(arguments)}")
        return ""

    def _change(self, file: Path, config: dict[str, object]) -> None:
        body = yaml.safe_load(file.read_text()) if file.exists() else {}
        body["encryptionsalt"] = SALT
        body["config"] = {**body.get("config", {}), **config}
        file.write_text(yaml.safe_dump(body))
        file.chmod(0o600)


@pytest.fixture
def settings_cli(monkeypatch: pytest.MonkeyPatch) -> Settings:
    fake = Settings()
    monkeypatch.setattr(project, "ask", fake)
    return fake


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Installation]:
    """`installation(official=True)`: what the set-up is said to have found."""

    def found(*, official: bool = False) -> Installation:
        executor = None if official else Path("/cache/bin/pulumi-language-python-exec")
        made = Installation(Path("/cache/bin/pulumi"), official, executor, "3.274.1")
        monkeypatch.setattr(project, "find", lambda: made)
        return made

    return found


@pytest.fixture(scope="session")
def real_cli() -> Installation:
    """The CLI of this machine. Tests that use it are `thorough`: `make test` prepares it, `make test-fast` does not."""
    found = pulumi_cli.find()
    assert found is not None, "there is no Pulumi CLI on this machine: make setup"
    return found
