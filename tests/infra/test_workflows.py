"""The workflows keep to the rules that a reviewer would look for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.recording import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_no_rights_by_itself_and_a_time_limit(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert "contents" in job["permissions"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_full_commit_and_named_by_version(path: Path) -> None:
    uses = re.findall(r"uses: (.+)", path.read_text())
    assert uses
    assert not [use for use in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", use)]


def test_a_fork_never_gets_an_identity() -> None:
    assert len(WORKFLOWS) == 2
    for path in WORKFLOWS:
        triggers = read(path)[True]  # YAML 1.1 reads the key `on` as true
        assert "pull_request_target" not in triggers
        for job in read(path)["jobs"].values():
            if "id-token" in job["permissions"]:
                assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"


def test_the_pull_request_workflow_only_previews() -> None:
    steps = read(ROOT / ".github" / "workflows" / "preview.yml")["jobs"]["preview"]["steps"]
    commands = [step["with"]["command"] for step in steps if "command" in step.get("with", {})]
    assert commands == ["preview"]


def test_the_pull_request_workflow_runs_the_policy_pack() -> None:
    steps = read(ROOT / ".github" / "workflows" / "preview.yml")["jobs"]["preview"]["steps"]
    (pack,) = [step["with"]["policyPacks"] for step in steps if "command" in step.get("with", {})]
    project = yaml.safe_load((ROOT / pack / "PulumiPolicy.yaml").read_text())
    # The environment that the workflow installs is the one that the pack names.
    environment = (ROOT / pack / project["runtime"]["options"]["virtualenv"]).resolve().relative_to(ROOT)
    install = "\n".join(step["run"] for step in steps if "run" in step)
    assert f"python -m venv {environment}\n" in install
    assert "--requirement requirements.txt" in install
    assert re.search(r"^pulumi-policy==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
