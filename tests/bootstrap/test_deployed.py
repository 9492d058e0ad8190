"""The bootstrap by its command, with the real CLI on a local Azure: made once, and the same the second time."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bootstrap.rights import identities
from tests.ci import noop_azure, runner
from tests.ci.noop_azure import NoopAzure
from tests.scenarios.checkout import Checkout, Run

pytestmark = pytest.mark.thorough

REPOSITORY = "team/platform"


class Machine:
    """Whoever runs the bootstrap: an Owner with a checkout and a CLI, signed in."""

    def __init__(self, folder: Path, azure: NoopAzure) -> None:
        (folder / "checkout").mkdir()
        self.checkout = Checkout(folder / "checkout")
        self._project = self.checkout.root / "bootstrap"
        runner.add_plugins(self._project / "Pulumi.yaml")
        self._environment = runner.environment(folder, azure.cloud)
        self._subscription = str(azure.cloud["subscription_id"])

    def bootstrap(self, *more: str) -> Run:
        environments = [f"--environment={name}={self._subscription}" for name in ("dev", "prod")]
        words = [str(self.checkout.python), "-m", "ci.bootstrap", "--repository", REPOSITORY, *environments, *more]
        return self._run(words, self.checkout.root)

    def pulumi(self, *words: str) -> Run:
        return self._run(["pulumi", *words, "--stack", "shared", "--non-interactive"], self._project)

    def _run(self, words: list[str], folder: Path) -> Run:
        own = {"PULUMI_BACKEND_URL": f"file://{self.checkout.root}/.bootstrap", "PULUMI_CONFIG_PASSPHRASE": ""}
        environment = {name: text for name, text in self._environment.items() if "PASSPHRASE" not in name}
        if words[0] == "pulumi":
            environment |= own
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NoopAzure]:
    with noop_azure.running(tmp_path_factory.mktemp("bootstrap") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def machine(azure: NoopAzure, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("machine"), azure)


def printed(run: Run) -> dict[str, Any]:
    """The outputs, which follow Pulumi's own words."""
    return json.loads(run.out[run.out.index("\n{\n") :])


def test_a_preview_makes_nothing(machine: Machine, azure: NoopAzure) -> None:
    done = machine.bootstrap("--preview")
    assert done.code == 0, done.text
    assert re.search(r"^ +\+ \d+ to create$", done.out, re.MULTILINE)
    assert azure.exists() == set()


def test_one_command_makes_state_keys_and_an_identity_for_each_environment(machine: Machine, azure: NoopAzure) -> None:
    done = machine.bootstrap()
    assert done.code == 0, done.text
    assert "could delete the states and keys of the others" in done.text, (
        "both deploy to the subscription of the states"
    )
    wanted = identities({"dev": None, "prod": "dev"})
    outputs = printed(done)
    assert set(outputs["github_variables"]) == {one.name for one in wanted}
    there = {name.rpartition("/")[2] for name in azure.exists()}
    assert {f"id-abp-ci-{one.name}" for one in wanted} | {"rg-abp-ci"} <= there
    group = f"/subscriptions/{azure.cloud['subscription_id']}/resourceGroups/rg-abp-ci"
    for one in wanted:
        identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-abp-ci-{one.name}"
        found: Any = azure.arm.resources.get_by_id(
            f"{identity}/federatedIdentityCredentials/github", api_version="2023-01-31"
        )
        assert found.properties["subject"] == f"repo:{REPOSITORY}:environment:{one.name}"
        shown = outputs["github_variables"][one.name]
        kept: Any = azure.arm.resources.get_by_id(identity, api_version="2023-01-31")
        assert shown["AZURE_CLIENT_ID"] == kept.properties["clientId"]
        assert {f"PULUMI_BACKEND_URL_{name.upper()}" for name in one.environments} <= set(shown)


def test_run_again_it_changes_nothing(machine: Machine) -> None:
    done = machine.bootstrap()
    assert done.code == 0, done.text
    assert re.search(r"^ +\d+ unchanged$", done.out, re.MULTILINE)
    assert not re.search(r"^ +[+~-]\S* \d+ ", done.out, re.MULTILINE), done.out


def test_a_mistyped_destroy_of_it_removes_nothing(machine: Machine, azure: NoopAzure) -> None:
    state = json.loads(machine.pulumi("stack", "export").out)["deployment"]["resources"]
    kinds = {one["type"].rpartition(":")[2] for one in state if one.get("protect")}
    assert kinds == {"ResourceGroup", "StorageAccount", "BlobContainer", "Vault", "Key", "UserAssignedIdentity"}
    before = azure.exists()
    done = machine.pulumi("destroy", "--yes")
    assert done.code != 0 and "because it is protected" in done.text
    assert azure.exists() == before
