"""Bar 6 of the main job: each mistake gives one message (fact, cause, next step), an exit code, and no traceback.

What needs a deployed stack is in `tests/scenarios/test_bad_input.py`, what a machine lacks in `tests/tools`.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from docker.errors import APIError, DockerException
from requests.exceptions import ConnectionError as RequestsConnectionError

import jobs.command.cli
from jobs.exits import MEANING
from local import cli, exits
from local.azure.control_plane.errors import AuthorizationFailed
from local.azure.platform.ports import PortInUse
from local.azure.sql.errors import SqlError
from local.exits import Exit
from local.explain import explain
from local.node.image import ImageBuildFailed
from local.paths import HOME_VARIABLE, Paths, UnsafeFolder
from tools.setup import docker_engine
from tools.setup.docker_engine import EngineState

ROOT = Path(__file__).resolve().parents[2]


def typed(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a user types, in a home of its own."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, HOME_VARIABLE: str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


# arguments of `python` -> exit code, message
MISTAKES: Mapping[str, tuple[int, str]] = {
    "-m local": (2, "required: VERB"),
    "-m local upp": (2, "invalid choice: 'upp'"),
    "-m local start --stack dev": (2, "start takes no such argument: --stack dev"),
    "-m local outputs --json": (2, "invalid choice: 'outputs'"),
    "-m local preview --stack staging": (1, "no stack 'staging'\n  next:  one of: local, dev, prod"),
    "-m local up --stack dev": (1, "it can be previewed, and nothing else\n  next:  pulumi up -s dev"),
    "-m local destroy --stack dev": (1, "it can be previewed, and nothing else\n  next:  pulumi destroy -s dev"),
    "-m local pulumi stack output": (1, "never deployed from this checkout\n  next:  make up"),
    "-m local pulumi refresh --yes": (1, "never deployed from this checkout\n  next:  make up"),
    "-m local env": (1, "never deployed from this checkout\n  next:  make up"),
    "-m local reset": (1, "next:  python -m local reset --yes"),
    "-m local status": (1, "the local Azure does not run"),
    "-m jobs nodes default": (2, "or start the local Azure (make up)"),
    "-m jobs nodes default --stack local": (2, "never deployed from this checkout\n      next:  make up"),
    "-m jobs nodes default --stack dev": (2, "`pulumi stack output --json --stack dev`"),
    "-S -m local up": (1, "next:  make setup, then: .venv/bin/python -m local"),
    "-S -m jobs validate jobs/samples/hello.yaml": (2, "next:  make setup, then: .venv/bin/python -m jobs"),
    "-m tools.setup everything": (2, "got: everything"),
}


def here(*arguments: str) -> int:
    """The same in this process, where that is possible: starting Python costs most of a second."""
    run = {"local": cli.main, "jobs": jobs.command.cli.main}[arguments[1]]
    try:
        return run(list(arguments[2:]))
    except SystemExit as left:
        assert isinstance(left.code, int)
        return left.code


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_told_once_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str
) -> None:
    code, message = MISTAKES[arguments]
    home = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    monkeypatch.setenv("PATH", str(tmp_path))  # no pulumi, no docker: nothing of the machine's
    if arguments.startswith(("-m local", "-m jobs")):
        returned, (out, err) = here(*arguments.split()), capsys.readouterr()
    else:
        done = typed(home, *arguments.split())
        returned, out, err = done.returncode, done.stdout, done.stderr
    assert returned == code, err
    assert err.count(message) == 1, err
    assert "Traceback" not in err and out == ""
    assert not list(home.glob("*/*")), "something was started or written"


def test_a_home_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = typed(file, "-m", "local", "status")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"error: {file}") and "File exists" in done.stderr


class Refused(HttpResponseError):
    message = "(AuthorizationFailed) no"

    def __init__(self) -> None:
        Exception.__init__(self, self.message)


RUNS = EngineState.RUNNING
# the exception, the engine's state -> message
FOREIGN: Mapping[str, tuple[BaseException, EngineState, str]] = {
    "an engine that is away": (
        DockerException("Error while fetching server API version"), EngineState.STOPPED,
        "no Docker engine answers on this machine\n  cause: an engine is installed, but it does not run\n  next:",
    ),
    "an engine for others": (
        DockerException("Permission denied"), EngineState.DENIED,
        "this user may not use /var/run/docker.sock\n  cause: permission denied\n  next:  sudo usermod -aG docker",
    ),
    "an engine that broke off": (
        RequestsConnectionError("Remote end closed"), RUNS, "the Docker engine broke off\n  cause: Remote"
    ),
    "an engine that refuses": (APIError("no space left"), RUNS, "refused\n  cause: no space left\n  next:"),
    "an image that does not build": (ImageBuildFailed("the base image did not build"), RUNS, "the base"),
    "SQL": (SqlError("Cannot find"), RUNS, "the database refused\n  cause: Cannot find\n  next:  its log:"),
    "ARM away": (
        ServiceRequestError("Connection refused"), RUNS,
        "the local Azure does not answer\n  cause: Connection refused\n  next:  python -m local stop",
    ),
    "ARM refusing": (Refused(), RUNS, "the local Azure refused\n  cause: (AuthorizationFailed) no"),
    "our own refusal": (AuthorizationFailed("no right"), RUNS, "the local Azure refused\n  cause: no right"),
    "a taken port": (PortInUse("arm", 20001), RUNS, "port 20001 on 127.0.0.1 (recorded for 'arm') is taken"),
    "another user's folder": (UnsafeFolder("f belongs to user 7"), RUNS, "f belongs to user 7"),
    "a damaged store": (
        sqlite3.DatabaseError("file is not a database"), RUNS,
        "is damaged\n  cause: file is not a database\n  next:  restore it, or forget everything",
    ),
    "a full disk": (
        OSError(errno.ENOSPC, "No space left on device", "/f"), RUNS, "/f: No space left on device\n  next:"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_what_others_raise_becomes_fact_cause_and_next_step(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    error, engine, message = FOREIGN[name]
    monkeypatch.setattr(docker_engine, "state", lambda: engine)

    def fail(*_: object) -> int:
        raise error

    monkeypatch.setitem(cli.VERBS, "status", (fail, ""))
    assert cli.main(["status"]) == Exit.FAILED
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ") and message in shown.err, shown.err
    assert shown.out == ""


def test_a_defect_of_ours_keeps_its_traceback(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    assert explain(KeyError("x"), paths) is None

    def fail(*_: object) -> int:
        raise KeyError("x")

    monkeypatch.setitem(cli.VERBS, "status", (fail, ""))
    with pytest.raises(KeyError):
        cli.main(["status"])


def test_control_c_is_said_and_has_its_own_exit_code(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.VERBS, "up", (interrupt, ""))
    assert cli.main(["up"]) == Exit.INTERRUPTED
    assert capsys.readouterr().err.count("interrupted; the same command goes on") == 1


@pytest.mark.parametrize(("program", "table"), [("local", exits.MEANING), ("jobs", MEANING)])
def test_exit_codes_are_documented_as_they_are(program: str, table: Mapping[int, str]) -> None:
    text = (ROOT / "docs" / "local-azure.md").read_text()
    section = text.partition("## Exit codes")[2].partition(f"`python -m {program}`")[2].partition("\n\n`")[0]
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", section, re.MULTILINE))
    assert rows == {str(int(code)): meaning for code, meaning in table.items()}
