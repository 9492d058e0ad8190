"""A Docker engine: find one, or start one of our own; never disturb one that is there.

An engine that answers is used as it is. Only where none answers, and none is installed elsewhere (DOCKER_HOST), a
`dockerd` is started with its own data root, exec root and pid file, so that nothing of another engine is touched.
`stop` ends it only for the checkout that started it, and not while another checkout's local Azure runs, or a container:
the other checkout then has the engine, and its `make down` ends it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from enum import Enum
from pathlib import Path

from tools.errors import SetupError
from tools.setup import debian_packages, places, root
from tools.setup.process import run
from tools.setup.progress import Say, Show

SOCKET = "/var/run/docker.sock"
ANSWER_SECONDS = 30.0
START_SECONDS = 30.0
STOP_SECONDS = 30.0


class EngineState(Enum):
    RUNNING = "running"
    DENIED = "denied"  # an engine runs, but this user may not use it
    UNREACHABLE = "unreachable"  # DOCKER_HOST or a context names an engine that does not answer
    STOPPED = "stopped"  # dockerd is installed, none runs
    NOT_INSTALLED = "not-installed"  # at most a client is here


def classify(answer: str, *, answered: bool, docker_host: str, has_dockerd: bool) -> EngineState:
    """Which case it is, from the words of `docker version` (a client alone answers `docker --version`)."""
    if answered:
        return EngineState.RUNNING
    if "permission denied" in answer.lower():
        return EngineState.DENIED
    if docker_host and docker_host != f"unix://{SOCKET}":
        return EngineState.UNREACHABLE
    return EngineState.STOPPED if has_dockerd else EngineState.NOT_INSTALLED


def state() -> EngineState:
    answered, answer = ask_version()
    return classify(
        answer,
        answered=answered,
        docker_host=os.environ.get("DOCKER_HOST", ""),
        has_dockerd=shutil.which("dockerd") is not None,
    )


def ask_version() -> tuple[bool, str]:
    """Ask the engine for its version: with the client, or without one (a mounted socket, say) at its socket."""
    if not shutil.which("docker"):
        return ask_socket()
    try:
        asked = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {ANSWER_SECONDS:.0f} s"
    return asked.returncode == 0, asked.stdout + asked.stderr


def ask_socket() -> tuple[bool, str]:
    """`GET /version` of the engine's HTTP interface, at the socket or address that DOCKER_HOST names."""
    kind, _, place = os.environ.get("DOCKER_HOST", f"unix://{SOCKET}").partition("://")
    try:
        if kind == "unix":
            line = socket.socket(socket.AF_UNIX)
            line.settimeout(ANSWER_SECONDS)
            line.connect(place or SOCKET)
        else:
            host, _, port = place.partition(":")
            line = socket.create_connection((host, int(port or 2375)), timeout=ANSWER_SECONDS)
        with line:
            line.sendall(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")
            answer = line.recv(1000).decode(errors="replace")
    except (OSError, ValueError) as error:
        return False, str(error)
    return " 200 " in answer.partition("\r\n")[0], answer


def check() -> EngineState:
    """What was found; `SetupError` if it cannot be used, and none can be started."""
    found = state()
    if found is EngineState.RUNNING:
        return found
    if found in (EngineState.DENIED, EngineState.UNREACHABLE) or not root.available():
        raise trouble(found)
    return found


def wants_root() -> str:
    """What root is needed for; empty when an engine answers, or none can be started."""
    if state() in (EngineState.RUNNING, EngineState.DENIED, EngineState.UNREACHABLE):
        return ""
    return "to start a Docker engine, which root and the group of this user may use"


def ensure(say: Say, show: Show) -> None:
    """An engine answers when this returns."""
    if check() is not EngineState.RUNNING:
        debian_packages.ensure(debian_packages.FOR_ENGINE, say, show)
        start(say)
    note_user()


def checkouts() -> Path:
    """A file for each checkout that was prepared with the engine that we started; in it, its home folder."""
    return places.engine_home() / "checkouts"


def note_user() -> None:
    """Write down that this checkout uses the engine, if it is one that a checkout started."""
    if not (places.engine_home() / "dockerd.pid").exists():
        return
    folder = checkouts()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    home = str(places.home())
    (folder / hashlib.sha256(home.encode()).hexdigest()[:16]).write_text(home)


def other_users() -> list[Path]:
    """Homes of other checkouts whose local Azure runs: its supervisor holds a lock as long as it lives."""
    found = []
    for file in sorted(checkouts().glob("*")) if checkouts().is_dir() else []:
        home = Path(file.read_text())
        if home != places.home() and _is_locked(home / "run" / "supervisor.lock"):
            found.append(home)
    return found


def _is_locked(file: Path) -> bool:
    try:
        with file.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def running_containers() -> int:
    """How many containers run in the engine, whoever's; 0 when that cannot be asked."""
    try:
        asked = subprocess.run(
            ["docker", "ps", "--quiet"], capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return len(asked.stdout.split()) if asked.returncode == 0 else 0


def trouble(found: EngineState) -> SetupError:
    """What to say of an engine that cannot be used."""
    if found is EngineState.DENIED:
        return SetupError(
            f"a Docker engine runs, but this user may not use {SOCKET}",
            cause="permission denied",
            next_step="sudo usermod -aG docker $(id -un), then log in again",
        )
    if found is EngineState.UNREACHABLE:
        return SetupError(
            f"no Docker engine answers at DOCKER_HOST={os.environ.get('DOCKER_HOST', '')}",
            next_step="start that engine, or unset DOCKER_HOST to use one on this machine",
        )
    client = "only a client is installed" if shutil.which("docker") else "Docker is not installed"
    return SetupError(
        "no Docker engine answers on this machine",
        cause="an engine is installed, but it does not run" if found is EngineState.STOPPED else client,
        next_step="start Docker (sudo systemctl start docker), or run `make setup` as root: "
        "it then starts an engine of its own",
    )


def start(say: Say) -> None:
    home = places.engine_home()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    pid_file, log = home / "dockerd.pid", home / "dockerd.log"
    pid_file.unlink(missing_ok=True)
    say("starting a Docker engine")
    with log.open("ab") as out:
        process = subprocess.Popen(
            _command(home, pid_file),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=root.is_root(),  # sudo knows its password for this terminal only
        )
    deadline = time.monotonic() + START_SECONDS
    while not ask_version()[0]:
        if process.poll() not in (None, None if root.is_root() else 0) or time.monotonic() > deadline:
            tail = "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-5:])
            if process.poll() is None:
                process.terminate()
            raise SetupError(
                f"the Docker engine did not start within {START_SECONDS:.0f} s\n{tail}",
                cause=f"its log: {log}",
                next_step="start Docker yourself, then try again",
            )
        time.sleep(0.1)
    marker().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pid = process.pid if root.is_root() else int(pid_file.read_text())
    marker().write_text(json.dumps({"pid": pid, "started": started(pid)}))


def _command(home: Path, pid_file: Path) -> list[str]:
    """As another user than root: by sudo, in the background, with a socket for the group of this user."""
    argv = ["dockerd", "--host", f"unix://{SOCKET}", "--data-root", str(home / "data")]
    argv += ["--exec-root", str(home / "run"), "--pidfile", str(pid_file)]
    return argv if root.is_root() else ["sudo", "-n", "-b", "setsid", *argv, "--group", str(os.getgid())]


def _end(pid: int, say: Say) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError:  # sudo started it
        root.ask(["to stop the Docker engine that make started"], say)
        helps = f"sudo kill {pid}"
        run(root.command(["kill", str(pid)]), what="stopping the Docker engine", next_step=helps)


def marker() -> Path:
    """Says that this checkout started the engine that runs."""
    return places.home() / "docker-engine.json"


def started(pid: int) -> str:
    """The start time of a process in clock ticks since boot: with the pid it names one process, ever."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return ""


def stop(say: Say) -> None:
    """End the engine that this checkout started; leave every other one alone."""
    if not marker().exists():
        return
    try:
        mine = json.loads(marker().read_text())
        pid, began = int(mine["pid"]), str(mine["started"])
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"{marker()} does not say which Docker engine was started from here",
            cause=f"{type(error).__name__}: {error}",
            next_step="end that engine by hand, if it runs, and delete the file",
        ) from None
    if started(pid) and started(pid) == began:
        if others := other_users():
            say(
                f"the Docker engine goes on: the local Azure of {others[0].parent} uses it, and its `make down` ends it"
            )
            (others[0] / marker().name).write_text(marker().read_text())
            marker().unlink()
            return
        if containers := running_containers():
            some = "1 container runs" if containers == 1 else f"{containers} containers run"
            say(f"the Docker engine goes on: {some} in it; stop them, then: make down")
            return
        say("stopping the Docker engine that make started")
        _end(pid, say)
        deadline = time.monotonic() + STOP_SECONDS
        while started(pid) == began:
            if time.monotonic() > deadline:
                raise SetupError(
                    f"the Docker engine (pid {pid}) did not stop within {STOP_SECONDS:.0f} s",
                    next_step=f"look into {places.engine_home() / 'dockerd.log'}",
                )
            time.sleep(0.1)
    marker().unlink()
