"""The images of the local Azure: a bootstrapped Debian to build on, and the node image.

Four images, each tagged with a fingerprint of all that goes into it, so that nothing is built twice:

    rootfs          mmdebstrap's tar, imported (the tar is kept in the user's cache folder)
    ├─ base         + the local Azure's CA: what the worker's Dockerfile builds on (`BASE_IMAGE`)
    └─ node-packages  + Debian's engine, sudo, sshd, aiohttp
       └─ node      + the CA and the agent: seconds, also after a change of the agent
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, ImageNotFound

from local.paths import Paths
from tools.setup.process import last_lines
from tools.setup.progress import elapsing

LABEL = "org.local-azure.image"
OWNER_LABEL = "org.local-azure.image.home"  # on what has one home's CA in it; inherited by images built on it
_FILES = Path(__file__).with_name("image_files")
_SUITE = "bookworm"
_PACKAGES = "python3,python3-venv,ca-certificates,usr-is-merged"
_MACHINE_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_CA_PATH = "usr/local/share/ca-certificates/local-azure.crt"
_BOOTSTRAP_SECONDS = 900

Progress = Callable[[str], None]


class ImageBuildFailed(Exception):
    """An image of ours could not be made: fact, cause, next step."""


def ensure_base_image(paths: Paths, progress: Progress) -> str:
    """The base image's name, building it if it is not there. Needs `paths.ca`."""
    client = docker.from_env()
    rootfs = _ensure_rootfs(client, progress)
    ca = paths.ca.read_bytes()
    context = {f"root/{_CA_PATH}": ca, "Dockerfile": _file("base.Dockerfile")}
    return _ensure(client, "base", rootfs, context, progress, {OWNER_LABEL: paths.id})


def ensure_node_image(paths: Paths, progress: Progress) -> str:
    """The node image's name, building it if it is not there. Needs `paths.ca`."""
    client = docker.from_env()
    rootfs = _ensure_rootfs(client, progress)
    packages = _ensure(client, "node-packages", rootfs, {"Dockerfile": _file("packages.Dockerfile")}, progress)
    context = {
        "Dockerfile": _file("node.Dockerfile"),
        f"root/{_CA_PATH}": paths.ca.read_bytes(),
        "root/usr/local/sbin/node_boot": _file("node_boot.sh"),
    }
    return _ensure(client, "node", packages, context | _agent_files(), progress, {OWNER_LABEL: paths.id})


def cache_folder() -> Path:
    """Where the root file system's tar is kept between runs (and survives `make clean`)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "local-azure"


def _agent_files() -> dict[str, bytes]:
    """The agent and the contract, under the names they have in the repository; the packages above them are empty."""
    here = Path(__file__).parent
    target = "root/opt/node-agent/local"
    files = {f"{target}/__init__.py": b"", f"{target}/node/__init__.py": b""}
    files[f"{target}/node/contract.py"] = (here / "contract.py").read_bytes()
    for module in sorted((here / "agent").glob("*.py")):
        files[f"{target}/node/agent/{module.name}"] = module.read_bytes()
    return files


def _ensure_rootfs(client: docker.DockerClient, progress: Progress) -> str:
    certificates = sorted(_MACHINE_CERTIFICATES.glob("*.crt"))
    parts = [_file("rootfs.sh"), _SUITE.encode(), _PACKAGES.encode(), *(path.read_bytes() for path in certificates)]
    fingerprint = _fingerprint(*parts)
    name = f"local-azure/rootfs:{fingerprint}"
    if _exists(client, name):
        return name
    tar = cache_folder() / f"rootfs-{_SUITE}-{fingerprint}.tar"
    if not tar.exists():
        progress("bootstrapping a Debian root file system (once, about 40 s)")
        with elapsing(progress, "bootstrapping a Debian root file system"):
            _bootstrap(tar)
    progress("importing the Debian root file system")
    repository, tag = name.split(":")
    changes = ['CMD ["python3"]', "ENV LANG=C.UTF-8", f"LABEL {LABEL}=rootfs"]
    try:
        client.api.import_image_from_file(str(tar), repository=repository, tag=tag, changes=changes)
    except APIError as error:
        raise ImageBuildFailed(f"the engine did not import {tar}: {error}. Remove that file and try again.") from error
    return name


def _bootstrap(tar: Path) -> None:
    tar.parent.mkdir(parents=True, exist_ok=True)
    part = tar.with_suffix(f".{os.getpid()}.part")
    command = ["sh", str(_FILES / "rootfs.sh"), str(part), _SUITE, _PACKAGES]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_BOOTSTRAP_SECONDS,
            check=False,
            umask=0o022,  # ours is stricter, and would be that of the folders in the image
        )
        if done.returncode:
            raise ImageBuildFailed(
                f"mmdebstrap ended with {done.returncode}: {last_lines(done.stderr, 5)}\n"
                "It needs root, the package mmdebstrap and a Debian mirror; DEBIAN_MIRROR names another one."
            )
        part.replace(tar)
    except FileNotFoundError as error:
        raise ImageBuildFailed(f"{error.filename} is not installed; run `apt-get install mmdebstrap`.") from error
    finally:
        part.unlink(missing_ok=True)


def _ensure(
    client: docker.DockerClient,
    kind: str,
    parent: str,
    context: Mapping[str, bytes],
    progress: Progress,
    labels: Mapping[str, str] | None = None,
) -> str:
    parts = [parent.encode(), *(part for name in sorted(context) for part in (name.encode(), context[name]))]
    name = f"local-azure/{kind}:{_fingerprint(*parts)}"
    if _exists(client, name):
        return name
    progress(f"building the {kind} image")
    try:
        with elapsing(progress, f"building the {kind} image"):
            client.images.build(
                fileobj=_context_tar(context),
                custom_context=True,
                tag=name,
                rm=True,
                forcerm=True,
                buildargs={"BASE_IMAGE": parent},
                labels={LABEL: kind, **(labels or {})},
            )
    except BuildError as error:
        output = "\n".join(str(line.get("stream") or line.get("error") or "") for line in error.build_log)
        raise ImageBuildFailed(f"the {kind} image did not build: {error}\n{last_lines(output, 6)}") from error
    except APIError as error:
        raise ImageBuildFailed(f"the engine refused to build the {kind} image: {error}") from error
    return name


def _context_tar(files: Mapping[str, bytes]) -> io.BytesIO:
    """A build context. Times are fixed, so that the engine's build cache knows unchanged files again."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            entry.mode = 0o755 if "/sbin/" in name else 0o644
            tar.addfile(entry, io.BytesIO(files[name]))
    buffer.seek(0)
    return buffer


def _exists(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _file(name: str) -> bytes:
    return (_FILES / name).read_bytes()


def _fingerprint(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:12]
