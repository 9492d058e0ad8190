"""Which engine is used, which is started, and which is left alone."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.errors import SetupError
from tools.setup import docker_engine, places
from tools.setup.docker_engine import EngineState, classify


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCAL_AZURE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(docker_engine, "running_containers", lambda: 0)  # whatever runs in this machine's engine
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("answer", "answered", "docker_host", "has_dockerd", "expected"),
    [
        ("20.10.24", True, "", True, EngineState.RUNNING),
        ("20.10.24", True, "tcp://elsewhere:2375", False, EngineState.RUNNING),
        ("Got permission denied while trying to connect", False, "", True, EngineState.DENIED),
        ("Cannot connect to the Docker daemon", False, "tcp://elsewhere:2375", True, EngineState.UNREACHABLE),
        ("Cannot connect to the Docker daemon", False, "", True, EngineState.STOPPED),
        ("Cannot connect to the Docker daemon", False, "unix:///var/run/docker.sock", True, EngineState.STOPPED),
        ("no client", False, "", False, EngineState.NOT_INSTALLED),
    ],
)
def test_every_kind_of_engine_is_told_apart(
    answer: str, answered: bool, docker_host: str, has_dockerd: bool, expected: EngineState
) -> None:
    assert classify(answer, answered=answered, docker_host=docker_host, has_dockerd=has_dockerd) is expected


@pytest.mark.parametrize(
    ("state", "fact", "next_step"),
    [
        (EngineState.DENIED, "this user may not use", "usermod -aG docker"),
        (EngineState.UNREACHABLE, "no Docker engine answers at DOCKER_HOST=tcp://nowhere:1", "unset DOCKER_HOST"),
        (EngineState.NOT_INSTALLED, "no Docker engine answers", "as root"),
    ],
)
def test_each_case_that_we_cannot_mend_has_its_own_message(
    monkeypatch: pytest.MonkeyPatch, state: EngineState, fact: str, next_step: str
) -> None:
    monkeypatch.setattr(docker_engine, "state", lambda: state)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("DOCKER_HOST", "tcp://nowhere:1")
    with pytest.raises(SetupError) as caught:
        docker_engine.ensure(lambda _text: None, lambda _state: None)
    assert fact in str(caught.value)
    assert next_step in str(caught.value)


@pytest.fixture
def no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without `docker` and `dockerd`."""
    monkeypatch.setenv("PATH", "/nonexistent")


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A Unix socket as an engine has one, mounted into a container, say."""
    with tempfile.TemporaryDirectory(prefix="e-") as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/docker.sock")
        server.listen()
        server.settimeout(20)
        yield server, f"unix://{folder}/docker.sock"


def answer(server: socket.socket, text: bytes) -> threading.Thread:
    def serve() -> None:
        line, _ = server.accept()
        with line:
            line.recv(1000)
            line.sendall(text)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"HTTP/1.0 200 OK\r\n\r\n{}", EngineState.RUNNING), (b"HTTP/1.0 503 No\r\n\r\n", EngineState.UNREACHABLE)],
)
def test_without_a_client_the_engine_itself_is_asked(
    no_client: None,
    listening: tuple[socket.socket, str],
    monkeypatch: pytest.MonkeyPatch,
    text: bytes,
    expected: EngineState,
) -> None:
    server, address = listening
    monkeypatch.setenv("DOCKER_HOST", address)
    thread = answer(server, text)
    assert docker_engine.state() is expected
    thread.join()


@pytest.mark.parametrize("address", ["unix:///no/such.sock", "tcp://127.0.0.1:1", "nonsense"])
def test_an_engine_elsewhere_that_does_not_answer_is_never_replaced_by_one_of_ours(
    no_client: None, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(docker_engine, "start", lambda _say: pytest.fail("an engine was started"))
    with pytest.raises(SetupError, match=f"no Docker engine answers at DOCKER_HOST={address}"):
        docker_engine.ensure(lambda _text: None, lambda _state: None)


def test_a_client_without_an_engine_and_without_root_is_told_both_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(
        SetupError, match=r"only a client is installed\n  next:  start Docker .* or run `make setup` as root"
    ):
        docker_engine.ensure(lambda _text: None, lambda _state: None)


def test_an_engine_that_hangs_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(docker_engine, "ANSWER_SECONDS", 0.2)
    assert docker_engine.ask_version() == (False, "no answer within 0 s")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_damaged_marker_ends_nothing_and_is_named(own_home: Path, text: str) -> None:
    own_home.mkdir()
    docker_engine.marker().write_text(text)
    with pytest.raises(SetupError, match=r"docker-engine\.json does not say which"):
        docker_engine.stop(lambda _text: None)


def test_an_engine_that_answers_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "state", lambda: EngineState.RUNNING)
    monkeypatch.setattr(docker_engine, "start", lambda _say: pytest.fail("a second engine was started"))
    docker_engine.ensure(lambda _text: None, lambda _state: None)
    assert not docker_engine.marker().exists()


def test_an_engine_that_we_did_not_start_is_not_stopped(own_home: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        own_home.mkdir()
        docker_engine.stop(lambda _text: None)  # no marker: nothing of ours
        docker_engine.marker().write_text(json.dumps({"pid": bystander.pid, "started": "another process's start"}))
        docker_engine.stop(lambda _text: None)  # a marker of an engine that is gone, its pid used again
        assert bystander.poll() is None
        assert not docker_engine.marker().exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_the_engine_that_we_started_is_stopped(own_home: Path) -> None:
    engine = subprocess.Popen(["sleep", "60"])
    own_home.mkdir()
    docker_engine.marker().write_text(json.dumps({"pid": engine.pid, "started": docker_engine.started(engine.pid)}))
    # `stop` waits until the process has left the process table, so somebody must collect it meanwhile.
    threading.Thread(target=engine.wait, daemon=True).start()
    docker_engine.stop(lambda _text: None)
    assert engine.wait(5) == -15
    assert not places.home().joinpath("docker-engine.json").exists()


@pytest.fixture
def our_engine(own_home: Path) -> subprocess.Popen[bytes]:
    """A process that stands for the engine that this checkout started; nothing runs in it."""
    engine = subprocess.Popen(["sleep", "100"])
    docker_engine.marker().parent.mkdir(parents=True)
    docker_engine.marker().write_text(json.dumps({"pid": engine.pid, "started": docker_engine.started(engine.pid)}))
    places.engine_home().mkdir(parents=True)
    (places.engine_home() / "dockerd.pid").write_text(str(engine.pid))
    return engine


def test_an_engine_that_another_checkout_uses_is_handed_over(
    our_engine: subprocess.Popen[bytes], own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / ".local"
    (other / "run").mkdir(parents=True)
    monkeypatch.setenv("LOCAL_AZURE_HOME", str(other))
    docker_engine.note_user()
    monkeypatch.setenv("LOCAL_AZURE_HOME", str(own_home))
    docker_engine.note_user()
    said: list[str] = []
    try:
        with (other / "run" / "supervisor.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # as its supervisor holds it
            docker_engine.stop(said.append)
        assert our_engine.poll() is None
        assert said == [
            f"the Docker engine goes on: the local Azure of {other.parent} uses it, and its `make down` ends it"
        ]
        assert not docker_engine.marker().exists()
        monkeypatch.setenv("LOCAL_AZURE_HOME", str(other))
        threading.Thread(target=our_engine.wait).start()
        docker_engine.stop(said.append)
        assert our_engine.wait() == -15
    finally:
        our_engine.kill()
        our_engine.wait()


def test_an_engine_in_which_something_runs_is_left_alone(
    our_engine: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_engine, "running_containers", lambda: 2)
    said: list[str] = []
    try:
        docker_engine.stop(said.append)
        assert our_engine.poll() is None and docker_engine.marker().exists()
        assert said == ["the Docker engine goes on: 2 containers run in it; stop them, then: make down"]
    finally:
        our_engine.kill()
        our_engine.wait()
