"""Opening what is below a folder in which tasks write, without following anything that a task made.

A task chooses the names, kinds and links below its folder and may change them at any moment, also between a check and
the use of what was checked. So a path is never used as a whole: a `Beneath` holds its folder open and walks from there
name by name, each opened relative to the one before and without following links (what openat2's RESOLVE_BENEATH and
RESOLVE_NO_SYMLINKS do; Python 3.11 has no call for it). What is checked is what is open: kind, owner and mode are read
from the descriptor. Only regular files are opened for their content: a pipe would block, a device may do anything.

A file is read with the rights of the task's user, not with the agent's: a hard link, or a file moved here out of
another task's folder, gives a task nothing that its user could not read itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol, Self

DEEPEST: Final = 254
"""Folders below each other that are looked into: a blob's name has at most 254 segments, and no walk is endless."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS: Final = {stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
                 stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFDIR: "a folder"}  # fmt: skip


class User(Protocol):
    """Whom files are given to, and whose rights they are read with (`accounts.Account`)."""

    @property
    def name(self) -> str: ...
    def own(self, descriptor: int) -> None: ...
    def may(self, found: os.stat_result, wanted: int) -> bool: ...


class NotAFile(OSError):
    """Something is there and is no regular file; `kind` says what, in words."""

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(errno.EINVAL, f"is {kind}, not a file", path)
        self.kind = kind


class Beneath:
    """A folder held open; close it with `with`. All paths are relative to it, and none leads out of it.

    `reader` is whose rights decide what may be read; without one the agent's own do. Methods raise OSError:
    FileNotFoundError also for a path with `..` or a link in it, PermissionError where the reader has no right.
    """

    def __init__(self, descriptor: int, reader: User | None = None) -> None:
        self._descriptor = descriptor
        self._reader = reader

    @classmethod
    def at(cls, folder: Path, reader: User | None = None) -> Self:
        """The folder at a path that no task chose or can change."""
        return cls(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), reader)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def fileno(self) -> int:
        """The folder's descriptor."""
        return self._descriptor

    def folder(self, path: str, *, make: bool = False, owner: User | None = None) -> Self:
        """A folder below. With `make`, folders that are missing are made, and given to `owner`."""
        descriptor = os.dup(self._descriptor)
        try:
            for name in _names(path):
                made = make and _made(name, descriptor)
                self._check(os.fstat(descriptor), os.X_OK, name)
                below = _open_folder(name, descriptor)
                os.close(descriptor)
                descriptor = below
                if made and owner:
                    owner.own(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return type(self)(descriptor, self._reader)

    def stat(self, path: str) -> os.stat_result:
        """Properties of what is there: of a link itself, not of what it points to."""
        names = _names(path)
        if not names:
            return os.fstat(self._descriptor)
        with self.folder("/".join(names[:-1])) as parent:
            return os.stat(names[-1], dir_fd=parent._descriptor, follow_symlinks=False)

    def open_file(self, path: str) -> int:
        """A descriptor of the regular file, for reading. NotAFile for anything else."""
        *above, name = _names(path) or [""]
        with self.folder("/".join(above)) as parent:
            parent._check(os.fstat(parent._descriptor), os.X_OK, path)
            looked = os.open(name, _LOOK, dir_fd=parent._descriptor)
        try:
            found = os.fstat(looked)
            if not stat.S_ISREG(found.st_mode):
                raise NotAFile(path, _KINDS.get(stat.S_IFMT(found.st_mode), "something else"))
            self._check(found, os.R_OK, path)
            return os.open(f"/proc/self/fd/{looked}", os.O_RDONLY | os.O_CLOEXEC)  # the very file that was looked at
        finally:
            os.close(looked)

    def create_file(self, path: str, *, mode: int = 0o644, owner: User | None = None) -> int:
        """A descriptor of a new, empty file. Whatever file or link had the name is removed first, never written to."""
        *above, name = _names(path) or [""]
        with self.folder("/".join(above), make=True, owner=owner) as parent:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent._descriptor)
            descriptor = os.open(name, _NEW, mode, dir_fd=parent._descriptor)
        os.fchmod(descriptor, mode)
        if owner:
            owner.own(descriptor)
        return descriptor

    def walk(self, path: str = "", *, levels: int = DEEPEST) -> Iterator[tuple[str, os.stat_result]]:
        """What is in a folder below, so many levels deep: paths relative to it with their properties. Links are not
        followed; folders that the reader may not list are passed over. FileNotFoundError if there is no such folder."""
        with self.folder(path) as start:
            start._check(os.fstat(start._descriptor), os.R_OK | os.X_OK, path)
            yield from start._walk("", levels)

    def delete(self, path: str, *, recursive: bool) -> None:
        """Remove a file or link, or a folder: one that is not empty only with `recursive`."""
        *above, name = _names(path) or [""]
        if not name:
            raise PermissionError(errno.EPERM, "the folder itself is not removed", path)
        with self.folder("/".join(above)) as parent:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent._descriptor, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=parent._descriptor)
            elif recursive:
                _remove_tree(name, parent._descriptor)
            else:
                os.rmdir(name, dir_fd=parent._descriptor)

    def _walk(self, prefix: str, levels: int) -> Iterator[tuple[str, os.stat_result]]:
        for name in sorted(os.listdir(self._descriptor)):  # noqa: PTH208 - pathlib lists no descriptor
            try:
                found = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
                yield prefix + name, found
                if stat.S_ISDIR(found.st_mode) and levels > 1:
                    with type(self)(_open_folder(name, self._descriptor), self._reader) as below:
                        below._check(os.fstat(below._descriptor), os.R_OK | os.X_OK, name)
                        yield from below._walk(f"{prefix}{name}/", levels - 1)
            except (FileNotFoundError, PermissionError):
                continue  # it went away, became a link, or is not the reader's to list

    def _check(self, found: os.stat_result, wanted: int, path: str) -> None:
        if self._reader and not self._reader.may(found, wanted):
            raise PermissionError(errno.EACCES, f"user {self._reader.name} may not read it", path)


def _names(path: str) -> list[str]:
    """The names of a relative path. `..` would leave a folder that may have been moved meanwhile: it is not there."""
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names:
        raise FileNotFoundError(errno.ENOENT, "a path with `..` leads nowhere", path)
    return names


def _open_folder(name: str, parent: int) -> int:
    """A folder of an open folder. A link there is reported as missing, so that nobody takes it for a folder."""
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise FileNotFoundError(errno.ENOENT, "is no folder", name) from error
        raise


def _remove_tree(name: str, parent: int) -> None:
    """By `rm`, which walks as we do and any number of levels deep: shutil.rmtree ends at Python's recursion limit."""
    command = ["rm", "--recursive", "--force", "--", f"./{name}"]
    done = subprocess.run(command, cwd=f"/proc/self/fd/{parent}", capture_output=True, check=False)
    if done.returncode:
        raise OSError(errno.EIO, done.stderr.decode(errors="backslashreplace").strip(), name)


def _made(name: str, parent: int) -> bool:
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        return False
    return True
