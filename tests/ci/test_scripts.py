"""The scripts of the pipelines with a CLI and a GitHub that play: what they ask, what they tell, how they end."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci import deploy, destroy, drift, preview, pulumi
from ci.plans import making
from ci.program import PipelineError
from tests.ci import github_server
from tests.ci.digests import RAN, STORAGE, digest, replaced_pool, step, urn, violation
from tests.ci.fake_cli import FakeCli
from tests.ci.github_server import REPOSITORY, TOKEN, FakeGitHub


@pytest.fixture(autouse=True)
def outside_of_a_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "ACTIONS_", "ARM_", "PULUMI_")):
            monkeypatch.delenv(name)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCli:
    (tmp_path / "bin").mkdir()
    return FakeCli(tmp_path / "bin", monkeypatch)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeGitHub]:
    """A workflow for pull request 7 of the repository."""
    event = {"pull_request": {"number": 7, "head": {"sha": "abc", "repo": {"full_name": REPOSITORY}}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    with github_server.running() as running:
        for name, value in {
            "GITHUB_API_URL": running.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "step-summary"),
        }.items():
            monkeypatch.setenv(name, value)
        yield running


# -- preview -----------------------------------------------------------------------------------------------------------


def test_both_stacks_are_in_one_comment_that_the_next_push_edits(
    cli: FakeCli, fake: FakeGitHub, tmp_path: Path
) -> None:
    cli.plays("preview", "--stack", "dev", out=digest(*replaced_pool()), events=[RAN], times=2)
    cli.plays("preview", "--stack", "prod", out=digest(), events=[RAN], times=2)
    assert preview.main(["dev", "prod", "--comment"]) == 0
    assert preview.main(["dev", "prod", "--comment"]) == 0
    (comment,) = fake.comments
    assert comment["issue"] == 7
    assert "Stack `dev`" in comment["body"] and "Stack `prod`: nothing changes" in comment["body"]
    assert "**new generation**" in (tmp_path / "step-summary").read_text()


def test_the_policy_pack_runs_in_every_preview_and_its_results_are_in_the_comment(
    cli: FakeCli, fake: FakeGitHub
) -> None:
    cli.plays("preview", code=5, out=digest(), events=[violation("pool-images-by-digest", "a tag"), RAN])
    assert preview.main(["dev", "--comment"]) == 1
    (asked,) = cli.asked
    assert asked[asked.index("--policy-pack") + 1] == str(pulumi.POLICY)
    assert "Refused by a policy" in fake.comments[0]["body"]


def test_a_violation_fails_the_check_even_if_the_cli_ends_well(cli: FakeCli) -> None:
    cli.plays("preview", code=0, out=digest(), events=[violation("rule", "message"), RAN])
    assert preview.main(["dev"]) == 1


def test_a_fork_gets_no_preview_at_all(
    cli: FakeCli, fake: FakeGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {"pull_request": {"number": 7, "head": {"sha": "abc", "repo": {"full_name": "mallory/platform"}}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    for words in (["dev"], ["dev", "--comment"]):
        assert preview.main(words) == 2
    assert cli.asked == [] and fake.asked == []
    assert "mallory/platform" in capsys.readouterr().err


def test_a_preview_that_prints_no_plan_is_told_with_the_clis_words(cli: FakeCli, fake: FakeGitHub) -> None:
    cli.plays("preview", code=6, err="error: no stack named 'dev' found")
    assert preview.main(["dev", "--comment"]) == 1
    assert "no stack named 'dev' found" in fake.comments[0]["body"]


def test_without_a_cli_the_next_step_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert preview.main(["dev"]) == 2
    assert "no `pulumi` on PATH" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["--yes", "a b", "", "dev;id", "-s"])
def test_what_is_no_stack_name_reaches_no_command_line(cli: FakeCli, name: str) -> None:
    with pytest.raises(PipelineError, match="no stack name"):
        pulumi.preview(name, {})
    assert cli.asked == []


def test_the_golden_difference_is_that_to_the_base_of_the_pull_request() -> None:
    assert preview.golden_difference("dev", None) == []
    assert preview.golden_difference("no-such-stack", "HEAD") == []
    with pytest.raises(PipelineError, match="fetch-depth"):
        preview.golden_difference("dev", "no-such-revision")


# -- drift -------------------------------------------------------------------------------------------------------------

CHANGED = digest(
    step(
        "update",
        STORAGE,
        "storage",
        {"tags": {"a": "2"}},
        {"tags": {"a": "1"}},
        detailedDiff={"tags.a": {"kind": "update", "inputDiff": True}},
    )
)


def test_drift_opens_one_issue_edits_it_and_closes_it(cli: FakeCli, fake: FakeGitHub) -> None:
    cli.plays("preview", "--stack", "dev", code=7, out=CHANGED, events=[RAN], times=2)
    cli.plays("preview", "--stack", "dev", code=0, out=digest(), events=[RAN], times=2)
    assert [drift.main(["dev", "--issue"]) for _ in range(2)] == [0, 0]
    (issue,) = fake.issues
    assert issue["state"] == "open"
    assert "`tags.a`: `2` → `1`" in issue["body"]
    assert [drift.main(["dev", "--issue"]) for _ in range(2)] == [0, 0]
    assert issue["state"] == "closed" and len(fake.issues) == 1
    assert {"--refresh", "--expect-no-changes"} <= set(cli.asked[0])


def test_drift_that_no_issue_tells_has_pulumis_exit_code(cli: FakeCli) -> None:
    cli.plays("preview", code=7, out=CHANGED)
    assert drift.main(["dev"]) == 7


def test_a_check_that_failed_is_told_and_never_taken_for_no_difference(cli: FakeCli, fake: FakeGitHub) -> None:
    open_issue = fake.add_issue(drift.TITLE, f"{drift.MARKER}\nof yesterday")
    cli.plays("preview", code=1, err="error: no token")
    assert drift.main(["dev", "--issue"]) == 1
    assert open_issue["state"] == "open" and "no token" in open_issue["body"]


def test_a_deployment_under_way_is_no_drift(cli: FakeCli, fake: FakeGitHub, capsys: pytest.CaptureFixture[str]) -> None:
    cli.plays("preview", code=7, out=CHANGED, events=[RAN])
    pending = [{"type": "updating", "resource": {"urn": urn(STORAGE, "storage")}}]
    cli.plays("stack", "export", out={"deployment": {"pending_operations": pending}})
    assert drift.main(["dev", "--issue"]) == 2
    assert fake.issues == []
    assert "stack dev is being changed: updating storage" in capsys.readouterr().err


def test_a_plan_without_changes_is_no_drift_whatever_else_a_refresh_reads(cli: FakeCli, fake: FakeGitHub) -> None:
    cli.plays("preview", code=0, out=CHANGED, events=[RAN])
    assert drift.main(["dev", "--issue"]) == 0
    assert fake.issues == []


# -- deploy ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `python -m jobs` is asked; `fail` names the verb that fails."""
    played: dict[str, Any] = {"asked": [], "fail": ""}

    def jobs(stack: str, environment: Any, *arguments: str) -> int:
        played["asked"].append((stack, *arguments))
        return 3 if arguments[0] == played["fail"] else 0

    monkeypatch.setattr(deploy, "jobs", jobs)
    return played


