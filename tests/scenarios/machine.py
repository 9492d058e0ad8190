"""What a local Azure has on this machine, seen with the machine's own eyes: /proc, mounts, the Docker engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker

from local.paths import Paths

HOME_LABEL = "org.local-azure.home"
KILLED_SECONDS = 60.0  # generous: a loaded machine is slow, and nothing here measures time
LOOK_SECONDS = 0.05


def read(file: Path) -> bytes:
    """A file of /proc; empty when its process just ended."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def command_lines() -> set[str]:
    """Every process's arguments, those on nodes included: they are processes of this kernel."""
    found = (read(entry / "cmdline") for entry in Path("/proc").glob("[0-9]*"))
    return {line.replace(b"\0", b" ").decode(errors="replace").strip() for line in found} - {""}


class Watching:
    """Command lines of all processes that live for a tenth of a second while the block runs."""

    def __enter__(self) -> set[str]:
        self._seen: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self._seen

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self._seen |= command_lines()
            if self._over.wait(0.1):
                return


def processes(root: Path) -> dict[int, str]:
    """The processes that were started from this checkout, by their folder, arguments or environment."""
    found: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            folder = str((entry / "cwd").readlink())
        except OSError:
            continue
        line = read(entry / "cmdline")
        if folder.startswith(str(root)) or bytes(root) in line + read(entry / "environ"):
            found[int(entry.name)] = line.replace(b"\0", b" ").decode(errors="replace")
    return found


def node_containers(paths: Paths) -> list[dict[str, Any]]:
    """`docker inspect` of the nodes."""
    listed = docker.from_env().api.containers(all=True, filters={"label": f"{HOME_LABEL}={paths.id}"})
    return [docker.from_env().api.inspect_container(one["Id"]) for one in listed]


def on_node(container: str, *command: str, user: str = "root", text: str | None = None) -> tuple[int, str]:
    """A command on a node: exit code and output."""
    done = subprocess.run(
        ["docker", "exec", "-i", "-u", user, container, *command],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def task_containers(container: str) -> list[dict[str, Any]]:
    """`docker inspect` of the containers on a node's own engine."""
    code, ids = on_node(container, "docker", "ps", "-aq")
    assert code == 0, ids
    return json.loads(on_node(container, "docker", "inspect", *ids.split())[1]) if ids.split() else []


def leftovers(root: Path, paths: Paths) -> list[str]:
    """All there is of the local Azure outside its own folder, in words."""
    client = docker.from_env()
    filters = {"label": f"{HOME_LABEL}={paths.id}"}
    found = [f"container {one['Names']}" for one in client.api.containers(all=True, filters=filters)]
    found += [f"volume {one.name}" for one in client.volumes.list(filters=filters)]
    found += [f"network {one.name}" for one in client.networks.list(filters=filters)]
    found += [f"process {pid}: {line}" for pid, line in processes(root).items()]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [f"mount {line}" for line in mounts if str(root) in line or paths.sockets.name in line]
    if paths.sockets.exists():
        found += [f"folder {paths.sockets}", *map(str, paths.sockets.rglob("*"))]
    return found


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_all(local_azure: Mapping[str, int]) -> None:
    """kill -9 every process of a local Azure as if at once, by name and id (`Checkout.processes`); none is left.

    The supervisor is stopped first, so that it neither starts a killed child again nor, killed itself, has the kernel
    end the others more gently before their turn.
    """
    supervisor = local_azure["supervisor"]
    os.kill(supervisor, signal.SIGSTOP)
    for pid in (*(pid for pid in local_azure.values() if pid != supervisor), supervisor):
        kill(pid)
    deadline = time.monotonic() + KILLED_SECONDS
    while left := {name: pid for name, pid in local_azure.items() if not gone(pid)}:
        assert time.monotonic() < deadline, f"{KILLED_SECONDS:.0f} s after kill -9 there are still {left}"
        time.sleep(LOOK_SECONDS)


def gone(pid: int) -> bool:
    """Whether the process has ended; one that its parent did not ask about yet has."""
    state = read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()[:1]
    return state in ([], [b"Z"])
