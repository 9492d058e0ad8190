"""How the command line ends when something outside of it fails: in words, with a code of its own, never with 1."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs.command import cli
from jobs.errors import Defect, JobsError, MachineError, Unreachable, UsageError, from_outside
from jobs.exits import Exit
from jobs.files.model import fields
from jobs.terminal.render import Render
from jobs.terminal.visible import Decoder, in_json, visible
from jobs.verbs.arguments import ID

ROOT = Path(__file__).parents[3]


def run(
    words: str, *, redirect: str = "", before: str = "", cwd: Path = ROOT, environment: Mapping[str, str] = {}
) -> tuple[int, str]:
    """Through a shell, which redirects; the exit code and stderr."""
    command = f"{before}{sys.executable} -m jobs {words} {redirect}"
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=cwd, env=variables)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done.returncode, re.sub("^bash: warning: .*\n", "", done.stderr, flags=re.MULTILINE)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "redirect", "code", "said"),
    [
        ("completion bash", "> /dev/full", Exit.MACHINE, "No space left on device"),
        ("completion bash", ">&-", Exit.MACHINE, "stdout could not be written: it is closed"),
        ("completion bash", "2>&- > /dev/null", Exit.OK, ""),
        ("completion bash", "<&- > /dev/null", Exit.OK, ""),
        ("completion bash", "2> /dev/full > /dev/null", Exit.OK, ""),
        ("--help", "> /dev/full", Exit.MACHINE, "No space left on device"),
        ("completion bash", "| true; exit ${PIPESTATUS[0]}", Exit.OK, ""),
        ("watch ''", "", Exit.USAGE, "argument JOB: it is empty"),
        ("delete '' -y", "", Exit.USAGE, "argument JOB: it is empty"),
        ("cancel '' -y", "", Exit.USAGE, "argument JOB: it is empty"),
        ("cancel j '' -y", "", Exit.USAGE, "argument TASK: it is empty"),
        ("show j ''", "", Exit.USAGE, "argument TASK: it is empty"),
        ("collect j ''", "", Exit.USAGE, "argument DIR: it is empty"),
        ("submit ' '", "", Exit.USAGE, "argument FILE: it is empty"),
        ("nodes ''", "", Exit.USAGE, "argument POOL: it is empty"),
        ("connect ''", "", Exit.USAGE, "argument NODE: it is empty"),
        ("list --stack ''", "", Exit.USAGE, "argument --stack: it is empty"),
        ("watch ../x", "", Exit.USAGE, "'../x' is no id; ids have 1 to 64 letters"),
        ("show j a/b", "", Exit.USAGE, "'a/b' is no id"),
        (r"show $'\xff'", "", Exit.USAGE, "is not text in the encoding of this terminal"),
        (r"pools $'\e[2J\xff'", "", Exit.USAGE, "is not text in the encoding of this terminal"),
        ("list --outputs /proc/self/mem", "", Exit.USAGE, "cannot be read"),
        ("list --outputs /", "", Exit.USAGE, "cannot be read"),
    ],
)
def test_a_wrong_or_broken_outside_is_told_in_words(words: str, redirect: str, code: Exit, said: str) -> None:
    returned, stderr = run(words, redirect=redirect)
    assert (returned, said in stderr) == (code, True), stderr


@pytest.mark.thorough
@pytest.mark.parametrize(
    "environment",
    [{"HOME": ""}, {"HOME": "/nonexistent"}, {"LC_ALL": "C"}, {"LC_ALL": "xx_YY"}, {"PYTHONIOENCODING": "cp1252"},
     {"PYTHONIOENCODING": "ascii"}, {"COLUMNS": "1"}, {"TERM": "", "PYTHONUTF8": "0"}],
)  # fmt: skip
def test_odd_surroundings_change_nothing(environment: dict[str, str]) -> None:
    assert run("completion bash", redirect="> /dev/null", environment=environment) == (0, "")


@pytest.mark.thorough
def test_a_folder_that_is_gone_is_no_traceback(tmp_path: Path) -> None:
    code, said = run("submit job.yaml", before=f"cd {tmp_path} && rmdir {tmp_path} && ", cwd=tmp_path)
    assert (code, said.startswith("error: ")) == (Exit.USAGE, True), said


@pytest.mark.thorough
def test_missing_packages_are_told_with_what_to_do() -> None:
    command = [sys.executable, "-S", "-m", "jobs", "validate", "x.yaml", "--offline"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == Exit.USAGE
    assert re.match(r"error: this Python \(.*\) has no package '\w+'\n  cause: .*\n  next:  make setup", done.stderr)


IMPORTING = """
import runpy, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise {error}
sys.meta_path.insert(0, Finder())
sys.argv = ["jobs", "list"]
runpy.run_module("jobs", run_name="__main__")
"""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "error", "code", "said"),
    [
        ("jobs.command.cli", "KeyboardInterrupt", 130, "interrupted; nothing was done"),
        ("jobs.verbs.look.listing", "KeyboardInterrupt", 130, "interrupted"),
        ("jobs.clock", "ImportError('broken', name='jobs.clock')", 70, "details are in"),
        ("jobs.session", "ImportError('libssl.so.3: cannot open', name='ssl')", 2, "cannot load libssl.so.3"),
    ],
)
def test_what_happens_while_packages_are_loaded_is_told_in_words(
    tmp_path: Path, name: str, error: str, code: int, said: str
) -> None:
    script = IMPORTING.format(name=name, error=error)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert "Traceback" not in done.stderr
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/x"),
            MachineError,
            "/x: No space left on device\n  next:  the disk",
        ),
        (PermissionError(errno.EACCES, "Permission denied", b"/x\xff"), MachineError, "check its owner"),
        (FileExistsError(errno.EEXIST, "File exists", "/x"), MachineError, "use another place"),
        (OSError(errno.EIO, "Input/output error"), MachineError, "Input/output error"),
        (UnicodeEncodeError("charmap", "□", 0, 1, "undefined"), MachineError, "UTF-8"),
        (MemoryError(), MachineError, "memory"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), Unreachable, "did not answer as it should"),
        (TimeoutError("timed out"), Unreachable, "timed out"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), MachineError, "Broken pipe"),
        (UsageError("as it is"), UsageError, "as it is"),
        (KeyError("id"), Defect, "KeyError: 'id'"),
        (RecursionError("too deep"), Defect, "RecursionError"),
    ],
)
def test_every_exception_has_a_meaning_and_none_is_failed_tasks(
    error: Exception, kind: type[JobsError], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = from_outside(error)
    assert type(told) is kind
    assert told.exit not in (Exit.OK, Exit.TASKS_FAILED)
    assert said in str(told)
    assert "\n" not in told.fact


def test_a_defect_is_one_message_that_names_a_file_with_the_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: Any) -> None:
        raise RuntimeError("nobody\nforesaw this \x1b[2J")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("jobs.verbs.help.completion.run", broken)
    assert cli.main(["completion", "bash"]) == Exit.DEFECT
    said = capsys.readouterr().err
    (kept,) = tmp_path.glob("jobs-defect-*.log")
    assert said.splitlines()[0] == "error: this program has a defect: RuntimeError: nobody foresaw this \\x1b[2J"
    assert "\x1b" not in said
    assert str(kept) in said
    assert "in broken" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert cli.main(["completion", "bash"]) == Exit.DEFECT
    assert "could not be kept" in capsys.readouterr().err


def test_one_rule_says_what_an_id_is() -> None:
    assert fields.ID.pattern == ID.pattern


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


HOSTILE = "\x1b]0;title\x07\x1b[2Jred\x9b1m\u202egnp.exe\r \x00\x7f\ud800"
SHOWN = r"\x1b]0;title\x07\x1b[2Jred\x9b1m\u202egnp.exe\x0d \x00\x7f\ud800"


def test_text_from_outside_is_shown_and_never_obeyed_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")  # ours would be escape codes, too
    out, err = Terminal(), Terminal()
    render = Render(out=out, err=err)
    render.words(HOSTILE)
    render.data(HOSTILE)
    render.table(("id",), [(HOSTILE.replace("\r", ""),)])
    assert err.getvalue() == f"{SHOWN}\n"
    assert out.getvalue().startswith(f"{SHOWN}\nid\n\\x1b]0;title")
    assert not set(out.getvalue()) & set("\x1b\x07\x9b\u202e\r\x00\x7f\ud800")


def test_words_for_a_pipe_that_nobody_reads_are_dropped_and_later_ones_come_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.terminal.render.LONGEST_WAIT", 0.05)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"." * 4096)
    os.set_blocking(writer, True)
    with os.fdopen(reader, "rb", buffering=0) as left, os.fdopen(writer, "w") as err:
        render = Render(err=err)
        render.words("error: " + "long " * 10_000)
        render.words("python -m jobs submit --resume")
        assert set(left.read(1 << 20)) == {ord(".")}
        render.words("é")
        assert left.read(100) == "é\n".encode()


def test_to_a_pipe_and_with_raw_data_is_as_it_is() -> None:
    for render, out in (
        (Render(out=(pipe := io.StringIO())), pipe),
        (Render(out=(tty := Terminal()), as_is=True), tty),
    ):
        render.data("a\x1b[31mb")
        assert out.getvalue() == "a\x1b[31mb\n"


def test_a_tasks_output_on_a_terminal_is_visible_text_also_across_pieces() -> None:
    out = Terminal()
    render = Render(out=out)
    for piece in ("é".encode()[:1], "é".encode()[1:], b"\x1b[", b"2J\xff\r\n\xe2\x82", b""):
        render.raw(piece, last=not piece)
    assert out.getvalue() == "é\\x1b[2J\\xff\n\\xe2\\x82"
    assert Decoder().text(b"ok \t\n") == "ok \t\n"


def test_json_has_the_same_value_and_no_control_character() -> None:
    import json

    value = {"id": "a\x9b\u202eb", "emoji": "👩\u200d🔬", "text": "é"}
    text = in_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not set(text) & {"\x9b", "\u202e"}
    assert "é" in text
    assert "👩\u200d🔬" in text
    assert visible("👩\u200d🔬 日本 é\n\ta") == "👩\u200d🔬 日本 é\n\ta"


def test_what_stdout_cannot_show_is_replaced_and_json_stays_whole() -> None:
    import json

    raw = io.BytesIO()
    render = Render(out=io.TextIOWrapper(raw, encoding="cp1252", errors="replace"))
    render.data("□ node")
    render.record({"id": "□"})
    assert render.lost is None
    first, second = raw.getvalue().decode("cp1252").splitlines()
    assert first == "? node"
    assert json.loads(second) == {"id": "□"}


def test_a_ctrl_c_that_was_held_back_until_python_had_started_is_told_in_words() -> None:
    """As `make up` starts the sample job: pressed at any moment, it shows no traceback of a Python that is starting."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs", "list"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
