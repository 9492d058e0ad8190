"""The stack "local": its settings file and the engine's project, made for this machine.

The template `local/Pulumi.local.yaml` says what the stack is; this module adds what only this machine knows (the SQL
port, the base image) and the secrets that `pulumi config set --secret` would have been asked for. The result lies in
the local Azure's folder, beside the stack's state.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local.engine.project import Project
from local.engine.stack_file import read_stack_file, set_secret
from local.errors import LocalError
from local.paths import CHECKOUT, Paths
from local.processes.running import read_cloud

TEMPLATE = CHECKOUT / "local" / "Pulumi.local.yaml"
PROJECT_FILE = CHECKOUT / "local" / "Pulumi.yaml"
OFFLINE = CHECKOUT / "local" / "offline"
PROJECT = "azure-batch-platform"
SECRETS = (f"{PROJECT}:adminPassword", f"{PROJECT}:userPassword")


def passphrase(paths: Paths) -> str:
    """The passphrase that seals the local stack's secrets: made once, readable by its owner only."""
    file = paths.stack / "passphrase"
    try:
        return file.read_text()
    except FileNotFoundError:
        if "encryptionsalt" in _known_settings(paths):
            raise LocalError(
                f"{file} is gone, and the secrets of the stack 'local' were sealed with it",
                next_step="put it back, or forget everything deployed locally: python -m local reset --yes",
            ) from None
        text = secrets.token_urlsafe(32)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(text)
        return text


def template() -> dict[str, Any]:
    """The template's configuration. What its values must be is for the program to say."""
    config = read_stack_file(TEMPLATE).get("config")
    if not isinstance(config, dict):
        raise LocalError(f"{TEMPLATE} has no settings", next_step="write them under `config:`")
    return config


def template_value(section: str) -> dict[str, Any]:
    """One section of the template, to be completed."""
    value = template().get(f"{PROJECT}:{section}", {})
    if not isinstance(value, dict):
        raise LocalError(
            f"{TEMPLATE}: {PROJECT}:{section} must be a section of keys and values, got {value!r}",
            next_step="correct it; Pulumi.dev.yaml shows its form",
        )
    return value


def settings_file(paths: Paths) -> Path:
    return paths.stack / "Pulumi.local.yaml"


def _known_settings(paths: Paths) -> dict[str, Any]:
    file = settings_file(paths)
    return read_stack_file(file) if file.exists() else {}


def write_settings(paths: Paths, machine: Mapping[str, Any]) -> None:
    """Write the settings: the template, then `machine`, then the secrets that the file has already."""
    file, known = settings_file(paths), _known_settings(paths)
    kept = {key: value for key, value in (known.get("config") or {}).items() if key in SECRETS}
    wanted = {key: value for key, value in known.items() if key == "encryptionsalt"}
    wanted |= {"config": {**template(), **machine, **kept}}
    if wanted != known:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            yaml.safe_dump(wanted, out, sort_keys=False)
    for key in SECRETS:
        if key not in kept:
            set_secret(file, key, secrets.token_urlsafe(18) + "aA1!", passphrase(paths))


def require_settings(paths: Paths) -> None:
    """Refuse what needs a stack that was deployed, or at least previewed."""
    if not settings_file(paths).exists():
        raise LocalError(
            "the stack 'local' has no settings yet",
            cause="it was never deployed from this checkout",
            next_step="make up",
        )


def local_project(paths: Paths, environment: Mapping[str, str]) -> Project:
    """The unmodified program with the stack's settings; `environment` says which cloud it reaches."""
    require_settings(paths)
    return Project.load(
        PROJECT_FILE, settings_file(paths), paths.stack, passphrase=passphrase(paths), environment=environment
    )


def cloud_environment(paths: Paths) -> dict[str, str]:
    """How azure-native is told of the running local Azure: by its own settings, and nothing else."""
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


def offline_project(paths: Paths, stack: str) -> Project:
    """A real stack's settings with labelled placeholders, for previews that reach no cloud."""
    settings, placeholders = CHECKOUT / f"Pulumi.{stack}.yaml", OFFLINE / f"{stack}.yaml"
    if not settings.exists() or not placeholders.exists():
        known = sorted(file.stem for file in OFFLINE.glob("*.yaml"))
        raise LocalError(f"there is no stack '{stack}'", next_step=f"one of: local, {', '.join(known)}")
    return Project.load(
        CHECKOUT / "Pulumi.yaml",
        settings,
        paths.stack / "offline",
        passphrase=None,
        environment={},
        offline=placeholders,
    )
