"""One comment and one issue, found again by marker and author; forks refused; GitHub's failures survived or told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci import github
from ci.github import ForkRefused, GitHub, GitHubError
from tests.ci import github_server
from tests.ci.github_server import REPOSITORY, TOKEN, FakeGitHub

MARKER = "<!-- ours -->"


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with github_server.running() as running:
        yield running


def api(fake: FakeGitHub, token: str = TOKEN) -> GitHub:
    return GitHub(fake.url, REPOSITORY, token, sleep=lambda seconds: None)


def test_the_comment_is_made_once_and_then_edited(fake: FakeGitHub) -> None:
    assert api(fake).comment(7, MARKER, "first") == "created"
    assert api(fake).comment(7, MARKER, "second") == "edited"
    assert api(fake).comment(7, MARKER, "second") == "unchanged"
    assert [one["body"] for one in fake.comments] == [f"{MARKER}\nsecond"]


def test_the_comment_is_found_behind_hundreds_of_others(fake: FakeGitHub) -> None:
    for number in range(250):
        fake.add_comment(7, f"talk {number}", "somebody")
    mine = fake.add_comment(7, f"{MARKER}\nold")
    assert api(fake).comment(7, MARKER, "new") == "edited"
    assert mine["body"] == f"{MARKER}\nnew" and len(fake.comments) == 251


def test_a_comment_of_somebody_else_is_never_edited(fake: FakeGitHub) -> None:
    forged = fake.add_comment(7, f"{MARKER}\nforged", "mallory")
    quoted = fake.add_comment(7, f"> {MARKER}\nquoted")
    assert api(fake).comment(7, MARKER, "mine") == "created"
    assert forged["body"].endswith("forged") and quoted["body"].endswith("quoted")


def test_comments_of_other_pull_requests_are_left_alone(fake: FakeGitHub) -> None:
    other = fake.add_comment(8, f"{MARKER}\nother")
    assert api(fake).comment(7, MARKER, "mine") == "created"
    assert other["body"] == f"{MARKER}\nother"


@pytest.mark.parametrize("status", [500, 502, 503, 429, 403])
def test_a_service_that_is_busy_is_asked_again(fake: FakeGitHub, status: int) -> None:
    fake.fail = [status] * 2
    assert api(fake).comment(7, MARKER, "text") == "created"
    assert len(fake.comments) == 1


def test_a_lost_answer_does_not_make_a_second_comment(fake: FakeGitHub) -> None:
    original = fake.answer

    def lose_the_creation(method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        done = original(method, path, query, body)
        if method == "POST":
            fake.answer = original
            return 502, {}
        return done

    fake.answer = lose_the_creation
    assert api(fake).comment(7, MARKER, "text") == "unchanged"
    assert [one["body"] for one in fake.comments] == [f"{MARKER}\ntext"]


def test_a_service_that_stays_down_is_told_with_a_next_step(fake: FakeGitHub) -> None:
    fake.fail = [503] * 20
    with pytest.raises(GitHubError, match=r"(?s)could not be reached.*HTTP 503.*4 attempts.*next:  run the job again"):
        api(fake).comment(7, MARKER, "text")


def test_a_refusal_names_the_permission_and_never_the_token(fake: FakeGitHub) -> None:
    with pytest.raises(GitHubError, match="pull-requests: write") as caught:
        api(fake, "a-wrong-token").comment(7, MARKER, "text")
    assert "a-wrong-token" not in f"{caught.value}{api(fake, 'a-wrong-token')!r}"


def test_the_issue_is_opened_once_edited_and_closed(fake: FakeGitHub) -> None:
    fake.add_issue("a pull request", f"{MARKER}\nx", pull_request={})
    closed = fake.add_issue("of last month", f"{MARKER}\nx", state="closed")
    assert api(fake).issue("Drift", MARKER, "one") == "created"
    assert api(fake).issue("Drift", MARKER, "two") == "edited"
    assert [one["body"] for one in fake.issues if one["title"] == "Drift"] == [f"{MARKER}\ntwo"]
    assert api(fake).close_issue(MARKER, "over") == "closed"
    assert api(fake).close_issue(MARKER, "over") == "none is open"
    assert api(fake).issue("Drift", MARKER, "three") == "created"
    assert closed["body"] == f"{MARKER}\nx"


# -- the event ---------------------------------------------------------------------------------------------------------


def environment(tmp_path: Path, head: Any, name: str = "pull_request") -> dict[str, str]:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": {"repo": head, "sha": "abc"}}}))
    return {"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(event), "GITHUB_REPOSITORY": REPOSITORY}


def test_a_pull_request_of_the_repository_is_taken(tmp_path: Path) -> None:
    assert github.pull_request(environment(tmp_path, {"full_name": "Team/Platform"})).number == 7


@pytest.mark.parametrize("head", [{"full_name": "mallory/platform"}, {"full_name": ""}, {}, None])
def test_a_fork_is_refused(tmp_path: Path, head: Any) -> None:
    with pytest.raises(ForkRefused, match="next:  "):
        github.pull_request(environment(tmp_path, head))


def test_the_trigger_that_gives_forks_our_rights_is_refused_for_everybody(tmp_path: Path) -> None:
    with pytest.raises(ForkRefused, match="pull_request_target"):
        github.pull_request(environment(tmp_path, {"full_name": REPOSITORY}, "pull_request_target"))


def test_a_missing_variable_is_told_with_the_line_that_sets_it() -> None:
    with pytest.raises(github.PipelineError, match="GITHUB_TOKEN not set"):
        GitHub.of({"GITHUB_REPOSITORY": REPOSITORY})


def test_a_summary_is_added_to_the_one_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "step-summary"
    file.write_text("before\n")
    github.write_summary("after", {"GITHUB_STEP_SUMMARY": str(file)})
    assert file.read_text() == "before\nafter\n"
    github.write_summary("outside", {})
    assert capsys.readouterr().out == "outside\n"
