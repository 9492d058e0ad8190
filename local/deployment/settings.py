"""The stack "local": its settings file, made for this machine, and how its program reaches the local Azure.

The template `local/Pulumi.local.yaml` says what the stack is; this module adds what only this machine knows (the SQL
port, the base image) and the secrets that a person would type at `pulumi config set --secret`. The result lies in the
local Azure's folder, beside the stack's state.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import yaml

from local.deployment import project
from local.deployment.project import Stack
from local.errors import LocalError
from local.paths import CHECKOUT, LOCAL_STACK, Paths, write_private
from local.processes.running import read_cloud

TEMPLATE = CHECKOUT / "local" / "Pulumi.local.yaml"
SECRETS = ("adminPassword", "userPassword")
SALT = "encryptionsalt"  # written by Pulumi with the first secret; the passphrase is checked against it


def stack(paths: Paths, environment: Mapping[str, str] | None = None) -> Stack:
    """The stack "local" of this home; `environment` says which cloud it reaches (`cloud_environment`)."""
    return Stack(LOCAL_STACK, paths.stack, environment or {})


def key(name: str) -> str:
    """The full configuration key of one of the program's settings."""
    return f"{project.project_name()}:{name}"


def template() -> dict[str, Any]:
    """The template's configuration. What its values must be is for the program to say."""
    config = project.read_yaml(TEMPLATE).get("config")
    if not isinstance(config, dict):
        raise LocalError(f"{TEMPLATE} has no settings", next_step="write them under `config:`")
    return config


def template_section(name: str) -> dict[str, Any]:
    """One section of the template, to be completed."""
    value = template().get(key(name), {})
    if not isinstance(value, dict):
        raise LocalError(
            f"{TEMPLATE}: {key(name)} must be a section of keys and values, got {value!r}",
            next_step="correct it; Pulumi.dev.yaml shows its form",
        )
    return value


def prepare(paths: Paths, machine: Mapping[str, Any]) -> None:
    """Bring the stack and its settings up to date: the template, then `machine`, then the secrets that it has already.

    Secrets that are missing are generated and handed to Pulumi on stdin, which encrypts them with the passphrase.
    """
    this = stack(paths)
    _ensure_passphrase(this)
    project.ensure_stack(this)
    old = _settings_file(this)
    kept = {name: value for name in map(key, SECRETS) if (value := (old.get("config") or {}).get(name))}
    new = {SALT: old[SALT]} if SALT in old else {}
    new |= {"config": {**template(), **machine, **kept}}
    if new != old:
        write_private(this.settings_file, yaml.safe_dump(new, sort_keys=False, allow_unicode=True).encode())
    for name in SECRETS:
        if key(name) not in kept:
            project.ask(this, "config", "set", "--secret", name, stdin=secrets.token_urlsafe(18) + "aA1!")


def _settings_file(this: Stack) -> dict[str, Any]:
    return project.read_yaml(this.settings_file) if this.settings_file.exists() else {}


def _ensure_passphrase(this: Stack) -> None:
    """Make the passphrase that encrypts the stack's secrets, once, readable by its owner only."""
    if this.passphrase_file.exists():
        return
    if SALT in _settings_file(this):
        raise LocalError(
            f"{this.passphrase_file} is gone, and the secrets of the stack 'local' were sealed with it",
            next_step="put it back, or forget everything deployed locally: python -m local reset --yes",
        )
    write_private(this.passphrase_file, secrets.token_urlsafe(32).encode())


def require_settings(paths: Paths) -> None:
    """Raise `LocalError` for a stack that was neither deployed nor previewed yet."""
    if not stack(paths).settings_file.exists():
        raise LocalError(
            "the stack 'local' has no settings yet",
            cause="it was never deployed from this checkout",
            next_step="make up",
        )


def cloud_environment(paths: Paths) -> dict[str, str]:
    """azure-native's own environment variables, which name the running local Azure and its credentials."""
    cloud, ca = read_cloud(paths), str(paths.ca)
    return {
        "ARM_METADATA_HOSTNAME": cloud["arm"].removeprefix("https://"),
        "ARM_CLIENT_ID": cloud["client_id"],
        "ARM_CLIENT_SECRET": cloud["client_secret"],
        "ARM_TENANT_ID": cloud["tenant_id"],
        "ARM_SUBSCRIPTION_ID": cloud["subscription_id"],
        "SSL_CERT_FILE": ca,
        "REQUESTS_CA_BUNDLE": ca,
    }
