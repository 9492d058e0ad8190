"""Removing everything of ours from the engine, and saying what is left: found by label, not by memory.

Also works when the store is lost or the local Azure does not run. Images stay: they are a cache (`remove_images` drops
them for `make clean`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
from docker.errors import APIError, DockerException

from local.node import firewall
from local.node.docker_executor import HOME_LABEL, home_id
from local.node.image import OWNER_LABEL
from local.node.process_executor import FOLDER, agent_pid
from local.paths import Paths

_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.05


def remove_nodes(paths: Paths) -> None:
    """Remove this local Azure's nodes: processes, containers, volumes, network, folders. Needs no running service."""
    for folder in (paths.sockets / FOLDER).glob("*"):
        if pid := agent_pid(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(paths.sockets / FOLDER, ignore_errors=True)
    shutil.rmtree(paths.state / "process-nodes", ignore_errors=True)
    client = docker.from_env()
    filters = _ours(paths)
    for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
        container.remove(force=True, v=True)
    for volume in client.volumes.list(filters=filters):
        volume.remove(force=True)
    for network in client.networks.list(filters=filters):
        network.remove()
        firewall.open_again(client, network)
    shutil.rmtree(paths.sockets / "nodes", ignore_errors=True)


def stop_nodes(paths: Paths) -> int:
    """Stop this local Azure's nodes, all at once; how many there were. Their disks stay."""
    agents = [pid for folder in (paths.sockets / FOLDER).glob("*") if (pid := agent_pid(folder))]
    for pid in agents:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for folder in (paths.sockets / FOLDER).glob("*"):
        _wait_for_end(folder)
    return len(agents) + _stop_containers(paths)


def _wait_for_end(folder: Path) -> None:
    end = time.monotonic() + _STOP_SECONDS
    while pid := agent_pid(folder):
        if time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_LOOK_SECONDS)


def _stop_containers(paths: Paths) -> int:
    try:
        containers = docker.from_env().containers.list(filters=_ours(paths), ignore_removed=True)
    except DockerException:
        return 0  # no engine, no nodes
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda container: container.stop(), containers))
    return len(containers)


def remaining(paths: Paths) -> list[str]:
    """What there still is of this local Azure's nodes, in words; empty when nothing is left."""
    agents = [f"process {pid}" for folder in (paths.sockets / FOLDER).glob("*") if (pid := agent_pid(folder))]
    try:
        client = docker.from_env()
        filters = _ours(paths)
        found = agents + [
            f"container {one.name}" for one in client.containers.list(all=True, filters=filters, ignore_removed=True)
        ]
        found += [f"volume {one.name}" for one in client.volumes.list(filters=filters)]
        return found + [f"network {one.name}" for one in client.networks.list(filters=filters)]
    except DockerException:
        return agents  # no engine: nothing of ours can be in it


def remove_images(paths: Paths) -> None:
    """Remove this home's images: base, node, the worker built on them, untagged ones too. Those without a home's CA are
    every checkout's, and stay; so does what a person built on the base under a name of their own."""
    client = docker.from_env()
    for image in client.images.list(filters={"label": f"{OWNER_LABEL}={paths.id}"}):
        if not all(_is_ours(tag) for tag in image.tags):
            continue
        with contextlib.suppress(APIError):  # in use by a container that is not ours to remove
            client.images.remove(image.id, force=True)


def _is_ours(tag: str) -> bool:
    """Whether we or the docker plugin gave the tag: it is of a node's image, or of a registry on this host."""
    repository = tag.rpartition(":")[0]
    return repository.startswith("local-azure/") or (
        repository.startswith("127.0.0.1:") and repository.endswith("/docker-worker")
    )


def _ours(paths: Paths) -> dict[str, str | list[str] | bool]:
    return {"label": f"{HOME_LABEL}={home_id(paths)}"}
