"""Saving what lies on the disks of node containers; `docker_executor.py` gives it to a container that is made anew.

Images that a node pulled are not saved; they are pulled again.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

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
    parent = PurePosixPath(name).parent
    with tarfile.open(fileobj=_Pieces(iter(pieces)), mode="r|") as given, tarfile.open(file, "w") as saved:  # type: ignore[call-overload]
        rooted(given, parent, saved)


def rooted(given: tarfile.TarFile, parent: PurePosixPath, saved: tarfile.TarFile) -> None:
    """Copy a tar whose names begin below `parent` as one whose names begin at the root: what a container that never
    booted can take, because its folders are not there yet."""
    for folder in [*reversed(parent.parents), parent]:
        if folder.name:
            member = tarfile.TarInfo(str(folder.relative_to("/")))
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            saved.addfile(member)
    below = parent.relative_to("/")
    for member in given:
        member.name = str(below / member.name)
        if member.islnk():
            member.linkname = str(below / member.linkname)
        saved.addfile(member, given.extractfile(member) if member.isreg() else None)


class _Pieces:
    """The engine's stream as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int) -> bytes:
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        taken, self._left = self._left[:size], self._left[size:]
        return taken
