"""The command as people have it: completion, help, version, manual pages, nearest names, several files and stdin."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.command import cli, completion, manual, suggestions
from jobs.command.parser import parse
from jobs.errors import JobFileError, NotFound, UsageError
from jobs.exits import Exit
from jobs.files import document
from jobs.service.batch import NodeState, TaskState
from jobs.terminal.wording import NAME
from jobs.verbs import VERBS
from jobs.verbs.help.completion import SHELLS
from tests.jobs.fakes import START, Stage, stage

ROOT = Path(__file__).parents[3]
HELLO = ROOT / "jobs" / "samples" / "hello.yaml"


@pytest.fixture
def scene() -> Stage:
    scene = stage()
    for job in ("nightly-7", "nightly-8", "weekly-1"):
        scene.batch.create_job({"id": job, "poolInfo": {"poolId": "default-1a2b"}, "metadata": []})
    scene.batch.add_collection("nightly-7", [{"id": "sim-0"}, {"id": "sim-1"}])
    scene.batch.set("nightly-7", TaskState(id="sim-0", state="running", changed=START))
    scene.batch.node_list = [NodeState(id="tvm-1", state="idle")]
    return scene


@pytest.fixture
def shell(scene: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the shell offers for a line, as argcomplete asks this program at a TAB."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def offered(line: str) -> set[str]:
        out = tmp_path / "offered"
        monkeypatch.setenv("_ARGCOMPLETE", "1")
        monkeypatch.setenv("_ARGCOMPLETE_STDOUT_FILENAME", str(out))
        monkeypatch.setenv("_ARGCOMPLETE_IFS", "\n")
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_POINT", str(len(line.encode())))

        class Left(Exception):
            pass

        def leave(code: int) -> None:
            raise Left

        def no_debugging(*_: object) -> None:
            raise OSError

        with monkeypatch.context() as patch, pytest.raises(Left):
            patch.setattr(os, "fdopen", no_debugging)  # argcomplete takes descriptor 9 for its own: it is pytest's
            completion.answer(lambda _: scene.session, leave)
        return {word.strip() for word in out.read_text().split("\n")}

    return offered


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("batch-jobs su", {"submit"}),
        ("batch-jobs submit --dr", {"--dry-run"}),
        ("batch-jobs show night", {"nightly-7", "nightly-8"}),
        ("batch-jobs logs nightly-7 sim", {"sim-0", "sim-1"}),
        ("batch-jobs nodes def", {"default", "default-1a2b"}),
        ("batch-jobs connect tvm", {"tvm-1"}),
        ("batch-jobs tasks nightly-7 -o w", {"wide"}),
        ("batch-jobs help retr", {"retry"}),
        ("batch-jobs pools w", {"wait"}),
        ("batch-jobs pools wait def", {"default", "default-1a2b"}),
        ("batch-jobs move nightly-7 --to def", {"default", "default-1a2b"}),
    ],
)
def test_the_shell_completes_verbs_options_jobs_tasks_pools_and_nodes(shell, line: str, some: set[str]) -> None:
    assert shell(line) == some


def test_a_shell_that_asks_twice_asks_the_service_once_and_never_sees_an_error(
    shell, scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = scene.batch.jobs
    monkeypatch.setattr(scene.batch, "jobs", lambda *a, **k: asked.append(1) or real(*a, **k))
    assert shell("batch-jobs show wee") == shell("batch-jobs show week") == {"weekly-1"}
    assert len(asked) == 1
    monkeypatch.setattr(scene.batch, "pools", lambda: 1 / 0)
    assert shell("batch-jobs pools ") >= {"--nodes"}


@pytest.mark.parametrize("shell_name", SHELLS)
def test_the_completion_script_is_for_the_command(shell_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell_name]) == Exit.OK
    assert NAME in capsys.readouterr().out


def test_the_bash_script_is_bash(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["completion", "bash"])
    script = f"{capsys.readouterr().out}\ncomplete -p {NAME}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(NAME)


@pytest.mark.parametrize(
    ("words", "code", "meant"),
    [
        ("show nightly-9", "JobNotFound", "nightly-"),
        ("delete weekly-1 nigthly-7 --yes", "JobNotFound", "nightly-7"),
        ("show nightly-7 sim-00", "TaskNotFound", "sim-0"),
        ("pools defualt", "PoolNotFound", "default"),
        ("show zebra", "JobNotFound", ""),
    ],
)
def test_a_name_that_is_not_there_brings_the_nearest_that_is(scene: Stage, words: str, code: str, meant: str) -> None:
    hint = suggestions.hint(NotFound("x", code=code), parse(words.split()), scene.session)
    assert hint.startswith(f"did you mean '{meant}") if meant else hint == ""


def test_the_nearest_name_stands_below_the_error(
    scene: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_session", lambda *_: scene.session)
    assert cli.main(["show", "nightli-7"]) == Exit.SERVICE
    assert capsys.readouterr().err == "error: job nightli-7 does not exist\ndid you mean 'nightly-7'?\n"


def test_version_names_the_commit_and_the_sdks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert not left.value.code
    assert re.fullmatch(
        r"batch-jobs \S+ \(Python 3\.\d+\.\d+, azure-batch 15\.1\.0, azure-storage-blob \S+, azure-identity \S+\)\n",
        capsys.readouterr().out,
    )


def test_help_of_a_verb_is_its_help_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help", "tasks"]) == Exit.OK
    text = capsys.readouterr().out
    assert "examples:" in text and "tasks nightly-7 --watch" in text and "--columns A,B" in text
    assert cli.main(["help"]) == Exit.OK
    assert all(verb in capsys.readouterr().out or verb for verb in VERBS)


def test_manual_pages_are_pages_of_man(tmp_path: Path) -> None:
    assert manual.main(["--man", str(tmp_path)]) == 0
    assert {file.name for file in tmp_path.iterdir()} == {
        f"{NAME}.1",
        *(f"{NAME}-{verb.replace(' ', '-')}.1" for verb in VERBS),
    }
    for file in tmp_path.iterdir():
        text = file.read_text()
        assert text.startswith(".TH BATCH-JOBS")
        assert [line for line in text.splitlines() if line.startswith("'")] == []
        assert set(re.findall(r"^\.(\w+)", text, re.MULTILINE)) <= {"TH", "SH", "TP", "B", "PP", "EX", "EE"}


def test_a_job_file_from_stdin_is_told_as_stdin(scene: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for data, wrong in ((HELLO.read_bytes(), False), (b"job: {famly: x}\n", True)):
        document._stdin.cache_clear()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        arguments = parse(["submit", "-", "--yes", "--job-id", "from-stdin"])
        if wrong:
            with pytest.raises(JobFileError, match=r"stdin:1: job\.famly"):
                arguments.run(arguments, scene.session)
        else:
            assert arguments.run(arguments, scene.session) == Exit.OK
    document._stdin.cache_clear()
    assert len(scene.batch.sent["from-stdin"]) == 5


def test_of_several_files_all_are_checked_before_one_is_sent(
    scene: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text("job: {family: hello, id: one}\ntasks: {list: [{id: a}]}\n")
    (tmp_path / "other.yaml").write_text("job: {family: hello, id: two}\ntasks: {list: [{id: a}, {id: b}]}\n")
    (tmp_path / "bad.yaml").write_text("job: {family: hello}\ntasks: {list: [{id: a, comand: [x]}]}\n")
    before = list(scene.batch.order)
    arguments = parse(["submit", "good.yaml", "bad.yaml", "--yes"])
    with pytest.raises(JobFileError, match=r"bad\.yaml:2"):
        arguments.run(arguments, scene.session)
    assert scene.batch.order == before
    arguments = parse(["submit", "good.yaml", "other.yaml", "--yes"])
    assert arguments.run(arguments, scene.session) == Exit.OK
    assert (len(scene.batch.sent["one"]), len(scene.batch.sent["two"])) == (1, 2)
    told = scene.err.getvalue()
    assert "submitted 1 task as job one" in told and "submitted 2 tasks as job two" in told
    for words in (["--job-id", "x"], ["--resume"]):
        arguments = parse(["submit", "good.yaml", "other.yaml", "--yes", *words])
        with pytest.raises(UsageError, match="are of one job"):
            arguments.run(arguments, scene.session)


def test_the_stack_local_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.service import connection

    checkout = tmp_path / "checkout"
    (checkout / ".local").mkdir(parents=True)
    (checkout / ".local" / "cloud.json").write_text("{}")
    monkeypatch.setattr(connection, "CHECKOUT", checkout)
    monkeypatch.chdir(tmp_path)
    assert connection._home({}) == checkout / ".local"
    assert connection._home({"LOCAL_AZURE_HOME": "x"}) == Path("x")
    called: dict[str, object] = {}

    def pulumi(words: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        called.update(options)
        return subprocess.CompletedProcess(words, 0, "{}", "")

    monkeypatch.setattr(subprocess, "run", pulumi)
    connection._ask("local", connection._home({}))
    assert called["cwd"] == checkout
    assert called["env"]["LOCAL_AZURE_HOME"] == str(checkout / ".local")  # type: ignore[index]


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_loads_nothing_slow(verb: str) -> None:
    """pydantic, asyncio and the SDKs take most of a second; the help of a verb has 0.4 s (benchmarks/startup.py)."""
    code = (
        "import sys; from jobs.command.parser import build_parser, verb_parsers\n"
        f"verb_parsers(build_parser([{verb!r}]))[{verb!r}].format_help()\n"
        "print(*{n.split('.')[0] for n in sys.modules} & {'pydantic', 'asyncio', 'azure', 'requests', 'rich', 'yaml'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == ""


def test_what_is_written_twice_for_the_sake_of_loading_is_the_same() -> None:
    from jobs.files.model import fields
    from jobs.plan import rerun
    from jobs.submission import PATIENCE

    assert rerun.LONGEST_ID == fields.LONGEST_ID
    assert parse(["submit", "x"]).patience == PATIENCE
