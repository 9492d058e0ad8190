"""The build context: where it is, what is ignored, and a digest that changes exactly when an image would.

Paths are relative to the program's directory, which is the plugin's working directory (the Pulumi CLI starts it there).
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib
import importlib.util
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from local.plugins.protocol.provider import Failure

_WITHOUT_CLIENT: Final = "docker_without_its_client"


@functools.cache
def _exclude_paths() -> Callable[..., Iterable[str]]:
    """Docker SDK's `docker.utils.build.exclude_paths`: the paths in a folder that no pattern excludes.

    `import docker` imports an HTTP client, too: 60 ms of processor time on the longest way of each preview, which
    builds nothing. So the one module is imported under packages of the same folders that are empty otherwise.
    """
    found = importlib.util.find_spec("docker")
    assert found is not None and found.submodule_search_locations
    [folder] = found.submodule_search_locations
    for name, path in ((_WITHOUT_CLIENT, folder), (f"{_WITHOUT_CLIENT}.utils", f"{folder}/utils")):
        package = ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package
    return importlib.import_module(f"{_WITHOUT_CLIENT}.utils.build").exclude_paths


def find_failures(context: str, dockerfile: str) -> Iterator[Failure]:
    """What is wrong with the two paths, and what to write instead."""
    root = Path(context)
    if not root.is_dir():
        near = difflib.get_close_matches(root.name, [p.name for p in _folders(root.parent)], n=1)
        advice = f"; did you mean '{root.parent / near[0]}'?" if near else "; give build.context a folder that exists"
        what = "is not a folder" if root.exists() else "does not exist"
        yield Failure("build.context", f"the build context '{context}' {what} (looked in {Path.cwd()}){advice}")
    elif not Path(dockerfile).is_file():
        inside = root / dockerfile
        if inside.is_file():
            advice = f"paths are relative to the program, not to the context: write '{inside}'"
        else:
            found = sorted(str(path) for path in root.glob("*ockerfile*") if path.is_file())
            advice = (
                f"found in the context: {', '.join(found)}" if found else f"the context '{context}' has none at all"
            )
        yield Failure("build.dockerfile", f"the Dockerfile '{dockerfile}' does not exist; {advice}")


def _folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []


def ignore_patterns(context: str, dockerfile: str) -> list[str]:
    """Patterns of `<dockerfile>.dockerignore` if there is one, else of the context's `.dockerignore`.

    In the first case the second file is not sent: the engine would apply it as well.
    """
    own, shared = Path(f"{dockerfile}.dockerignore"), Path(context) / ".dockerignore"
    if own.is_file():
        return [*_patterns(own), ".dockerignore"]
    return _patterns(shared) if shared.is_file() else []


def _patterns(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def archive(context: str, dockerfile: str) -> tuple[Any, str]:
    """What is sent to the engine, and the Dockerfile's name in it (one outside the context is added)."""
    from docker.api.build import process_dockerfile
    from docker.utils.build import tar

    inside = dockerfile_in(context, dockerfile)
    named = process_dockerfile(inside or str(Path(dockerfile).resolve()), str(Path(context).resolve()))
    return tar(Path(context), exclude=ignore_patterns(context, dockerfile), dockerfile=named), str(named[0])


def dockerfile_in(context: str, dockerfile: str) -> str | None:
    """The Dockerfile's path inside the context, or None if it lies outside."""
    relative = os.path.relpath(dockerfile, context)
    return None if relative.startswith("..") else relative


def digest(context: str, dockerfile: str) -> str:
    """SHA-256 over names, kinds, executable bits and contents of what is sent to the engine, and over the Dockerfile.

    Times and owners are left out: the engine's build cache ignores them too, and they differ between checkouts.
    """
    inside = dockerfile_in(context, dockerfile)
    names = _exclude_paths()(context, ignore_patterns(context, dockerfile), dockerfile=inside or "Dockerfile")
    total = hashlib.sha256(b"dockerfile\0" + hashlib.sha256(Path(dockerfile).read_bytes()).digest())
    for name in sorted(names):
        kind, content = _entry(Path(context) / name)
        if kind != "other":
            total.update(f"{name}\0{kind}\0".encode() + content)
    return total.hexdigest()


def _entry(path: Path) -> tuple[str, bytes]:
    """Kind and content (hashed for files) of one entry of the context."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "link", hashlib.sha256(os.fsencode(path.readlink())).digest()
    if stat.S_ISDIR(mode):
        return "folder", b""
    if not stat.S_ISREG(mode):
        return "other", b""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").digest()
    return "program" if mode & 0o111 else "file", content
