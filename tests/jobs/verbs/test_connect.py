"""`connect`: a user on a node for one connection, made and removed however that ends: on a service in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import Conflict, JobsError, NotFound, Unreachable, UsageError
from jobs.exits import Exit
from jobs.service.batch import NodeState, PoolState
from jobs.signals import Ended
from jobs.terminal.render import Render
from jobs.verbs.pools import connect
from tests.jobs.command.one_failed import one_failed, records, run
from tests.jobs.fakes import Stage

ROOT = Path(__file__).parents[3]


@pytest.fixture
def scene() -> Stage:
    return one_failed()


def test_connect_makes_a_user_with_a_password_that_is_shown_once(scene: Stage) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]
    assert run(scene, "connect", "tvm", "--password", "--json") == Exit.OK
    told, made = records(scene)[0], scene.batch.users[0]
    assert made["password"] == told["password"]
    assert told["command"].endswith(f"-p 50001 {made['name']}@127.0.0.1")
    assert made["expiryTime"] == "2026-11-25T00:00:00Z"
    assert not made["isAdmin"]
    run(scene, "connect", "tvm1", "--remove", made["name"])
    assert scene.batch.order[-1] == f"delete user {made['name']}"


def test_connect_names_the_setting_when_the_pool_maps_no_ssh(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]

    def refuse(code: str) -> Any:
        def ssh_address(pool: str, node: str) -> tuple[str, int]:
            raise Conflict(f"node {node}: no ({code})", code=code)

        return ssh_address

    monkeypatch.setattr(scene.batch, "ssh_address", refuse("OperationNotValidOnNode"))
    with pytest.raises(Conflict, match=r"`ssh_from: \[203.0.113.0/24\]`.*run up"):
        run(scene, "connect", "tvm1", "--run", "true")
    assert scene.batch.users == []
    scene.batch.pools_known["default-1a2b"] = PoolState(id="default-1a2b", state="active", maps_ssh=True)
    with pytest.raises(Conflict, match="node tvm1: no"):
        run(scene, "connect", "tvm1", "--run", "true")
    monkeypatch.setattr(scene.batch, "ssh_address", refuse("NodeNotReady"))
    with pytest.raises(Conflict, match="NodeNotReady"):
        run(scene, "connect", "tvm1", "--run", "true")


def test_connect_removes_the_user_when_ssh_ends(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]
    started = []

    def ssh(command: list[str], render: Render) -> Exit:
        started.append(command)
        assert Path(command[command.index("-i") + 1]).is_file()
        return Exit.OK

    monkeypatch.setattr(connect, "_run", ssh)
    assert run(scene, "connect", "tvm1", "--run", "uptime") == Exit.OK
    assert started[0][-1] == "uptime"
    assert scene.batch.users[0]["sshPublicKey"].startswith("ssh-ed25519 ")
    assert not Path(started[0][started[0].index("-i") + 1]).exists()
    assert scene.batch.order[-1] == f"delete user {scene.batch.users[0]['name']}"


def test_a_failed_command_on_a_node_is_not_a_failed_task(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]
    monkeypatch.setattr(connect, "ssh_command", lambda *_: ["sh", "-c", "exit 7"])
    assert run(scene, "connect", "tvm1", "--run", "x") == Exit.COMMAND_FAILED
    assert "the remote command ended with 7" in scene.err.getvalue()


@pytest.mark.parametrize("end", [KeyboardInterrupt(), Ended(Exit.HUNG_UP), Ended(Exit.TERMINATED), OSError(5, "EIO")])
def test_connect_removes_the_user_however_it_ends(
    scene: Stage, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]

    def ssh(command: list[str], render: Render) -> Exit:
        raise end

    monkeypatch.setattr(connect, "_run", ssh)
    with pytest.raises(type(end)):
        run(scene, "connect", "tvm1")
    assert scene.batch.order[-1] == f"delete user {scene.batch.users[0]['name']}"


def test_connect_removes_a_user_whose_making_had_no_answer(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]
    real = scene.batch.create_user

    def create_user(pool: str, node: str, user: Mapping[str, Any]) -> None:
        real(pool, node, user)
        raise Unreachable("the answer was lost")

    scene.batch.create_user = create_user  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        run(scene, "connect", "tvm1")
    assert scene.batch.order[-1] == f"delete user {scene.batch.users[0]['name']}"


def test_a_user_that_cannot_be_removed_is_told_and_changes_no_result(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]

    def delete_user(pool: str, node: str, name: str) -> None:
        raise Unreachable("nobody answers")

    scene.batch.delete_user = delete_user  # type: ignore[method-assign]
    monkeypatch.setattr(connect, "_run", lambda command, render: Exit.OK)
    assert run(scene, "connect", "tvm1") == Exit.OK
    assert "could not be removed" in scene.err.getvalue()
    assert f"--remove {scene.batch.users[0]['name']}" in scene.err.getvalue()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_ssh_and_removes_the_user_and_the_key(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """As a process of its own, because a signal is for a process."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\necho "$@" > "$0.said"\nexec sleep 100 >/dev/null\n')
    ssh.chmod(0o755)
    script = """
import signal
import sys
from jobs import signals
from jobs.exits import Exit
from jobs.command.parser import parse
from jobs.service.batch import NodeState
from tests.jobs.fakes import stage
scene = stage()
scene.batch.node_list = [NodeState(id="tvm1", state="idle")]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
signals.raise_on_end()
arguments = parse(["connect", "tvm1"])
try:
    arguments.run(arguments, scene.session)
except KeyboardInterrupt as end:
    print(scene.batch.order[-1], scene.batch.users[0]["name"])
    sys.exit(getattr(end, "exit", 130))
"""
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    while not (tmp_path / "ssh.said").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code
    done, name = out.strip().rsplit(" ", 1)
    assert done == f"delete user {name}"
    assert list(tmp_path.glob("jobs-connect-*")) == []


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (("zebra",), NotFound, "no node's id begins with 'zebra'"),
        (("tvm",), UsageError, "2 nodes begin with 'tvm'"),
        (("tvm1", "--print"), UsageError, "needs a key that stays"),
        (("tvm1", "--key", "id.pub", "--print"), UsageError, "is a public key"),
        (("tvm1", "--key", "no-such-key", "--print"), UsageError, "cannot be read"),
        (("tvm1", "--password", "--days", "0"), UsageError, "1 day or more"),
    ],
)
def test_mistakes_when_connecting_make_no_user(
    scene: Stage, words: tuple[str, ...], kind: type[JobsError], said: str
) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle"), NodeState(id="tvm2", state="idle")]
    with pytest.raises(kind, match=said):
        run(scene, "connect", *words)
    assert scene.batch.users == []
