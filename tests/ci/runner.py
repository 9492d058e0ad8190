"""A machine that runs the pipelines' scripts against a local Azure instead of the public cloud.

What differs from a runner of GitHub's is here, in one place: where Azure is, and that `az` and Pulumi's plugins for
Azure and Docker are this project's stand-ins.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local.deployment import project
from tests.ci import fake_az
from tools.setup import pulumi_cli


def installation() -> pulumi_cli.Installation:
    found = pulumi_cli.find()
    assert found is not None, "there is no Pulumi CLI on this machine: make setup"
    return found


def add_plugins(project_file: Path) -> None:
    """Name our plugins in a project's file; a machine with an installed Pulumi fetches its own."""
    body = yaml.safe_load(project_file.read_text())
    ours = project.project_file(installation())["plugins"]
    project_file.write_text(yaml.safe_dump({**body, "plugins": ours}, sort_keys=False))


def environment(folder: Path, cloud: Mapping[str, Any], job: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a machine has before a workflow says anything, with everything that it keeps in `folder`.

    `job` is what GitHub gives to a job with `id-token: write`: then there is no secret, and the workflow's file says
    who it is. Without it a person is signed in as the local Azure's deployer.
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
        "SSL_CERT_FILE": cloud["ca"],
        "REQUESTS_CA_BUNDLE": cloud["ca"],
        # For azure-identity: ask the `az` that plays. Its own sign-in by AZURE_FEDERATED_TOKEN_FILE would first ask
        # login.microsoftonline.com whether our authority is one of Microsoft's.
        "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential",
    }
    if job is not None:
        found |= job
    else:
        found |= {
            "ARM_CLIENT_ID": cloud["client_id"],
            "ARM_CLIENT_SECRET": cloud["client_secret"],
            "ARM_TENANT_ID": cloud["tenant_id"],
            "ARM_SUBSCRIPTION_ID": cloud["subscription_id"],
        }
    if cli.executor is not None and not cli.official:
        found[project.EXECUTOR_VARIABLE] = str(cli.executor)
    return found
