"""Where a blob goes below a folder of this machine. A task chooses its blobs' names; here each gets a place of its own.

A name that can be a path below the folder is one: that is nearly every name. What cannot is written under a name that
says what it was: `..`, empty names and control characters are percent-encoded, a name longer than file systems allow is
cut, and each of these ends with a digest of what it was, so that no two become one. A file whose name other files have
as their folder keeps it, and the folder gets the digest; where the file system does not tell upper from lower case, the
second of two names that differ in nothing else.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ...errors import MachineError, UsageError
from ...terminal.visible import visible

LONGEST: Final = 240  # bytes of a name: file systems take 255, and what is appended must fit
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Places:
    """The places of one collection's files, asked for in the order of their names, as the service lists them."""

    def __init__(self, *, ignores_case: bool = False) -> None:
        self._files: list[str] = []  # names of files with which later names may begin
        self._taken: set[str] | None = set() if ignores_case else None

    def of(self, name: str) -> str:
        """The path below the folder; equal to the name unless that cannot be one."""
        while self._files and not name.startswith(self._files[-1]):
            self._files.pop()
        clashes = {file.count("/") for file in self._files if name.startswith(f"{file}/")}
        self._files.append(name)
        segments = name.split("/")
        # A name that ends with a slash is a file all the same: its last segment is empty, and gets a name.
        parts = [safe(segment, marked=level in clashes) for level, segment in enumerate(segments)]
        place = "/".join(parts)
        if self._taken is not None:
            if place.casefold() in self._taken:
                parts[-1] = safe(segments[-1], marked=True)
                place = "/".join(parts)
            self._taken.add(place.casefold())
        return place


def safe(segment: str, *, marked: bool = False) -> str:
    """One name of a path: the segment itself, or one that differs from all others. `marked`: in any case the latter."""
    shown = "".join(_encoded(sign) for sign in segment)
    if segment in ("", ".", ".."):
        shown = segment.replace(".", "%2E") or "%"
    if shown == segment and not marked and len(segment.encode()) <= LONGEST:
        return segment
    kept = f"{segment}/" if marked else segment
    digest = hashlib.blake2b(kept.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    cut = shown.encode()[: LONGEST - 16].decode(errors="ignore")
    return f"{cut}~{digest}"


def _encoded(sign: str) -> str:
    """What a terminal would obey (as in `ls`), what no path can hold, and what is no text."""
    if sign.isascii() and sign.isprintable():
        return sign
    if sign in ("\t", "\n") or visible(sign) != sign:
        return "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "surrogatepass"))
    return sign


class Folder:
    """The folder that files are written below, held open: no link below it is followed, also not one made meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(f"{error.filename or path}: is a file", next_step="give a folder to write to") from error
        except OSError as error:
            raise UsageError(
                f"{error.filename or path}: {error.strerror}", next_step="give a folder you may write to"
            ) from error

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def ignores_case(self) -> bool:
        """Whether this file system takes `a` and `A` for one, found out with a file that is removed again."""
        probe = f".jobs-Collect-{os.getpid()}"
        try:
            os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=self._descriptor))
        except FileExistsError:
            return False
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror}", next_step="give a folder you may write to") from error
        try:
            os.stat(probe.lower(), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        else:
            return True
        finally:
            os.unlink(probe, dir_fd=self._descriptor)

    def content(self, place: str) -> int | None:
        """A descriptor of the file there, for reading; None if there is no such file."""
        try:
            with self._parent(place, make=False) as parent:
                descriptor = os.open(
                    _name(place), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent
                )
        except OSError:
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        return descriptor

    @contextmanager
    def writing(self, place: str) -> Iterator[int]:
        """A descriptor to write the file with. It is there when the block ends well, and else nothing of it is."""
        part = f".{hashlib.blake2b(_name(place).encode(), digest_size=8).hexdigest()}.{threading.get_ident()}.part"
        with self._parent(place, make=True) as parent:
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=parent)  # of a process that was killed
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=parent)
            try:
                try:
                    yield descriptor
                finally:
                    os.close(descriptor)
                os.replace(part, _name(place), src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException as error:
                with suppress(OSError):
                    os.unlink(part, dir_fd=parent)
                if isinstance(error, OSError) and error.errno is not None:
                    error.filename, error.filename2 = str(self.path / place), None
                raise

    @contextmanager
    def _parent(self, place: str, *, make: bool) -> Iterator[int]:
        descriptor = os.dup(self._descriptor)
        try:
            for name in place.split("/")[:-1]:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=descriptor)
                try:
                    below = os.open(name, _FOLDER, dir_fd=descriptor)
                except OSError as error:
                    if make and error.errno in (errno.ELOOP, errno.ENOTDIR):
                        raise MachineError(
                            f"{self.path / place}: {name!r} on the way there is a link or a file",
                            cause="links are not followed",
                            next_step="collect into another folder",
                        ) from error
                    raise
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


def _name(place: str) -> str:
    return place.rpartition("/")[2]
