"""The command line: exit codes, where words and data go, and how quickly `--help` answers."""

from __future__ import annotations

import ast
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.command.cli import main
from jobs.command.manual import manual
from jobs.command.parser import build_parser, examples, parse, verb_parsers
from jobs.exits import MEANING, Exit, worst
from jobs.terminal import streams
from jobs.verbs import VERBS, module, verb_of

ROOT = Path(__file__).parents[3]


def test_every_exit_code_has_a_meaning_and_is_in_the_help() -> None:
    assert set(MEANING) == set(Exit)
    assert {code.name: code.value for code in Exit} == {
        "OK": 0, "TASKS_FAILED": 1, "USAGE": 2, "SERVICE": 3, "GAVE_UP_WAITING": 4, "MACHINE": 5, "COMMAND_FAILED": 6,
        "DEFECT": 70, "HUNG_UP": 129, "INTERRUPTED": 130, "TERMINATED": 143,
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
        (["submit", "x", "--yess"], "unrecognized arguments: --yess; did you mean '--yes'?"),
        (["sbmit"], "did you mean 'submit'?"),
        (["zebra", "x"], "choose from submit, validate"),
        (["list", "--state", "actve"], "did you mean 'active'?"),
        (["tasks", "j", "--sort", "durtion"], "there is no column 'durtion'; did you mean 'duration'?"),
        (["tasks", "j", "--columns", "task,zebra"], "there is no column 'zebra'; there are: task, state, node"),
        (["tasks", "j", "-o", "xml"], "choose from table, wide, json, yaml, name"),
        (["help", "sumbit"], "there is no verb 'sumbit'; did you mean 'submit'?"),
        (["logs", "j", "--timestamps"], "they need --follow"),
        (["watch", "j", "--notify", "http://hooks.example.org/x"], "is neither https nor on this machine"),
        (["watch", "j", "--timeout", "10x"], "expected a time like 90s"),
        (["submit", "no-such-file.yaml", "--outputs", "no-such.json"], "no-such.json: cannot be read"),
        (["report", "j", "--family", "f"], "give one of them"),
        (["submit"], "required: FILE"),
        (["submit", "x", "--timeout", "0s"], "above zero"),
        (["list", "--state", "actve"], "invalid choice: 'actve'"),
        (["list", "--limit", "many"], "invalid int value: 'many'"),
        (["completion", "dash"], "invalid choice: 'dash'"),
        (["connect", "n", "--key", "k", "--password"], "not allowed with"),
        (["pools", "p", "--nodes", "1", "--evaluate"], "not allowed with"),
        (["cancel"], "required: JOB"),
        (["collect", "j"], "required: DIR"),
        (["watch", "j", "--outputs", "no-such.json"], "no-such.json: cannot be read"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error_in_words(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == Exit.USAGE
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("words", ["--help", "submit --help", "tasks --help", "help images", "completion bash"])
def test_help_loads_no_slow_package(words: str) -> None:
    """azure.batch, azure.identity and pydantic take most of a second; only reading files and services needs them."""
    code = (
        "import sys, jobs.command.cli as m\n"
        f"try: m.main({words.split()!r})\n"
        "except SystemExit: pass\n"
        "print([n for n in sys.modules if n.split('.')[0] in ('azure', 'msal', 'requests', 'rich')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout


def test_the_list_of_verbs_is_shown_without_loading_any() -> None:
    code = (
        "import sys; from jobs.command.parser import build_parser; build_parser([]).format_help(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not {"pydantic", "yaml", "jobs.verbs.submit.submit", "jobs.service.batch"} & set(done.stdout.split())


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


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_options_and_something_to_run(verb: str) -> None:
    parser = build_parser([verb])
    chosen = verb_parsers(parser)[verb]
    assert callable(chosen.get_default("run"))
    assert module(verb).__doc__


@pytest.mark.parametrize("verb", VERBS)
def test_every_argument_has_help_and_every_verb_has_examples_that_are_right(verb: str) -> None:
    without = [action.dest for action in verb_parsers(build_parser([verb]))[verb]._actions if not action.help]
    assert without == []
    assert examples(verb)
    for example in examples(verb):
        words = shlex.split(example.partition(" < ")[0].partition(" > ")[0])
        assert parse(words).verb == verb == verb_of(words)


def test_the_manual_is_made_from_the_parser() -> None:
    assert (ROOT / "docs" / "jobs.md").read_text() == manual(), "run: python -m jobs.command.manual > docs/jobs.md"


def test_the_manual_has_every_exit_code_and_verb() -> None:
    text = manual()
    assert all(f"| {code.value} | {code.name} | {MEANING[code]} |" in text for code in Exit)
    assert all(f"\n## {verb}\n" in text for verb in VERBS)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_stdout_that_has_not_every_character_is_given_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, as_json: bool
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("job: {family: hello}\ntasks: {list: [{id: '日本'}]}\n", encoding="utf-8")
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
    streams.prepare()
    assert main(["validate", "--offline", *(["--json"] if as_json else []), str(file)]) == Exit.USAGE
    sys.stdout.flush()
    told = out.getvalue().decode(encoding)
    if as_json:
        assert "日本" in json.loads(told)["problems"][0]
    else:
        assert ("日本" if encoding == "utf-8" else "\\u65e5\\u672c") in told
