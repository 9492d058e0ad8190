"""Previews of the real stacks (dev, prod) by the real CLI that reach no cloud and read no secret.

What only a subscription or a secret's owner knows is a labelled placeholder from `local/offline/STACK.yaml`; everything
else is the stack file as it stands. Such a stack has a folder and a backend of its own, and it is only good for
previews: whoever wants to deploy it uses `pulumi up -s STACK`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local.deployment import project
from local.deployment.project import Stack
from local.deployment.settings import SALT
from local.errors import LocalError
from local.paths import CHECKOUT, LOCAL_STACK, write_private

PLACEHOLDERS = CHECKOUT / "local" / "offline"
VARIABLE = "PULUMI_STANDIN_OFFLINE"  # read by local/plugins/azure_native
# How a stack file says that secrets are encrypted, and for whom. Offline nobody can decrypt them.
ENCRYPTION = (SALT, "encryptedkey", "secretsprovider")


def stacks() -> list[str]:
    """The stacks that can be previewed offline."""
    return sorted(file.stem for file in PLACEHOLDERS.glob("*.yaml"))


def real_settings(name: str) -> dict[str, Any]:
    """The stack file of a real stack. Raises `LocalError` for a stack that does not exist."""
    file = CHECKOUT / f"Pulumi.{name}.yaml"
    if name not in stacks() or not file.exists():
        raise LocalError(f"there is no stack '{name}'", next_step=f"one of: {', '.join([LOCAL_STACK, *stacks()])}")
    return project.read_yaml(file)


def prepare(folder: Path, name: str) -> Stack:
    """Write a real stack and its placeholders into `folder`, ready for a preview."""
    settings, placeholders = real_settings(name), PLACEHOLDERS / f"{name}.yaml"
    stack = Stack(name, folder, {VARIABLE: str(placeholders)})
    prepare_stack(stack, public_settings(settings), project.read_yaml(placeholders).get("secrets") or {})
    return stack


def prepare_stack(stack: Stack, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    """Make the stack and its settings file, `secrets` (placeholders, by key) sealed in it. Cached by content."""
    stack.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(stack.passphrase_file, b"placeholders are no secrets")
    project.ensure_stack(stack)
    # Not compared with the settings file itself: Pulumi writes it anew, and makes text of numbers and booleans.
    content = json.dumps([settings, dict(secrets)], sort_keys=True, default=str)
    stamp = stack.folder / "settings.json"
    if stamp.exists() and stamp.read_text() == content:
        return
    stamp.unlink(missing_ok=True)
    write_private(stack.settings_file, yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True).encode())
    if secrets:
        options = [f"--secret={key}={text}" for key, text in secrets.items()]
        project.ask(stack, "config", "set-all", *options)
    write_private(stamp, content.encode())


def digest(stack: Stack) -> dict[str, Any]:
    """What `pulumi preview --json` prints for a stack that obeys the policy pack's rules.

    Raises `LocalError` with Pulumi's own message, which names the rules that were violated.
    """
    command = ("preview", "--policy-pack", str(project.POLICY))
    done = project.capture(stack, *command, "--json")
    if done.returncode:
        shown = project.capture(stack, *command)  # with --json the CLI does not show violations
        raise LocalError(
            f"`pulumi preview` of stack {stack.name} failed (exit code {done.returncode})",
            cause=f"{shown.stdout}{shown.stderr}".strip(),
            next_step=f"make preview STACK={stack.name}",
        )
    return json.loads(done.stdout)


def public_settings(body: Mapping[str, Any]) -> dict[str, Any]:
    """A stack file without what a placeholder stands for here: encrypted values, subscription and tenant.

    The program compares `subscription_id` and `tenant_id` with the deployer's.
    """
    config = {
        key: value
        for key, value in (body.get("config") or {}).items()
        if not _is_secret(value) and not key.endswith((":subscription_id", ":tenant_id"))
    }
    return {**{key: value for key, value in body.items() if key not in ENCRYPTION}, "config": config}


def refuse(verb: str, name: str) -> LocalError:
    """Why a stack other than "local" cannot be changed from here."""
    return LocalError(
        f"`{verb}` of stack {name} is not for `python -m local`",
        cause=f"here {name} has placeholders instead of a subscription: it can be previewed, and nothing else",
        next_step=f"pulumi {verb} -s {name}   (docs/first-real-run.md)",
    )


def _is_secret(value: object) -> bool:
    """`secure:` anywhere in the value makes the whole of it secret."""
    if isinstance(value, dict):
        return set(value) == {"secure"} or any(map(_is_secret, value.values()))
    return isinstance(value, list) and any(map(_is_secret, value))
