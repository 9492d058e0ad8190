"""Saving what lies on the disks of node containers; `docker_executor.py` gives it to a container that is made anew.

Images that a node pulled are not saved; they are pulled again.
"""

from __future__ import annotations

from pathlib import Path

import docker
from docker.errors import DockerException, NotFound
from docker.models.containers import Container

from local.node.docker_executor import DISK_FOLDERS, HOME_LABEL, NODE_LABEL, disk_file, home_id
from local.paths import Paths


def save_disks(paths: Paths, folder: Path) -> int:
    """Write `folder/NODE/*.tar` for each (stopped) node container of this home; how many nodes there were."""
    try:
        client = docker.from_env()
        label = f"{HOME_LABEL}={home_id(paths)}"
        containers = client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
    except DockerException:
        return 0  # no engine, no nodes
    for container in containers:
        place = folder / container.labels[NODE_LABEL]
        place.mkdir(mode=0o700, parents=True)
        for name in DISK_FOLDERS:
            _save(container, name, place / disk_file(name))
    return len(containers)


def _save(container: Container, name: str, file: Path) -> None:
    try:
        pieces, _ = container.get_archive(name)
    except NotFound:
        return  # a node that never booted
    with file.open("wb") as out:
        for piece in pieces:
            out.write(piece)
