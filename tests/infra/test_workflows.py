"""The workflows keep to the rules that a reviewer would look for; what they run are scripts that the tests run, too."""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.recording import ROOT
from tools.pins import ACTIONS

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
COMPOSITES = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
OURS = "github.event.pull_request.head.repo.full_name == github.repository"
RIGHTS = {
    "ci": {"test": {"contents"}, "image": {"contents"}},
    "preview": {"preview": {"contents", "id-token", "pull-requests"}},
    "deploy": {"test": {"contents"}, "dev": {"contents", "id-token"}, "prod": {"contents", "id-token"}},
    "drift": {"drift": {"contents", "id-token", "issues"}},
    "destroy": {"destroy": {"contents", "id-token"}},
}
"""Workflow -> job -> what it may: all of it `read` for contents, `write` for the others."""


def read(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text())


def jobs(path: Path) -> dict[str, Any]:
    return read(path)["jobs"]


def steps(name: str, job: str) -> list[dict[str, Any]]:
    return jobs(FOLDER / f"{name}.yml")[job]["steps"]


def commands(name: str, job: str) -> list[str]:
    return [step["run"] for step in steps(name, job) if "run" in step]


def test_the_workflows_are_those_of_the_table() -> None:
    assert {path.stem: set(jobs(path)) for path in WORKFLOWS} == {name: set(table) for name, table in RIGHTS.items()}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_no_rights_by_itself_and_each_job_only_those_of_the_table(path: Path) -> None:
    assert read(path)["permissions"] == {}
    for name, job in jobs(path).items():
        wanted = {right: "read" if right == "contents" else "write" for right in RIGHTS[path.stem][name]}
        assert job["permissions"] == wanted


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_job_ends_within_an_hour(path: Path) -> None:
    for job in jobs(path).values():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 60


@pytest.mark.parametrize("path", [*WORKFLOWS, *COMPOSITES], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_actions_are_those_of_the_table_by_full_commit_and_named_by_version(path: Path) -> None:
    uses = [use for use in re.findall(r"uses: (.+)", path.read_text()) if not use.startswith("./")]
    table = {f"{name}@{commit}  # {version}" for name, (commit, version) in ACTIONS.items()}
    assert [use for use in uses if use not in table] == []


def test_the_table_of_actions_has_no_line_that_nobody_uses() -> None:
    text = "\n".join(path.read_text() for path in [*WORKFLOWS, *COMPOSITES])
    assert [name for name, (commit, _) in ACTIONS.items() if f"{name}@{commit}" not in text] == []


def test_a_fork_never_gets_an_identity_or_a_token_that_writes() -> None:
    for path in WORKFLOWS:
        triggers = read(path)[True]  # YAML 1.1 reads the key `on` as true
        assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers)
        for job in jobs(path).values():
            if set(job["permissions"]) != {"contents"} and "pull_request" in triggers:
                assert job["if"] == OURS


def test_no_workflow_reads_a_secret() -> None:
    assert [path.name for path in WORKFLOWS if "secrets." in path.read_text()] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_text_of_an_event_is_pasted_into_a_command(path: Path) -> None:
    pasted = [
        step["run"] for job in jobs(path).values() for step in job.get("steps", ()) if "${{" in step.get("run", "")
    ]
    assert pasted == []


def test_what_changes_a_stack_runs_alone_is_never_cancelled_and_gets_the_signal() -> None:
    changing = {("deploy", "dev"): "pulumi-dev", ("deploy", "prod"): "pulumi-prod"}
    for (name, job), group in changing.items():
        concurrency = jobs(FOLDER / f"{name}.yml")[job]["concurrency"]
        assert concurrency == {"group": group, "cancel-in-progress": False}
    destroy = read(FOLDER / "destroy.yml")["concurrency"]
    assert destroy == {"group": "pulumi-${{ inputs.stack }}", "cancel-in-progress": False}
    for name, job in [*changing, ("destroy", "destroy")]:
        (command,) = commands(name, job)
        assert command.startswith("exec "), "a shell in between would not pass the signal of a cancelled run on"
        assert "--recover-lock" in command


def test_recovering_a_lock_is_only_asked_for_where_no_other_run_can_be_alive() -> None:
    for path in WORKFLOWS:
        for name, job in jobs(path).items():
            if any("--recover-lock" in step.get("run", "") for step in job.get("steps", ())):
                group = (job.get("concurrency") or read(path)["concurrency"])["group"]
                assert group.startswith("pulumi-"), name


def test_pull_requests_and_drift_only_preview() -> None:
    for name, script in (("preview", "ci.preview"), ("drift", "ci.drift")):
        (command,) = commands(name, name)
        assert f"-m {script} dev prod " in command


def test_prod_comes_after_dev_in_an_environment_of_its_own_with_the_image_of_dev() -> None:
    deploy = jobs(FOLDER / "deploy.yml")
    assert deploy["dev"]["needs"] == "test" and deploy["prod"]["needs"] == "dev"
    environments = [job["environment"] for path in WORKFLOWS for job in jobs(path).values() if "environment" in job]
    assert sorted(environments) == ["destroy", "dev", "drift", "preview", "prod"]
    assert "--promote-from dev" in commands("deploy", "prod")[0]


def test_destroying_is_by_hand_with_a_typed_name_from_the_main_branch() -> None:
    workflow = read(FOLDER / "destroy.yml")
    assert set(workflow[True]) == {"workflow_dispatch"}
    assert workflow["jobs"]["destroy"]["if"] == "github.ref == 'refs/heads/main'"
    assert '"$STACK" --typed "$TYPED"' in commands("destroy", "destroy")[0]


@pytest.mark.parametrize(("name", "job"), [(path.stem, job) for path in WORKFLOWS for job in jobs(path)])
def test_every_script_that_a_workflow_runs_takes_the_words_it_is_given(
    name: str, job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse names all the words that it does not know: that must be the one which is added here alone."""
    for command in commands(name, job) if "steps" in jobs(FOLDER / f"{name}.yml")[job] else ():
        found = re.search(r"python -m ((?:ci|tools)\.\w+)(.*?)(?:\s+#|$)", command)
        if found is None or found[1] == "tools.setup":
            continue
        words = [word.strip('"').replace("$", "x") for word in found[2].split()]
        with pytest.raises(SystemExit):
            importlib.import_module(found[1]).main([*words, "--no-such-word"])
        assert "unrecognized arguments: --no-such-word\n" in capsys.readouterr().err


def test_jobs_with_an_identity_install_the_locked_packages_and_the_cli_that_the_scripts_know() -> None:
    for path in WORKFLOWS:
        for job in jobs(path).values():
            if "id-token" in job["permissions"]:
                assert {"uses": "./.github/actions/setup"} in job["steps"]
    setup = (ROOT / ".github" / "actions" / "setup" / "action.yml").read_text()
    assert "--require-hashes --only-binary :all: --requirement requirements.txt" in setup
    # The environment that the pack of policies names is the one that is made.
    project = yaml.safe_load((ROOT / "policy" / "PulumiPolicy.yaml").read_text())
    named = os.path.normpath(ROOT / "policy" / project["runtime"]["options"]["virtualenv"])  # it may be a link
    environment = Path(named).relative_to(ROOT)
    assert f"python -m venv {environment}\n" in setup
    assert re.search(r"^pulumi-policy==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    # The CLI is the version that is built for machines without one: the exit codes are its.
    (version,) = re.findall(r"pulumi-version: (\S+)", setup)
    assert f"github.com/pulumi/pulumi/pkg/v3 v{version}" in (ROOT / "tools" / "pulumi" / "go.mod").read_text()