def test_a_deployment_is_up_then_nodes_then_a_job_that_reaches_sql_server(cli: FakeCli, verbs: dict[str, Any]) -> None:
    cli.plays("up")
    assert deploy.main(["dev"]) == 0
    assert [asked[1] for asked in verbs["asked"]] == ["pools", "submit"]
    assert deploy.SMOKE in verbs["asked"][1] and (pulumi.ROOT / deploy.SMOKE).is_file()
    assert "--policy-pack" in cli.asked[0]


def test_nothing_is_submitted_to_a_stack_whose_up_failed(cli: FakeCli, verbs: dict[str, Any]) -> None:
    cli.plays("up", code=1)
    assert deploy.main(["dev"]) == 1
    assert verbs["asked"] == []


def test_a_step_that_fails_gives_its_exit_code_and_ends_the_deployment(cli: FakeCli, verbs: dict[str, Any]) -> None:
    cli.plays("up")
    verbs["fail"] = "pools"
    assert deploy.main(["dev"]) == 3
    assert [asked[1] for asked in verbs["asked"]] == ["pools"]


def test_the_image_is_promoted_before_anything_is_deployed(
    cli: FakeCli, verbs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(deploy, "promote", lambda source, stack, environment: asked.append((source, stack)) or 1)
    assert deploy.main(["prod", "--promote-from", "dev"]) == 1
    assert asked == [("dev", "prod")] and cli.asked == [] and verbs["asked"] == []


def test_each_stack_has_its_own_state_and_subscription_where_variables_name_them() -> None:
    told = {"PULUMI_BACKEND_URL_DEV": "azblob://state-dev", "AZURE_SUBSCRIPTION_ID_DEV": "1", "PULUMI_BACKEND_URL": "x"}
    assert pulumi.for_stack("dev", told)["PULUMI_BACKEND_URL"] == "azblob://state-dev"
    assert pulumi.for_stack("dev", told)["ARM_SUBSCRIPTION_ID"] == "1"
    assert pulumi.for_stack("prod", told)["PULUMI_BACKEND_URL"] == "x"


def test_a_stack_that_takes_its_image_by_digest_is_previewed_with_the_one_that_is_deployed(
    cli: FakeCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pulumi, "ROOT", tmp_path)
    old, new = (f"docker-worker@sha256:{digit * 64}" for digit in "ab")
    (tmp_path / "Pulumi.prod.yaml").write_text(f"config:\n  azure-batch-platform:worker:\n    image: {old}\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  azure-batch-platform:worker: {base_image: python}\n")
    cli.plays("stack", "output", out={"worker_image": f"x.azurecr.io/{new}"})
    assert making.deployed_image("dev", os.environ) is None
    assert making.deployed_image("prod", os.environ) == f"x.azurecr.io/{new}"
    assert new in (tmp_path / "Pulumi.prod.yaml").read_text() and old not in (tmp_path / "Pulumi.prod.yaml").read_text()
    assert cli.verbs == ["stack output"]


def locked(user: str, host: str = "runner-7f2", pid: int = 4242) -> str:
    return (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the "
        f"lock file with `pulumi cancel`.\n  azblob://state/x.json: created by {user}@{host} (pid {pid}) at "
        "2026-11-26T20:00:00Z\n"
    )


def test_the_lock_of_a_cancelled_run_is_told_removed_and_the_command_runs_again(
    cli: FakeCli, verbs: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.plays("up", code=1, err=locked(getpass.getuser()))
    cli.plays("cancel")
    inputs = {"resourceGroupName": "rg", "accountName": "abpdev"}
    made = {"urn": urn(STORAGE, "storage"), "type": STORAGE, "inputs": inputs}
    image = {"urn": urn("docker:index/image:Image", "worker"), "type": "docker:index/image:Image"}
    pending = [{"type": "creating", "resource": made}, {"type": "creating", "resource": image}]
    cli.plays("stack", "export", out={"deployment": {"pending_operations": pending}})
    cli.plays("stack", "import")
    cli.plays("refresh")
    cli.plays("up")
    assert deploy.main(["dev", "--recover-lock"]) == 0
    assert cli.verbs == ["up", "cancel", "stack export", "stack import", "refresh", "up"]
    # The image is built and pushed again; of the account Azure is asked.
    assert [word for word in cli.asked[4] if word.startswith("--target=")] == [f"--target={made['urn']}"]
    told = capsys.readouterr().err
    assert "@runner-7f2 (process 4242) since 2026-11-26T20:00:00Z" in told
    assert "did not finish creating storage" in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (locked("a-colleague"), ["dev", "--recover-lock"]),
        (locked(getpass.getuser()), ["dev"]),
        (locked(getpass.getuser(), os.uname().nodename, os.getpid()), ["dev", "--recover-lock"]),
        (locked(getpass.getuser()) + locked("a-colleague"), ["dev", "--recover-lock"]),
        ("error: the stack is currently locked by 1 lock(s).", ["dev", "--recover-lock"]),
    ],
    ids=["a colleague's", "not asked to", "a living process", "one of two", "nobody's"],
)
def test_a_lock_that_may_have_an_owner_is_left_and_told(
    cli: FakeCli, verbs: dict[str, Any], text: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.plays("up", code=1, err=text)
    assert deploy.main(words) == 2
    assert cli.verbs == ["up"] and verbs["asked"] == []
    assert "is locked by" in capsys.readouterr().err


# -- destroy -----------------------------------------------------------------------------------------------------------


def exported(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"deployment": {"resources": list(resources)}}


def resource(name: str, **more: Any) -> dict[str, Any]:
    return {"urn": urn(STORAGE, name), "type": STORAGE, "custom": True, **more}


def test_a_stack_whose_name_was_typed_is_destroyed_and_nothing_is_left(cli: FakeCli) -> None:
    cli.plays("stack", "export", out=exported(resource("storage")))
    cli.plays("destroy")
    cli.plays("stack", "export", out=exported())
    assert destroy.main(["dev", "--typed", "dev"]) == 0
    assert cli.verbs == ["stack export", "destroy", "stack export"]


@pytest.mark.parametrize("typed", ["", "Dev", "dev ", "prod"])
def test_another_name_than_the_stacks_destroys_nothing(cli: FakeCli, typed: str) -> None:
    assert destroy.main(["dev", "--typed", typed]) == 2
    assert cli.asked == []


def test_a_protected_stack_is_refused_before_anything_is_deleted(
    cli: FakeCli, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.plays("stack", "export", out=exported(resource("group"), resource("storage", protect=True)))
    assert destroy.main(["prod", "--typed", "prod"]) == 2
    assert cli.verbs == ["stack export"]
    assert "storage:StorageAccount storage" in capsys.readouterr().err


def test_what_the_stack_only_used_is_named_when_it_is_gone(cli: FakeCli, capsys: pytest.CaptureFixture[str]) -> None:
    group = "/subscriptions/1/resourceGroups"
    roles = [
        {
            "urn": urn("x:RoleAssignment", name),
            "type": "azure-native:authorization:RoleAssignment",
            "custom": True,
            "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}",
            "inputs": {"scope": scope},
        }
        for name, scope in (("own", f"{group}/mine/providers/x/y"), ("theirs", f"{group}/mine-too/providers/x/y"))
    ]
    cli.plays("stack", "export", out=exported(resource("group", type="g", id=f"{group}/mine"), *roles))
    cli.plays("destroy")
    cli.plays("stack", "export", out=exported())
    assert destroy.main(["dev", "--typed", "dev"]) == 0
    told = capsys.readouterr().err
    assert told.count("kept: ") == 1 and f"kept: {group}/mine-too/providers/x/y, which the stack only used" in told


def test_what_is_left_after_a_failed_destroy_is_named(cli: FakeCli, capsys: pytest.CaptureFixture[str]) -> None:
    cli.plays("stack", "export", out=exported(resource("storage")))
    cli.plays("destroy", code=4)
    cli.plays("stack", "export", out=exported(resource("storage")))
    assert destroy.main(["dev", "--typed", "dev"]) == 1
    assert "left: azure-native:storage:StorageAccount storage" in capsys.readouterr().err


def test_a_stack_that_does_not_exist_is_told(cli: FakeCli, capsys: pytest.CaptureFixture[str]) -> None:
    cli.plays("stack", "export", code=6, err="error: no stack named 'dev' found")
    assert destroy.main(["dev", "--typed", "dev"]) == 2
    assert "no stack named 'dev' found" in capsys.readouterr().err


def test_every_exit_code_of_the_cli_has_words() -> None:
    assert [code for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255) if pulumi.meaning(code).startswith("exit code")] == []
    assert pulumi.meaning(77) == "exit code 77"
