"""`python -m local save FILE` and `restore FILE`: the whole state of a local Azure as one file, whether it runs or not.

Owns what is stopped for it and started again; the file itself is `processes/saved_state.py`.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from docker.errors import DockerException

from local import console
from local.deployment import losses, teardown
from local.errors import LocalError
from local.node import cleanup
from local.node.disks import save_disks
from local.node.docker_executor import DISKS
from local.paths import Paths
from local.processes import background, saved_state

_DISKS_PREFIX = ".save-"


def save(paths: Paths, file: Path) -> None:
    """Write the file. One that is there is replaced when the new one is whole."""
    if not paths.database.exists():
        raise LocalError(f"there is nothing to save in {paths.home}", next_step="python -m local start")
    if file.is_dir() or not file.parent.is_dir():
        raise LocalError(
            f"{file} cannot be written",
            cause="its folder is not there, or it is a folder itself",
            next_step="name a file in a folder that is there",
        )
    with _stopped(paths), saved_state.alone(paths):
        for left in paths.home.glob(f"{_DISKS_PREFIX}*"):  # of a save that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=paths.home, prefix=_DISKS_PREFIX) as disks:
            folder = Path(disks) / DISKS
            folder.mkdir()
            nodes = save_disks(paths, folder)
            size = saved_state.pack(paths, file, folder)
    console.info(f"saved {file} ({size / 1e6:,.1f} MB, mode 0600: it holds every secret), with {nodes} nodes' files")


def restore(paths: Paths, file: Path, *, yes: bool) -> bool:
    """Replace the state by the file's; False when the person who was asked did not want to lose what there is."""
    if not file.is_file():
        raise LocalError(f"there is no file {file}", next_step="name a file of: python -m local save")
    saved_state.check(file)
    what = f"replaces every resource, node, blob and database in {paths.home}"
    if paths.database.exists() and not losses.agreed(paths, f"python -m local restore {file} --yes", what, yes=yes):
        return False
    with _stopped(paths), saved_state.alone(paths):
        saved_state.unpack(paths, file)
        try:
            cleanup.remove_nodes(paths)
        except DockerException:
            console.info("no Docker engine answers: nodes of the state before were not removed")
        saved_state.exchange(paths)
    console.info(f"restored {file}")
    return True


@contextlib.contextmanager
def _stopped(paths: Paths) -> Iterator[None]:
    """The local Azure and its nodes are stopped; if it ran, it runs again afterwards, whatever happened."""
    ran = background.stop(paths)
    try:
        teardown.stop_nodes(paths)
        yield
    finally:
        if ran:
            console.info("the local Azure ran: it is started again")
            background.start(paths)
