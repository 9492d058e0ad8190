"""What docs/clients.md says of the clients that are run, and how the runners read results, without those clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import azure_cli, azure_cli_commands
from tests.clients.azure_cli_commands import SECTIONS, Command

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
FEWEST = 80


def test_the_page_lists_every_command_that_is_run() -> None:
    assert azure_cli.markdown() in PAGE.read_text(), "python -m tests.clients.azure_cli --table says how it must be"
    assert sum(len(commands) for commands in SECTIONS.values()) > FEWEST


def test_every_value_that_a_command_names_was_made_before() -> None:
    known: dict[str, str] = dict.fromkeys(azure_cli.VALUES, "x")
    for commands in SECTIONS.values():
        for command in commands:
            assert azure_cli.words(command.text, known)
            known |= dict.fromkeys(command.keep, "x")


@pytest.mark.parametrize(
    ("command", "answer", "said"),
    [
        (Command("x", {"a.0.b": 1}), {"code": 0, "result": {"a": [{"b": 1}]}, "error": ""}, None),
        (Command("x", {"a.len": 2}), {"code": 0, "result": {"a": [1]}, "error": ""}, "a.len is 1, expected 2"),
        (Command("x"), {"code": 1, "result": None, "error": "broken"}, "broken"),
        (Command("x", refused="Locked"), {"code": 1, "result": None, "error": "(ScopeLocked) no"}, None),
        (Command("x", refused="Locked"), {"code": 0, "result": None, "error": ""}, "accepted, expected a refusal"),
        (Command("x", refused="Locked"), {"code": 1, "result": None, "error": "no"}, "other words than 'Locked'"),
    ],
)
def test_what_differs_is_told(command: Command, answer: dict[str, object], said: str | None) -> None:
    found = azure_cli.problem(command, answer, {})
    assert found is None if said is None else said in str(found)


def test_without_azure_cli_the_runner_says_so_and_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.argv", ["azure_cli"])
    assert azure_cli.main() == azure_cli.MISSING
    assert "azure-cli was not found" in capsys.readouterr().err
    assert azure_cli_commands.NOT_HERE
