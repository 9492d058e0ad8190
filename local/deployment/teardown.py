"""After a destroy: what is left of ours on this machine, and the removal of what no service looks after any more."""

from __future__ import annotations

import shutil

import docker
from docker.errors import DockerException

from local import console
from local.azure.platform.ports import HOST, Ports
from local.azure.platform.store import Store
from local.deployment.resources import deployed
from local.errors import LocalError
from local.node import cleanup
from local.paths import Paths
from local.processes import background, saved_state


def need_engine() -> None:
    """Raise `DockerException` if no engine answers: what it holds could then not be removed."""
    docker.from_env().close()


WORKER_REPOSITORY = "docker-worker"  # what the program pushes to (`infra/naming.py`; a test holds the two together)


def images(paths: Paths) -> list[str]:
    """Tags that the engine of this machine has of this local Azure's registries (known by their ports)."""
    store = Store(paths.database)
    try:
        servers = {f"{HOST}:{port}" for port in Ports(store).block()}
    finally:
        store.close()
    # One request. `images.list` asks for each image by itself, and fails when somebody removes one meanwhile.
    listed = docker.from_env().api.images()
    return sorted(tag for image in listed for tag in image["RepoTags"] or () if tag.split("/")[0] in servers)


def worker_images(paths: Paths) -> list[str]:
    """Those of them that `up` built. Any other was tagged by a person, who keeps it."""
    return [tag for tag in images(paths) if tag.partition("/")[2].rpartition(":")[0] == WORKER_REPOSITORY]


def remove_worker_images(paths: Paths) -> None:
    """Untag the images that the docker plugin built; their layers stay as the engine's build cache."""
    client = docker.from_env()
    for name in worker_images(paths):
        client.images.remove(name, noprune=True)


def show_remaining(paths: Paths) -> int:
    """Say what is left of a destroyed stack; 0 if nothing is."""
    left = [f"resource {name}" for name in deployed(paths)] + cleanup.remaining(paths)
    left += [f"image {name}" for name in worker_images(paths)]
    for thing in left:
        console.info(f"left: {thing}")
    for name in sorted(set(images(paths)) - set(worker_images(paths))):
        console.info(f"kept: image {name}, which you tagged; remove it: docker image rm {name}")
    if not left:
        console.info("nothing is left: no resource, node, container, volume, network, blob or image tag")
    return 1 if left else 0


def stop_nodes(paths: Paths) -> None:
    """Stop the nodes' containers; the next start boots them again."""
    stopped = cleanup.stop_nodes(paths)
    if stopped:
        console.info(f"stopped {stopped} node{'s' if stopped > 1 else ''}")


def remove_runtime_folder(paths: Paths) -> None:
    """Remove the sockets' folder of a stopped local Azure, unless a node waits in it for the next start."""
    if not any(paths.sockets.glob("*/*/")):
        shutil.rmtree(paths.sockets, ignore_errors=True)


def remove_everything(paths: Paths, *, caches: bool) -> None:
    """Forget the whole local Azure of this folder: nodes, images, state. It must be stopped."""
    if background.status(paths):
        raise LocalError("the local Azure runs", next_step="python -m local stop")
    try:
        cleanup.remove_nodes(paths)
        if caches:
            cleanup.remove_images(paths)
    except DockerException:
        console.info("no Docker engine answers: nothing was removed there")
    for folder in (
        paths.state,
        paths.stack,
        paths.home / "offline",
        paths.run,
        paths.sockets,
        *saved_state.leftovers(paths),
    ):
        shutil.rmtree(folder, ignore_errors=True)
    paths.cloud_json.unlink(missing_ok=True)
    paths.ca.unlink(missing_ok=True)
    console.info("the local Azure is as it was before its first start")
