"""What the worker's source says of itself, for the labels of its image: version and revision.

The revision is git's id of the *tree* `worker/docker_worker`, not of a commit. A commit's id would make every commit,
also one of a document, another image: a new digest, and for pools that fetch the image at boot a new pool. The tree's
id changes exactly when the package does, is the same in every checkout (and without git), and leads back to commits:

    git rev-parse COMMIT:worker/docker_worker
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

PACKAGE: Final = "docker_worker"
_VERSION: Final = re.compile(r'^VERSION = "([^"]+)"$', re.MULTILINE)
_IGNORED: Final = frozenset({"__pycache__"})  # as git and the build do


def version(context: Path) -> str:
    """The package's own version. Read, not imported: the program needs none of the worker's packages."""
    file = context / PACKAGE / "__init__.py"
    if found := _VERSION.search(file.read_text()):
        return found[1]
    raise ValueError(f'{file} has no line VERSION = "..."; the image\'s version is taken from it')


def revision(context: Path) -> str:
    """Git's id of the package's tree as it lies there, 40 hex digits (git-scm.com/book, "Git Internals")."""
    return _tree(context / PACKAGE).hex()


def _tree(folder: Path) -> bytes:
    entries = [path for path in folder.iterdir() if path.name not in _IGNORED]
    lines = [
        f"{_mode(path)} {path.name}\0".encode() + (_tree(path) if path.is_dir() else _object("blob", path.read_bytes()))
        for path in sorted(entries, key=lambda path: path.name + "/" * path.is_dir())
    ]
    return _object("tree", b"".join(lines))


def _mode(path: Path) -> str:
    if path.is_dir():
        return "40000"
    return "100755" if path.stat().st_mode & 0o100 else "100644"


def _object(kind: str, content: bytes) -> bytes:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).digest()
