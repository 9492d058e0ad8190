"""The command line: exit codes, where words and data go, and how quickly `--help` answers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.cli import VERBS, build_parser, main
from jobs.exits import MEANING, Exit, worst

ROOT = Path(__file__).parents[2]


def test_every_exit_code_has_a_meaning_and_is_in_the_help() -> None:
    assert set(MEANING) == set(Exit)
    assert {code.name: code.value for code in Exit} == {
        "OK": 0, "TASKS_FAILED": 1, "USAGE": 2, "SERVICE": 3, "GAVE_UP_WAITING": 4, "INTERRUPTED": 130,
    }  # fmt: skip
    assert all(meaning.split()[0] in build_parser().format_help() for meaning in MEANING.values())


def test_the_worst_outcome_wins() -> None:
    assert worst([]) == Exit.OK
    assert worst([Exit.OK, Exit.SERVICE, Exit.TASKS_FAILED]) == Exit.SERVICE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "required: VERB"),
        (["sbmit"], "invalid choice: 'sbmit'"),
        (["submit", "x", "--yess"], "unrecognized arguments: --yess"),
        (["watch", "j", "--timeout", "10"], "expected a time like 90s"),
        (["submit", "no-such-file.yaml", "--outputs", "no-such.json"], "no-such.json: cannot be read"),
        (["report", "j", "--family", "f"], "Give one of them"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error_in_words(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == Exit.USAGE
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_help_needs_no_azure_package() -> None:
    """azure.batch and azure.identity take most of a second to load; only talking to the service needs them."""
    code = "import sys, jobs.cli as m; m.build_parser(); print([n for n in sys.modules if n.startswith('azure')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_each_sdk_has_one_importer() -> None:
    owners = {"azure.batch": "client.py", "azure.storage.blob": "storage.py", "azure.identity": "credentials.py"}
    seen = set()
    for path in sorted((ROOT / "jobs").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert not name.startswith(("infra", "local", "worker")), f"{path.name} imports {name}"
                if name in owners:
                    assert owners[name] == path.name
                    seen.add(name)
    assert seen == set(owners)


def test_every_verb_registers_itself() -> None:
    assert [verb.__name__ for verb in VERBS] == [
        f"jobs.{name}" for name in ("submit", "watch", "report", "logs", "collect", "nodes")
    ]
