"""Exit codes: one table, each reached by the case it names, each with one line that says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from worker.docker_worker import __main__ as command
from worker.docker_worker.errors import MEANING, Exit, signalled
from worker.docker_worker.signals import STOP_SIGNALS


def test_the_table_is_complete() -> None:
    assert set(MEANING) == set(Exit)
    assert {code.name: code.value for code in Exit} == {
        "OK": 0,
        "USAGE": 64,
        "INPUT": 65,
        "NO_HOST": 68,
        "NO_DATABASE": 69,
        "BUG": 70,
        "TRANSIENT": 75,
        "NOT_TRUSTED": 76,
        "REFUSED": 77,
        "CONFIG": 78,
    }
    assert [signalled(number) for number in (15, 2, 1)] == [143, 130, 129]


def test_the_guides_table_is_the_modules() -> None:
    """docs/worker.md: one row a code, in the module's words; the signals that are listened to in the last one."""
    guide = (Path(__file__).parents[2] / "docs" / "worker.md").read_text()
    rows = dict(re.findall(r"^\| ([\d, ]+) \| (.+) \|$", guide, re.MULTILINE))
    signals = sorted(STOP_SIGNALS)
    assert rows == {str(code.value): MEANING[code] for code in Exit} | {
        ", ".join(str(signalled(number)) for number in signals): "stopped by "
        + ", ".join(number.name for number in signals)
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chek"], "invalid choice: 'chek'"),
        ([], "required: VERB"),
        (["wait", "--seconds", "-1"], "expected seconds"),
        (["wait", "--seconds", "nan"], "expected seconds"),
        (["wait", "--seconds", "x"], "invalid seconds value: 'x'"),
    ],
)
def test_a_wrong_command_line_is_64(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(words) == Exit.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("given", [["items.csv"], ["items.txt"]])
def test_a_file_that_cannot_be_read_is_65(
    given: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"SQL_SERVER": "s", "SQL_DATABASE": "d", "AZURE_CLIENT_ID": "c"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert command.main(["enqueue", "--queue", "q", *given]) == Exit.INPUT
    fact, _, _ = capsys.readouterr().err.splitlines()
    assert given[0] in fact


def test_missing_settings_are_78_with_cause_and_next_step_a_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SQL_SERVER", "SQL_DATABASE", "AZURE_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    assert command.main(["check"]) == Exit.CONFIG
    fact, cause, next_step = capsys.readouterr().err.splitlines()
    assert fact.startswith("docker-worker: the environment has no SQL_SERVER")
    assert cause.startswith("  cause: ")
    assert next_step.startswith("  next:  ")


def test_a_name_that_does_not_resolve_is_68(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SQL_SERVER": "no-such-host.invalid", "SQL_DATABASE": "d", "AZURE_CLIENT_ID": "c"}.items():
        monkeypatch.setenv(name, value)
    assert command.main(["check"]) == Exit.NO_HOST
    assert "the name 'no-such-host.invalid' is not known" in capsys.readouterr().err


def test_a_port_that_nobody_listens_on_is_75(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SQL_SERVER": "127.0.0.1,1", "SQL_DATABASE": "d", "AZURE_CLIENT_ID": "c"}.items():
        monkeypatch.setenv(name, value)
    assert command.main(["check"]) == Exit.TRANSIENT
    assert "does not answer on port 1" in capsys.readouterr().err


def test_a_bug_is_70_and_no_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("x")

    monkeypatch.setitem(command.VERBS, "check", broken)
    assert command.main(["check"]) == Exit.BUG
    assert "ZeroDivisionError: x\n  cause: a bug in the worker" in capsys.readouterr().err
