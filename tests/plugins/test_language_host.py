"""The language host: which interpreter it takes, how programs end, and the message about a bad end."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from local.plugins.language_python.host import explain_exit
from local.plugins.language_python.programs import Interpreter, ProgramNotStarted, Programs
from tests.plugins.cli.stack import Cli, Stack

STUBBORN = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write(1, b'up'); time.sleep(60)"


def virtualenv(folder: Path) -> Path:
    """A virtual environment as far as the host looks: it has a Python."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    return python


def test_a_relative_virtualenv_is_relative_to_the_project_file(tmp_path: Path) -> None:
    python = virtualenv(tmp_path / "envs" / "one")
    interpreter = Interpreter.choose(tmp_path, {"toolchain": "pip", "virtualenv": "envs/one"})
    assert interpreter.executable == python
    environment = interpreter.environment({"PATH": "/bin", "PYTHONHOME": "/elsewhere"})
    assert environment["PATH"] == f"{python.parent}:/bin"
    assert environment["VIRTUAL_ENV"] == str(tmp_path / "envs" / "one")
    assert "PYTHONHOME" not in environment


def test_without_a_virtualenv_the_hosts_own_python_is_taken(tmp_path: Path) -> None:
    assert Interpreter.choose(tmp_path, {}).executable == Path(sys.executable)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"virtualenv": "none"}, r"there is no Python at .*none/bin/python\n.*\n  next:  make setup"),
        ({"toolchain": "poetry"}, r"toolchain is 'poetry'\n.*\n  next:  write `toolchain: pip`"),
    ],
)
def test_what_cannot_run_a_program_is_told_with_the_fix(tmp_path: Path, options: dict[str, object], says: str) -> None:
    with pytest.raises(ProgramNotStarted, match=says):
        Interpreter.choose(tmp_path, options)


@pytest.mark.parametrize(
    ("code", "cancelled", "part"),
    [
        (0, False, ""),
        (32, False, ""),  # the executor script showed the error
        (1, False, "exit code 1"),
        (-9, False, "ended by SIGKILL"),
        (-9, True, ""),  # we ended it ourselves
    ],
)
def test_what_is_said_of_a_programs_end(code: int, cancelled: bool, part: str) -> None:
    message = explain_exit(code, cancelled=cancelled)
    assert part in message and bool(message) == bool(part)


def test_both_streams_and_the_exit_code_of_a_plugin_are_handed_on(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"
    pieces = list(Programs().stream([sys.executable, "-c", code], str(tmp_path), os.environ, threading.Event()))
    assert pieces[-1] == 7
    for name, text in (("stdout", b"out\n"), ("stderr", b"err\n")):
        assert b"".join(piece[1] for piece in pieces if isinstance(piece, tuple) and piece[0] == name) == text


def test_a_plugin_whose_caller_has_gone_is_ended(tmp_path: Path) -> None:
    stopped = threading.Event()
    pieces = Programs().stream(
        [sys.executable, "-c", "import os, time; os.write(1, b'up'); time.sleep(60)"],
        str(tmp_path),
        os.environ,
        stopped,
    )
    assert next(pieces) == ("stdout", b"up")
    began = time.monotonic()
    stopped.set()
    assert list(pieces) == [-15]
    assert time.monotonic() - began < 30


def test_a_cancelled_host_ends_what_runs_also_what_ignores_sigterm_and_starts_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.plugins.language_python.programs.GRACE_SECONDS", 0.1)
    programs = Programs()
    pieces = programs.stream([sys.executable, "-c", STUBBORN], str(tmp_path), os.environ, threading.Event())
    assert next(pieces) == ("stdout", b"up")
    programs.end_all()
    assert list(pieces) == [-9]
    with pytest.raises(ProgramNotStarted, match="cancelled"):
        programs.run([sys.executable, "-c", ""], str(tmp_path), os.environ)


def test_a_program_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProgramNotStarted, match=r"/no/such cannot be started: No such file.*\n  next:  make setup"):
        Programs().run(["/no/such"], str(tmp_path), os.environ)


# -- by the real CLI


@pytest.fixture
def stack(cli: Cli, pulumi_home: Path, tmp_path: Path) -> Stack:
    if cli.language_host is None:
        pytest.fail("these tests are of our own language host, and an official Pulumi is on PATH")
    return Stack(cli, tmp_path, pulumi_home, {})


def previewed(stack: Stack, program: str) -> tuple[int, str]:
    (stack.folder / "__main__.py").write_text(program)
    done = stack.start("preview", "--color=never", "--stack", "s")
    shown, _ = done.communicate(timeout=240)
    return done.returncode, shown


@pytest.mark.thorough
def test_what_a_program_prints_appears_once_and_in_order(stack: Stack) -> None:
    code, shown = previewed(
        stack, "import sys\nfor n in range(20):\n    print('line', n)\nprint('the end', file=sys.stderr)\n"
    )
    assert code == 0, shown
    diagnostics = shown.partition("Diagnostics:")[2]
    lines = [line.strip() for line in diagnostics.splitlines() if line.strip().startswith("line ")]
    assert lines == [f"line {n}" for n in range(20)]
    assert diagnostics.count("the end") == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "the program was ended by SIGKILL"),
        ("import sys\nsys.exit(3)\n", "the program ended with exit code 3"),
        ("import pulumi\nraise pulumi.RunError('no such thing')\n", "no such thing"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_program_that_fails_is_told_in_one_message(stack: Stack, program: str, says: str) -> None:
    code, shown = previewed(stack, program)
    assert code not in (0, 2), shown
    assert shown.partition("Diagnostics:")[2].count(says) == 1, shown


@pytest.mark.thorough
def test_the_packages_of_the_program_are_known_to_pulumi(stack: Stack) -> None:
    (stack.folder / "__main__.py").write_text("")
    about = json.loads(stack.run("about", "--json"))
    assert {"pulumi", "pulumi_azure_native"} <= {one["name"].replace("-", "_") for one in about["dependencies"]}
