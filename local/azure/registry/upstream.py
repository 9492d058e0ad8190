"""The process behind every registry, Debian's docker-registry, and the folder it keeps images in.

Owns its command, its configuration and its files; `proxy.py` talks to it. It listens on a Unix socket in a folder of
mode 0700 and checks nobody: the front (`service.py`) is the only way in. Uploads are files, so that kill -9 loses no
push that was acknowledged.
"""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local.paths import Paths, write_private

_NO_NAME = frozenset({"_layers", "_manifests", "_uploads"})


def upstream_socket(paths: Paths) -> Path:
    """Where docker-registry listens: ready when it accepts connections."""
    return paths.sockets / "registry.sock"


def upstream_command(paths: Paths) -> list[str]:
    """What the supervisor runs, after `write_upstream_config`."""
    return ["docker-registry", "serve", str(_folder(paths) / "config.yml")]


def write_upstream_config(paths: Paths) -> None:
    """Write the configuration (JSON is YAML); the upload secret is made once, so that uploads survive a restart."""
    folder = _folder(paths)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = folder / "upload.secret"
    if not secret.exists():
        write_private(secret, secrets.token_hex(32).encode())
    config = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "images")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": True, "age": "24h", "interval": "24h", "dryrun": False}},
        },
        "http": {
            "net": "unix",
            "addr": str(upstream_socket(paths)),
            "relativeurls": True,
            "secret": secret.read_text(),
        },
    }
    write_private(folder / "config.yml", json.dumps(config, indent=2).encode())


@dataclass(frozen=True)
class Tag:
    """A tag and the digest it points at."""

    name: str
    digest: str
    changed: datetime


@dataclass(frozen=True)
class Manifest:
    """A manifest that the repository has."""

    digest: str
    changed: datetime


class Images:
    """What docker-registry has on disk, read and removed without it (its API can delete neither tag nor repository)."""

    def __init__(self, paths: Paths) -> None:
        self._root = _folder(paths) / "images" / "docker" / "registry" / "v2"

    def repositories(self, registry: str) -> list[str]:
        """Names of the registry's repositories, in order."""
        root = self._repository(registry)
        found = {manifests.parent.relative_to(root).as_posix() for manifests in root.rglob("_manifests")}
        return sorted(found)

    def tags(self, registry: str, repository: str) -> list[Tag]:
        """The repository's tags, in order."""
        folder = self._repository(registry, repository) / "_manifests" / "tags"
        links = sorted(folder.glob("*/current/link"))
        return [Tag(link.parent.parent.name, link.read_text().strip(), _changed(link)) for link in links]

    def manifests(self, registry: str, repository: str) -> list[Manifest]:
        """The repository's manifests, in order of their digests."""
        folder = self._repository(registry, repository) / "_manifests" / "revisions"
        links = sorted(folder.glob("*/*/link"))
        return [Manifest(link.read_text().strip(), _changed(link)) for link in links]

    def delete_tag(self, registry: str, repository: str, tag: str) -> bool:
        """Forget a tag; its manifest stays."""
        folder = self._repository(registry, repository) / "_manifests" / "tags" / tag
        return "/" not in tag and _remove(folder)

    def delete(self, registry: str, repository: str | None = None) -> bool:
        """Remove one repository, or all of a registry; layers go when no repository is left anywhere."""
        removed = _remove(self._repository(registry, repository or ""))
        repositories = self._root / "repositories"
        if not any(repositories.rglob("_manifests")):
            _remove(repositories)
            _remove(self._root / "blobs")
        return removed

    def _repository(self, registry: str, repository: str = "") -> Path:
        parts = [part for part in repository.split("/") if part]
        if any(part in _NO_NAME or part.startswith(".") for part in parts):
            return self._root / "repositories" / "_none"
        return self._root.joinpath("repositories", registry.lower(), *parts)


def _folder(paths: Paths) -> Path:
    return paths.state / "registry"


def _changed(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def _remove(folder: Path) -> bool:
    if not folder.exists():
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True
