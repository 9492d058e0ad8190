"""What the worker's source says of itself, for the labels of its image, and the copy that the image is built from.

The revision is git's id of the *tree* `worker/docker_worker`, not of a commit. A commit's id would make every commit,
also one of a document, another image: a new digest, and for pools that fetch the image at boot a new pool. The tree's
id changes exactly when the package does, is the same in every checkout (and without git), and leads back to commits:

    git rev-parse COMMIT:worker/docker_worker

So it is made of what git would track: no file that `.gitignore` names, no empty folder, a link as a link. In a checkout
git itself lists the files; elsewhere (a source archive) `UNTRACKED` says what is left out.

The copy: pulumi-docker hashes the modes of a context's files, and a checkout's modes depend on the umask of whoever
made it. Two people's previews would differ, and each `up` would build again. In the copy a mode is one of git's two.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

PACKAGE: Final = "docker_worker"
UNTRACKED: Final = ("__pycache__", "*.py[cod]", ".DS_Store", ".#*", "*~", ".*.sw?", "#*#")
"""What the tools around a source tree leave in it. The build's `.dockerignore` has the same list (a test compares)."""

_Folder = dict[str, Any]
"""Name -> file, or the folder below it."""
_VERSION: Final = re.compile(r'^VERSION = "([^"]+)"$', re.MULTILINE)


def version(context: Path) -> str:
    """The package's own version. Read, not imported: the program needs none of the worker's packages."""
    file = context / PACKAGE / "__init__.py"
    if found := _VERSION.search(file.read_text()):
        return found[1]
    raise ValueError(f'{file} has no line VERSION = "..."; the image\'s version is taken from it')


def revision(context: Path) -> str:
    """Git's id of the package's tree as it lies there, 40 hex digits (git-scm.com/book, "Git Internals")."""
    return tree_id(context / PACKAGE)


def tree_id(folder: Path) -> str:
    """Git's id of a folder's tree as it lies there: the same for the same names, contents and git modes."""
    root: _Folder = {}
    for path in tracked_files(folder):
        inside = root
        for part in path.parts[:-1]:
            inside = inside.setdefault(part, {})
        inside[path.name] = folder / path
    return _tree(root).hex()


def make_build_context(source: Path, target: Path) -> None:
    """Make `target` a copy of what git tracks in `source`, with git's modes. What is right already is left alone.

    Raises ValueError if the copy cannot be written.
    """
    wanted = tracked_files(source)
    folders = {Path(), *(parent for path in wanted for parent in path.parents)}
    try:
        for folder in sorted(folders):
            (target / folder).mkdir(parents=True, exist_ok=True)
            (target / folder).chmod(0o755)
        for path in wanted:
            _copy(source / path, target / path)
        for path in sorted(target.rglob("*"), reverse=True):
            inside = path.relative_to(target)
            if path.is_dir() and not path.is_symlink():
                if inside not in folders:
                    shutil.rmtree(path)
            elif inside not in wanted:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(f"the worker's build context cannot be written to {target}: {error}") from None


def tracked_files(folder: Path) -> list[Path]:
    """Files and links in a folder that git tracks or would track, relative to it, sorted."""
    listed = _git_files(folder)
    if listed is None:
        listed = [path.relative_to(folder) for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
        listed = [path for path in listed if not _is_untracked(path)]
    return sorted(path for path in listed if os.path.lexists(folder / path))


def _git_files(folder: Path) -> list[Path] | None:
    """What git says; None where there is no git, or no checkout that it trusts."""
    known = _git(folder, "--cached")
    new = _git(folder, "--others", "--exclude-standard")
    if not known or new is None:  # a folder without a tracked file is a copy that some other checkout ignores
        return None
    return list({*known, *(path for path in new if not _is_untracked(path))})


def _git(folder: Path, *options: str) -> list[Path] | None:
    command = ["git", "-C", str(folder), "ls-files", "-z", *options]
    # A git hook sets GIT_DIR and others for its own repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
    except OSError:
        return None
    return [Path(os.fsdecode(name)) for name in done.stdout.split(b"\0") if name] if done.returncode == 0 else None


def _is_untracked(path: Path) -> bool:
    return any(fnmatch.fnmatchcase(part, pattern) for part in path.parts for pattern in UNTRACKED)


def _copy(source: Path, target: Path) -> None:
    """Copy one file or link, in one step, unless the target is the same already."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    if source.is_symlink():
        link = source.readlink()
        if not (target.is_symlink() and target.readlink() == link):
            target.unlink(missing_ok=True)
            target.symlink_to(link)
        return
    mode = stat.S_IMODE(int(_mode(source), 8))
    if target.is_symlink() or not target.is_file() or target.read_bytes() != source.read_bytes():
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=target.parent)
        with os.fdopen(descriptor, "wb") as new:
            new.write(source.read_bytes())
        Path(name).replace(target)
    target.chmod(mode)


def _tree(folder: _Folder) -> bytes:
    """A tree's object: its entries in git's order, where a folder's name ends with a slash."""
    lines = []
    for name in sorted(folder, key=lambda name: os.fsencode(name) + b"/" * isinstance(folder[name], dict)):
        entry = folder[name]
        if isinstance(entry, dict):
            mode, identity = "40000", _tree(entry)
        else:
            mode, identity = _mode(entry), _object("blob", _content(entry))
        lines.append(f"{mode} ".encode() + os.fsencode(name) + b"\0" + identity)
    return _object("tree", b"".join(lines))


def _mode(path: Path) -> str:
    """Git knows three modes of a file."""
    if path.is_symlink():
        return "120000"
    return "100755" if path.stat().st_mode & 0o100 else "100644"


def _content(path: Path) -> bytes:
    return os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()


def _object(kind: str, content: bytes) -> bytes:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).digest()
