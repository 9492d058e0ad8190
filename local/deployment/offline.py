"""Previews of the real stacks (dev, prod) by the real CLI that reach no cloud and read no secret.

What only a subscription or a secret's owner knows is a labelled placeholder from `local/offline/STACK.yaml`; everything
else is the stack file as it stands. Such a stack has a folder and a backend of its own, and it is only good for
previews: whoever wants to deploy it uses `pulumi up -s STACK`.
"""

from __future__ import annotations

from typing import Any

import yaml

from local.deployment import project
from local.deployment.project import Stack
from local.deployment.settings import LOCAL, SALT
from local.errors import LocalError
from local.paths import CHECKOUT, Paths, write_private

PLACEHOLDERS = CHECKOUT / "local" / "offline"
VARIABLE = "PULUMI_STANDIN_OFFLINE"  # read by local/plugins/azure_native
# How a stack file says that secrets are encrypted, and for whom. Offline nobody can decrypt them.
ENCRYPTION = (SALT, "encryptedkey", "secretsprovider")


def stacks() -> list[str]:
    """The stacks that can be previewed offline."""
    return sorted(file.stem for file in PLACEHOLDERS.glob("*.yaml"))


def prepare(paths: Paths, name: str) -> Stack:
    """The stack with placeholders, ready for a preview. Raises `LocalError` for a stack that does not exist."""
    real, placeholders = CHECKOUT / f"Pulumi.{name}.yaml", PLACEHOLDERS / f"{name}.yaml"
    if name not in stacks() or not real.exists():
        raise LocalError(f"there is no stack '{name}'", next_step=f"one of: {', '.join([LOCAL, *stacks()])}")
    folder = paths.home / "offline" / name
    stack = Stack(name, folder, folder / "passphrase", {VARIABLE: str(placeholders)})
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(stack.passphrase_file, b"placeholders are no secrets")
    project.ensure_stack(stack)
    secrets = project.read_yaml(placeholders).get("secrets") or {}
    body = without_secrets(project.read_yaml(real))
    known = project.read_yaml(stack.settings_file) if stack.settings_file.exists() else {}
    sealed = {key: known.get("config", {}).get(key) for key in map(_full, secrets)}
    if all(sealed.values()) and known == {SALT: known.get(SALT), **body, "config": {**body["config"], **sealed}}:
        return stack
    write_private(stack.settings_file, yaml.safe_dump(body, sort_keys=False, allow_unicode=True).encode())
    words = [word for key, text in secrets.items() for word in ("--secret", f"{key}={text}")]
    if words:
        project.ask(stack, "config", "set-all", *words)
    return stack


def without_secrets(body: dict[str, Any]) -> dict[str, Any]:
    """A stack file without its encrypted values: their placeholders are set afterwards."""
    config = {key: value for key, value in (body.get("config") or {}).items() if not _is_secret(value)}
    return {**{key: value for key, value in body.items() if key not in ENCRYPTION}, "config": config}


def refuse(verb: str, name: str) -> LocalError:
    """Why a stack other than "local" cannot be changed from here."""
    return LocalError(
        f"`{verb}` of stack {name} is not for `python -m local`",
        cause=f"here {name} has placeholders instead of a subscription: it can be previewed, and nothing else",
        next_step=f"pulumi {verb} -s {name}   (docs/first-real-run.md)",
    )


def _full(key: str) -> str:
    return key if ":" in key else f"{project.project_name()}:{key}"


def _is_secret(value: object) -> bool:
    """`secure:` anywhere in the value makes the whole of it secret."""
    if isinstance(value, dict):
        return set(value) == {"secure"} or any(map(_is_secret, value.values()))
    return isinstance(value, list) and any(map(_is_secret, value))
