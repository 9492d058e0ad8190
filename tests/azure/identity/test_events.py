"""Scheduled events: announced in one process, answered by another's identity endpoint, in Azure's form."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.azure.identity import events
from local.paths import HOME_VARIABLE, Paths, jobs_command


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path)
    made.state.mkdir()
    return made


def test_without_an_announcement_there_is_none(paths: Paths) -> None:
    assert events.document(paths) == {"DocumentIncarnation": 1, "Events": []}


def test_an_announcement_names_node_and_kind_and_is_a_new_incarnation(paths: Paths) -> None:
    events.announce(paths, "node-1", "Preempt")
    events.announce(paths, "node-2", "Reboot")
    answer = events.document(paths)
    assert answer["DocumentIncarnation"] == 3
    assert [(one["EventType"], one["Resources"]) for one in answer["Events"]] == [
        ("Preempt", ["node-1"]),
        ("Reboot", ["node-2"]),
    ]
    assert len({one["EventId"] for one in answer["Events"]}) == 2
    assert answer["Events"][0]["NotBefore"].endswith(" GMT")
    events.clear(paths)
    assert events.document(paths) == {"DocumentIncarnation": 4, "Events": []}


def test_the_command_announces_and_clears(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(paths.home))
    assert events.main(["node-1", "--kind", "Terminate"]) == 0
    assert events.document(paths)["Events"][0]["EventType"] == "Terminate"
    assert events.main(["clear"]) == 0
    assert events.document(paths)["Events"] == []


def test_without_a_local_azure_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "none"))
    assert events.main(["node-1"]) == 1
    assert "python -m local start" in capsys.readouterr().err


def test_the_help_names_the_command_for_jobs_as_it_is_in_this_checkout(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        events.main(["--help"])
    assert f"({jobs_command()} nodes POOL)" in " ".join(capsys.readouterr().out.split())
