"""The scripts of main, drift and destroy, in order, on the local Azure with the real CLI.

Main and drift use the deployed stack; destroy removes a second one without nodes. What a pull request shows is in
`tests/ci/test_rehearsal.py`.
"""

from __future__ import annotations

import getpass
import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.ci import github_server
from tests.ci.github_server import REPOSITORY, TOKEN, FakeGitHub
from tests.scenarios.checkout import Checkout, Run
from tests.scenarios.deployed.stack import Stack

pytestmark = pytest.mark.docker
failed_steps: list[str] = []
"""Tests after a failed one are skipped (`conftest.py` of the scenarios)."""


class Pipeline:
    """A job of a workflow: the checkout, and the variables that `python -m local env` gives a shell."""

    def __init__(self, checkout: Checkout, github: FakeGitHub) -> None:
        self.checkout = checkout
        exported = checkout.module("local", "env").out
        self.variables = dict(
            shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in exported.splitlines() if "=" in line
        )
        self.variables |= {
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_STEP_SUMMARY": str(checkout.home / "summary.md"),
        }

    def run(self, *arguments: str, **more: str) -> Run:
        command = [str(self.checkout.python), "-m", *arguments]
        settings = [f"{name}={value}" for name, value in {**self.variables, **more}.items()]
        return self.checkout.run("env", *settings, *command)

    def pulumi(self, *words: str) -> Run:
        settings = [f"{name}={value}" for name, value in self.variables.items()]
        done = self.checkout.run("env", *settings, "pulumi", *words, "--non-interactive", "--color=never")
        assert done.code == 0, done.text
        return done


@pytest.fixture(scope="module")
def github() -> Iterator[FakeGitHub]:
    with github_server.running() as fake:
        yield fake


@pytest.fixture(scope="module")
def pipeline(deployed: Checkout, github: FakeGitHub) -> Pipeline:
    return Pipeline(deployed, github)


def test_main_deploys_waits_for_the_nodes_and_reaches_sql_server(pipeline: Pipeline) -> None:
    done = pipeline.run("ci.deploy", "local", "--recover-lock")
    assert done.code == 0, done.text
    for step in ("pulumi up of stack local", "wait for the nodes of stack local", "smoke job"):
        assert f"==> {step}" in done.err
    assert "4 succeeded, 0 failed" in done.text


def test_the_lock_that_a_cancelled_run_left_is_told_and_recovered(pipeline: Pipeline, deployed: Checkout) -> None:
    locks = deployed.home / "stack" / ".pulumi" / "locks" / "organization" / "azure-batch-platform" / "local"
    locks.mkdir(parents=True, exist_ok=True)
    name = "aaaaaaaa-0000-4000-8000-000000000000.json"
    left = {
        "pid": 4_000_000,
        "username": getpass.getuser(),
        "hostname": "another-runner",
        "timestamp": "2026-11-26T20:00:00Z",
    }
    (locks / name).write_text(json.dumps(left))
    refused = pipeline.run("ci.destroy", "local", "--typed", "locale")
    assert refused.code == 2 and (locks / name).exists()
    script = "import sys; from ci import deploy; deploy.jobs = lambda *a: 0; sys.exit(deploy.main(sys.argv[1:]))"
    words = [str(deployed.python), "-c", script, "local", "--recover-lock"]
    settings = [f"{key}={value}" for key, value in pipeline.variables.items()]
    done = deployed.run("env", *settings, *words)
    assert done.code == 0, done.text
    assert "@another-runner (process 4000000) since 2026-11-26T20:00:00Z" in done.err
    assert not (locks / name).exists()


def test_drift_is_silent_when_only_modes_differ(pipeline: Pipeline, deployed: Checkout, github: FakeGitHub) -> None:
    for file in (deployed.root / "worker").rglob("*.py"):
        file.chmod(0o664)
    done = pipeline.run("ci.drift", "local", "--issue")
    assert done.code == 0, done.text
    assert github.issues == []


def test_drift_opens_an_issue_that_says_what_differs_and_closes_it(
    pipeline: Pipeline, stack: Stack, github: FakeGitHub
) -> None:
    account, name = stack.batch_management.batch_account, stack.outputs["batch_account"]
    account.update(stack.group, name, {"tags": {"who": "changed by hand"}})
    assert pipeline.run("ci.drift", "local", "--issue").code == 0
    (issue,) = github.issues
    assert "`batch:BatchAccount` `batch`" in issue["body"] and "changed by hand" in issue["body"]
    account.update(stack.group, name, {"tags": {}})
    assert pipeline.run("ci.drift", "local", "--issue").code == 0
    assert issue["state"] == "closed"


def test_destroy_refuses_what_is_protected_and_leaves_nothing_of_the_rest(
    pipeline: Pipeline, deployed: Checkout, stack: Stack
) -> None:
    """A second stack in the same backend, without nodes: it is made, protected, refused, and removed."""
    folder = deployed.home / "stack"
    settings = yaml.safe_load((folder / "Pulumi.local.yaml").read_text())
    (folder / "Pulumi.gone.yaml").write_text(yaml.safe_dump(without_nodes(settings)))
    before = {group.name for group in stack.resources.resource_groups.list()}
    pipeline.pulumi("stack", "init", "gone")
    pipeline.pulumi("up", "--stack", "gone", "--yes", "--skip-preview")
    exported = json.loads(pipeline.pulumi("stack", "export", "--stack", "gone").out)["deployment"]["resources"]
    (group,) = [one["urn"] for one in exported if one["type"] == "azure-native:resources:ResourceGroup"]
    pipeline.pulumi("state", "protect", group, "--stack", "gone", "--yes")
    refused = pipeline.run("ci.destroy", "gone", "--typed", "gone")
    assert refused.code == 2
    assert "azure-native:resources:ResourceGroup group" in refused.err and "nothing was deleted" in refused.err
    pipeline.pulumi("state", "unprotect", group, "--stack", "gone", "--yes")
    done = pipeline.run("ci.destroy", "gone", "--typed", "gone")
    assert done.code == 0, done.text
    assert "nothing is left" in done.err
    assert {group.name for group in stack.resources.resource_groups.list()} == before


def without_nodes(settings: Any) -> Any:
    """The same settings with no machine in any pool."""
    if isinstance(settings, dict):
        return {key: 0 if key.endswith("_nodes") else without_nodes(value) for key, value in settings.items()}
    return settings
