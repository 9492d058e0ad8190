"""The pull request's script with the real CLI: a deployed stack, a change of everything that a reviewer must see.

Needs no cloud: the state is what an `up` of the accepted preview would leave (`test_previews.py`). The scripts that
change a stack are rehearsed on the local Azure in `tests/scenarios/deployed/test_pipelines.py`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci import preview
from local.deployment import offline, project
from local.deployment.project import Stack
from tests.ci import github_server
from tests.ci.github_server import REPOSITORY, TOKEN, FakeGitHub
from tests.ci.test_previews import deployed

SHOWN = Path(__file__).parent / "plan-comment.md"
"""The comment as the page docs/ci.md shows it in a picture; `UPDATE_GOLDEN=1` writes it anew."""
OPERATOR = "88888888-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Stack prod as its last `up` left it, with one that may submit who is to lose it."""
    made = offline.prepare(tmp_path_factory.mktemp("rehearsal"), "prod")
    digest = offline.digest(made)
    project.ask(made, "stack", "import", stdin=json.dumps(deployed(digest)))
    return made


@pytest.fixture
def github(stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeGitHub]:
    """The workflow's environment: the CLI and the stack as `python -m local` uses them, a GitHub that plays."""
    event = {"pull_request": {"number": 7, "head": {"sha": "abc", "repo": {"full_name": REPOSITORY}}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    with github_server.running() as fake:
        for name in list(os.environ):
            if name.startswith(("GITHUB_", "ACTIONS_", *project.FOREIGN)):
                monkeypatch.delenv(name)
        for name, value in {
            **project.environment(stack, project.installation()),
            "GITHUB_API_URL": fake.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        }.items():
            monkeypatch.setenv(name, value)
        yield fake


def change(stack: Stack, **settings: Any) -> None:
    """What a pull request changes in the stack's file."""
    body = project.read_yaml(stack.settings_file)
    for name, value in settings.items():
        key = f"{project.project_name()}:{name}"
        old = body["config"].get(key)
        body["config"][key] = {**old, **value} if isinstance(value, dict) and isinstance(old, dict) else value
    stack.settings_file.write_text(yaml.safe_dump(body, sort_keys=False))


def test_nothing_changes_for_a_pull_request_of_documents(stack: Stack, github: FakeGitHub) -> None:
    assert preview.main(["prod", "--comment"]) == 0
    (comment,) = github.comments
    assert "### Stack `prod`: nothing changes" in comment["body"]
    assert "all rules of `azure-batch-platform` are kept" in comment["body"]


def test_everything_that_a_reviewer_must_see_is_in_the_one_comment(stack: Stack, github: FakeGitHub) -> None:
    change(
        stack,
        pool={"vm_size": "Standard_D8ads_v5"},  # a new generation
        submitters=[{"object_id": OPERATOR, "type": "Group"}],  # a role change
        protect=False,  # against a policy, and what goes would go
        families=["hello", "sql-check"],  # a container goes with its output
    )
    assert preview.main(["prod", "--comment"]) == 1
    (comment,) = github.comments
    text = comment["body"]
    assert text.startswith(preview.MARKER)
    for words in (
        "Refused by a policy",
        "`prod-is-protected`",
        "**No longer protected**",
        "**new generation**",
        "Standard_D8ads_v5",
        "**gives** `Azure Batch",
        "**takes away** `Azure Batch",
        "Data would be lost",
    ):
        assert words in text, words
    for secret in ("placeholder-admin-password", "placeholder-user-password"):
        assert secret not in text
    stable = re.sub(r"[0-9a-f]{8,}(-[0-9a-f]{4,})*", "…", text)
    if os.environ.get("UPDATE_GOLDEN"):
        SHOWN.write_text(text)
    shown = re.sub(r"[0-9a-f]{8,}(-[0-9a-f]{4,})*", "…", SHOWN.read_text())
    assert shown == stable, (
        "the picture in docs/ci.md shows another comment: UPDATE_GOLDEN=1, then python -m tools.picture"
    )
