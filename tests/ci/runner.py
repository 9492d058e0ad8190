"""A machine that runs the pipelines' scripts against a local Azure instead of the public cloud.

What differs from a runner of GitHub's is here, in one place: where Azure is, that the sign-in is by a client secret,
and that Pulumi's plugins for Azure and Docker are this project's stand-ins.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from local.deployment import project
from tests.ci import fake_az
from tools.setup import pulumi_cli


@dataclass(frozen=True)
class Identity:
    """Whom a job is signed in as."""

    client_id: str
    secret: str = field(repr=False)


def installation() -> pulumi_cli.Installation:
    found = pulumi_cli.find()
    assert found is not None, "there is no Pulumi CLI on this machine: make setup"
    return found


def add_plugins(project_file: Path) -> None:
    """Name our plugins in a project's file; a machine with an installed Pulumi fetches its own."""
    body = yaml.safe_load(project_file.read_text())
    ours = project.project_file(installation())["plugins"]
    project_file.write_text(yaml.safe_dump({**body, "plugins": ours}, sort_keys=False))


def environment(folder: Path, cloud: Mapping[str, Any], identity: Identity | None = None) -> dict[str, str]:
    """What a machine has before a workflow says anything, with everything that it keeps in `folder`.

    Without an identity it is signed in as the local Azure's deployer, and says so in ARM_CLIENT_ID.
    """
    for part in ("bin", "home", "pulumi"):
        (folder / part).mkdir(exist_ok=True)
    passphrase, az, cli = folder / "passphrase", folder / "bin" / "az", installation()
    passphrase.write_text("of a rehearsal")
    az.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{fake_az.__file__}" "$@"\n')
    az.chmod(0o755)
    found = {
        "PATH": os.pathsep.join([str(folder / "bin"), str(cli.pulumi.parent), os.environ["PATH"]]),
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        "PULUMI_HOME": str(folder / "pulumi"),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_STANDIN_PYTHON": sys.executable,
        "ARM_METADATA_HOSTNAME": cloud["arm"].removeprefix("https://"),
        "ARM_CLIENT_SECRET": identity.secret if identity else cloud["client_secret"],
        "SSL_CERT_FILE": cloud["ca"],
        "REQUESTS_CA_BUNDLE": cloud["ca"],
        "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential",  # for azure-identity: ask the `az` that plays
    }
    if identity is None:
        found |= {
            "ARM_CLIENT_ID": cloud["client_id"],
            "ARM_TENANT_ID": cloud["tenant_id"],
            "ARM_SUBSCRIPTION_ID": cloud["subscription_id"],
        }
    if cli.executor is not None and not cli.official:
        found[project.EXECUTOR_VARIABLE] = str(cli.executor)
    return found
