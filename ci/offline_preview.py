"""Previews of the real stacks by the real Pulumi CLI: they reach no cloud, read no secret and are alike for everybody.

What only a subscription or a secret's owner knows is a labelled placeholder from `local/offline/STACK.yaml`. Project
file, stack file, state and `PULUMI_HOME` are made anew in a folder of ours; the user's own variables for Pulumi and
Azure are taken away.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
PLACEHOLDERS: Final = ROOT / "local" / "offline"
PLUGINS: Final = ROOT / "local" / "plugins"
POLICY: Final = ROOT / "policy"
FOREIGN: Final = ("PULUMI_", "ARM_", "AZURE_")
LIMIT_SECONDS: Final = 300


class PreviewError(Exception):
    """The CLI could not preview a stack; the message has its own words."""


def preview_json(stack: str, folder: Path) -> dict[str, Any]:
    """The digest that `pulumi preview --json` prints for a stack that keeps the policy pack's rules.

    `folder` will hold what the CLI needs. Raises `PreviewError`, with the violated rules if it is they.
    """
    prepare(stack, folder)
    command = ("preview", "--stack", stack, "--policy-pack", str(POLICY))
    done = pulumi(folder, *command, "--json", environment=offline(stack))
    if done.returncode:
        told = pulumi(folder, *command, environment=offline(stack))  # a digest does not tell of violations
        raise PreviewError(
            f"`pulumi preview` of stack {stack} failed (exit code {done.returncode}):\n{told.stdout}{told.stderr}\n"
            f"Next step: make preview STACK={stack}"
        )
    return json.loads(done.stdout)


def prepare(stack: str, folder: Path, *, main: Path = ROOT, settings: Mapping[str, Any] | None = None) -> None:
    """Make the project in `folder`: the program in `main` with `settings` (the real stack file's unless given)."""
    real, placeholders = ROOT / f"Pulumi.{stack}.yaml", PLACEHOLDERS / f"{stack}.yaml"
    if settings is None:
        if not (real.exists() and placeholders.exists()):
            raise PreviewError(f"there is no stack {stack!r}; one of {', '.join(stacks())}")
        # Where the stack belongs is checked against the deployer, for whom a placeholder stands here.
        config = {
            key: value
            for key, value in yaml.safe_load(real.read_text())["config"].items()
            if not key.endswith((":subscription_id", ":tenant_id"))
        }
    else:
        config = dict(settings)
    folder.mkdir(parents=True, exist_ok=True)
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    project["main"] = str(main)
    project["runtime"]["options"]["virtualenv"] = str(ROOT / project["runtime"]["options"]["virtualenv"])
    providers = {"azure-native": "azure-native", "docker": "docker"}
    project["plugins"] = {"providers": [{"name": name, "path": str(PLUGINS / at)} for name, at in providers.items()]}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    _succeed(folder, "stack", "init", stack)
    (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": config}))
    secrets = (yaml.safe_load(placeholders.read_text()) if placeholders.exists() else {}).get("secrets", {})
    if secrets and main == ROOT:
        words = [word for key, text in secrets.items() for word in ("--secret", f"{key}={text}")]
        _succeed(folder, "config", "set-all", "--stack", stack, *words)


def offline(stack: str) -> dict[str, str]:
    """How the plugins are told to reach no cloud, and what stands in for it."""
    return {"PULUMI_STANDIN_OFFLINE": str(PLACEHOLDERS / f"{stack}.yaml")}


def stacks() -> list[str]:
    """The stacks that can be previewed offline."""
    return sorted(file.stem for file in PLACEHOLDERS.glob("*.yaml"))


def pulumi(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess:
    """Run the CLI in a folder that `prepare` made, with nothing of the user's own Pulumi. Never asks a question."""
    program = shutil.which("pulumi")
    if program is None:
        raise PreviewError("there is no Pulumi CLI. Next step: make setup")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN) or key in _FOR_OUR_HOST}
    settings = {
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "placeholders are no secrets",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    return subprocess.run(
        [program, *arguments, "--non-interactive", "--color", "never"],
        cwd=folder,
        env=kept | settings | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


_FOR_OUR_HOST: Final = ("PULUMI_PYTHON", "PULUMI_LANGUAGE_PYTHON_EXEC")


def _succeed(folder: Path, *arguments: str) -> None:
    done = pulumi(folder, *arguments)
    if done.returncode and "already exists" not in done.stderr:
        raise PreviewError(f"`pulumi {' '.join(arguments[:2])}` failed (exit code {done.returncode}): {done.stderr}")
