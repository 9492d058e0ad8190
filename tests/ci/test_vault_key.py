"""A stack's secrets, sealed by a vault's key: the real CLI, signed in by the file that `ci/federation.py` keeps."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import federation
from local.azure.control_plane.ids import FEDERATED_CREDENTIALS
from local.azure.control_plane.ids import USER_ASSIGNED_IDENTITIES as IDENTITIES
from local.azure.control_plane.resources import Resource
from tests.azure.running import RunningAzure
from tests.ci import github_server, key_vault, runner
from tests.ci.github_server import FakeGitHub, subject_of
from tests.ci.key_vault import KeyVault

pytestmark = pytest.mark.thorough

KEY, VAULT = "pulumi-dev", "kv-abp-5f3c"
CLIENTS = {
    name: (f"{digit * 8}-0000-4000-8000-000000000001", f"{digit * 8}-0000-4000-8000-000000000002")
    for name, digit in (("dev", "1"), ("preview", "2"))
}
SECRET = "canary-of-the-stack-0aA!"


class Job:
    """Runs the CLI as a job of a GitHub environment does."""

    def __init__(self, azure: RunningAzure, github: FakeGitHub, vault: KeyVault, folder: Path) -> None:
        self.azure = azure
        self.github = github
        self.vault = vault
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "Pulumi.yaml").write_text("name: sealed\nruntime: yaml\n")
        (folder / "state").mkdir()

    def pulumi(self, name: str, *words: str, subject: str | None = None) -> subprocess.CompletedProcess[str]:
        cli = runner.installation().pulumi
        cloud = self.azure.cloud
        job = {
            **self.github.start_job(subject or subject_of(name)),
            "ARM_CLIENT_ID": CLIENTS[name][0],
            "ARM_TENANT_ID": cloud.settings.tenant_id,
        }
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.folder}/state",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "HTTPS_PROXY": self.vault.proxy,
            "SSL_CERT_FILE": str(self.azure.paths.ca),
            "AZURE_AUTHORITY_HOST": cloud.arm_url,
        }
        with federation.signed_in(job) as variables:
            return subprocess.run(
                [str(cli), *words, "--non-interactive", "--color=never"],
                cwd=self.project,
                env={**environment, **variables},
                input="",
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[RunningAzure]:
    with RunningAzure(tmp_path / "azure") as running:
        yield running


@pytest.fixture
def job(azure: RunningAzure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    monkeypatch.setenv("SSL_CERT_FILE", str(azure.paths.ca))
    with github_server.running(azure.paths) as github, key_vault.running(azure.cloud, VAULT) as vault:
        group = f"/subscriptions/{azure.cloud.settings.subscription_id}/resourceGroups/g/providers"
        for name, (client_id, principal_id) in CLIENTS.items():
            ids = {"clientId": client_id, "principalId": principal_id, "tenantId": azure.cloud.settings.tenant_id}
            identity = f"{group}/{IDENTITIES}/{name}"
            azure.cloud.resources.put(Resource(identity, IDENTITIES, name, properties=ids))
            named = {"issuer": github.url, "subject": subject_of(name), "audiences": [federation.AUDIENCE]}
            place = f"{identity}/federatedIdentityCredentials/github"
            azure.cloud.resources.put(Resource(place, FEDERATED_CREDENTIALS, "github", properties=named))
        vault.allowed[KEY] = {CLIENTS["dev"][1]}
        yield Job(azure, github, vault, tmp_path)


def test_the_key_seals_for_its_identity_and_opens_for_no_other(job: Job) -> None:
    provider = f"azurekeyvault://{job.vault.host}/keys/{KEY}"
    made = job.pulumi("dev", "stack", "init", "dev", "--secrets-provider", provider)
    assert made.returncode == 0, made.stdout + made.stderr
    assert job.pulumi("dev", "config", "set", "--secret", "password", SECRET, "--stack", "dev").returncode == 0
    kept = (job.project / "Pulumi.dev.yaml").read_text()
    assert provider in kept and "encryptedkey" in kept and SECRET not in kept
    shown = job.pulumi("dev", "config", "get", "password", "--stack", "dev")
    assert shown.stdout.strip() == SECRET, shown.stderr
    assert {(verb, who) for verb, _, who in job.vault.operations} == {
        ("encrypt", CLIENTS["dev"][1]),
        ("decrypt", CLIENTS["dev"][1]),
    }
    other = job.pulumi("preview", "config", "get", "password", "--stack", "dev")
    assert other.returncode != 0 and "Forbidden" in other.stderr, other.stderr
    fork = job.pulumi("dev", "config", "get", "password", "--stack", "dev", subject="repo:mallory/x:environment:dev")
    assert fork.returncode != 0 and "AADSTS700213" in fork.stderr, fork.stderr
    assert SECRET not in other.stdout + other.stderr + fork.stdout + fork.stderr
