"""Files and folders of this machine that are inputs: which they are, and a digest of what each has.

What a job file names itself may be a link, for whoever wrote it knows it. A link inside a folder may only lead to a
file of that folder, and a value from a row may not lead out of the folder that the template names: such names come from
elsewhere, and what they lead to would be there for everybody who may read the job's container.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from ..files.model.inputs import Input

MOST_FILES: Final = 2000  # of one folder
PIECE: Final = 1 << 20
_ADVICE: Final = "pack them (tar -czf inputs.tar.gz FOLDER) and unpack them in the task"

_NO_FILE: Final = "no file but a device, pipe or socket"
_COPY: Final = "put a copy there, or remove it"


class InputError(ValueError):
    """What is wrong with an input, and what to do."""


@dataclass(frozen=True)
class LocalFile:
    """A file as it was when it was looked at. `digest`: SHA-256 of its content, in hexadecimal."""

    path: Path
    size: int
    digest: str
    executable: bool


class LocalFiles:
    """Looks at files; one that did not change is read once. `tell` hears how many bytes were read."""

    def __init__(self, tell: Callable[[int], None] = lambda size: None) -> None:
        self._tell = tell
        self._known: dict[tuple[int, int, int, int], str] = {}

    def of(self, one: Input, folder: Path) -> Iterator[tuple[str, LocalFile]]:
        """Each file with its path in the working directory. Raises `InputError`. `folder`: the job file's."""
        path = folder / one.source
        if one.below is not None:
            _stay_below(path, folder / one.below, one.source)
        if one.kind == "file":
            yield one.destination, self._look(path)
            return
        top = "" if one.destination == "." else f"{one.destination}/"
        count = 0
        for inside, found in _walk(path):
            count += 1
            if count > MOST_FILES:
                raise InputError(f"{path} has more than {MOST_FILES} files; {_ADVICE}")
            yield f"{top}{inside}", self._look(found, os.O_NOFOLLOW)  # links were looked at
        if not count:
            raise InputError(f"{path} has no files; correct the path, or leave it out")

    def _look(self, path: Path, flags: int = 0) -> LocalFile:
        try:
            # Without waiting: a named pipe that nobody writes to would never open.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}; correct the path") from error
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                kind = "a folder: write `folder:`" if stat.S_ISDIR(found.st_mode) else _NO_FILE
                raise InputError(f"{path} is {kind}")
            key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            if key not in self._known:
                hashed = sha256()
                try:
                    while piece := stream.read(PIECE):
                        hashed.update(piece)
                        self._tell(len(piece))
                except OSError as error:
                    raise InputError(f"{path} cannot be read: {error.strerror}") from error
                self._known[key] = hashed.hexdigest()
            return LocalFile(path, found.st_size, self._known[key], bool(found.st_mode & stat.S_IXUSR))


def _stay_below(path: Path, base: Path, written: str) -> None:
    real, allowed = path.resolve(), base.resolve()
    if not real.is_relative_to(allowed):
        raise InputError(
            f"{written!r:.120} leads to {real}, which is not below {allowed}: a value cannot lead out of the folder "
            "that stands before its placeholder"
        )


def _walk(top: Path) -> Iterator[tuple[str, Path]]:
    """Files below the folder by their names there, in order."""
    try:
        real = top.resolve(strict=True)
        if not real.is_dir():
            raise InputError(f"{top} is no folder: write `file:`")
        yield from _walk_in(real, top, "")
    except OSError as error:
        raise InputError(f"{error.filename or top} cannot be read: {error.strerror}; correct the path") from error


def _walk_in(real: Path, folder: Path, inside: str) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name, path = f"{inside}{entry.name}", folder / entry.name
        if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in entry.name):
            raise InputError(f"{str(path)!r} has a name that is no text of one line; rename it")
        if "\\" in entry.name:
            raise InputError(f"{str(path)!r} has a backslash in its name; rename it")
        if entry.is_symlink():
            target = path.resolve()
            if not target.is_relative_to(real):
                raise InputError(f"{path} is a link that leads out of the folder, to {target}; {_COPY}")
            if not target.is_file():
                what = "a link to a folder" if target.is_dir() else "a link to nothing"
                raise InputError(f"{path} is {what}; {_COPY}")
            yield name, target
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk_in(real, path, f"{name}/")
        elif entry.is_file(follow_symlinks=False):
            yield name, path
        else:
            raise InputError(f"{path} is {_NO_FILE}; remove it")
