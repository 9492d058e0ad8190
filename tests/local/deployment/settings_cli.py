"""A stand-in for the Pulumi CLI that keeps a stack's settings as the real one does."""

from __future__ import annotations

from pathlib import Path

import yaml

from local.deployment.project import Stack

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
