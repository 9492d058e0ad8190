"""The page of the local Azure: its processes, faults and logs, and nothing else of this machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.dashboard import local_stack
from jobs.dashboard.cache import Cache
from jobs.dashboard.local_stack import LocalStack
from jobs.errors import NotFound, UsageError
from tests.jobs.fakes import Stage, stage


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A local stack whose commands answer at once."""
    home = tmp_path / ".local"
    (home / "log").mkdir(parents=True)
    (home / "log" / "azure.log").write_bytes(b"x" * 100_000 + b"\nready\x1b]0;owned\x07\n")
    (home / "log" / "notes.txt").write_text("none of its logs")
    (home / "cloud.json").write_text('{"client_secret": "hunter2"}')
    (home / "log" / "stolen.log").symlink_to(home / "cloud.json")
    answers = {"status": json.dumps({"running": True, "processes": {"azure": 7}}), "list": "no faults"}
    monkeypatch.setattr(local_stack, "_ask", lambda home, *words: next(answers[w] for w in words if w in answers))
    found = stage()
    found.session.__dict__["connection"] = replace(found.session.connection, home=home)
    return found


def of(scene: Stage) -> LocalStack:
    return LocalStack(scene.session, Cache(scene.clock))


def test_it_shows_processes_faults_and_logs(scene: Stage) -> None:
    found = of(scene).state()
    assert (found["running"], found["processes"], found["faults"]) == (True, {"azure": 7}, "no faults")
    assert [one["name"] for one in found["logs"]] == ["azure.log"]


def test_the_end_of_a_log_is_shown_and_never_obeyed(scene: Stage) -> None:
    found = of(scene).log("azure.log")
    assert found["text"].endswith("ready\\x1b]0;owned\\x07\n") and len(found["text"]) < 70_000


@pytest.mark.parametrize(
    "name",
    ["../cloud.json", "stolen.log", "notes.txt", "/etc/passwd", "none.log", "", "..", "azure.log/../../cloud.json"],
)
def test_what_is_no_log_of_the_list_is_not_read(scene: Stage, name: str) -> None:
    with pytest.raises(NotFound, match="there is no log"):
        of(scene).log(name)


def test_a_stopped_local_azure_is_shown_as_one(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_stack, "_ask", lambda *_: "the local Azure does not run")
    assert of(scene).state()["running"] is False


def test_another_stack_has_no_such_page() -> None:
    with pytest.raises(UsageError, match="not the local one"):
        of(stage()).state()
