"""The whole state of a stopped local Azure as one file, and back: its folders, the file's form, and the exchange.

A tar (gzip): first `local-azure.json` (form and version), then the folders, last `digests.json` (SHA-256 of each file).
A file is written beside its place and gets its name when it is whole. What a file holds is unpacked beside the home's
folders and checked to the last byte before any of them is touched; then folders are exchanged by renames, and a
command that was killed between two renames is finished by the next (`pending`). Ownership is kept where we may keep it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from local.errors import LocalError
from local.paths import Paths
from local.processes.running import lock_file

VERSION: Final = 1
FORM: Final = "local-azure-state"
HEAD, DIGESTS = "local-azure.json", "digests.json"
ENTRIES: Final = ("state", "stack", "ca.pem")  # of the home; `cloud.json` is written anew at each start
_STAGING, _COMPLETE, _REPLACED = ".restore", "complete", ".replaced"
_PIECE: Final = 1 << 20


def pack(paths: Paths, file: Path, more: Path | None = None) -> int:
    """Write the file, mode 0600; its size in bytes. `more` is a folder that is saved as if it lay in `state`."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1, format=tarfile.PAX_FORMAT) as tar:
                _add_json(tar, HEAD, {"form": FORM, "version": VERSION, "saved": datetime.now(UTC).isoformat()})
                digests = dict(_add_tree(tar, paths.home, more))
                _add_json(tar, DIGESTS, digests)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
        return file.stat().st_size
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _add_tree(tar: tarfile.TarFile, home: Path, more: Path | None) -> Iterator[tuple[str, str]]:
    sources = [(home / entry, entry) for entry in ENTRIES if (home / entry).exists()]
    if more is not None:
        sources.append((more, f"state/{more.name}"))
    for source, name in sources:
        for path in [source, *sorted(source.rglob("*"))] if source.is_dir() else [source]:
            member = tar.gettarinfo(path, arcname=str(Path(name) / path.relative_to(source)))
            if member is None:
                continue  # a socket: it belongs to a process, not to the state
            if path.is_symlink() or not path.is_file():
                tar.addfile(member)
                continue
            member.type = tarfile.REGTYPE  # a hard link is saved as a file of its own
            member.linkname = ""
            with path.open("rb") as content:
                reader = _Digesting(content)
                member.size = os.fstat(content.fileno()).st_size
                tar.addfile(member, reader)  # type: ignore[arg-type]
            yield member.name, reader.digest


def check(file: Path) -> None:
    """Read a file to its end; LocalError for one that is not whole, not ours, or of another version."""
    try:
        _read(file, None)
    except (tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        raise _damaged(file, f"{type(error).__name__}: {error}") from error


def unpack(paths: Paths, file: Path) -> None:
    """Unpack a file beside the home's folders and check it; nothing is left of one that is refused."""
    staging = paths.home / _STAGING
    for left in leftovers(paths):
        shutil.rmtree(left, ignore_errors=True)
    staging.mkdir(mode=0o700, parents=True)
    try:
        _read(file, staging)
    except BaseException as error:
        shutil.rmtree(staging, ignore_errors=True)
        if isinstance(error, (tarfile.TarError, EOFError, zlib.error, ValueError)):
            raise _damaged(file, f"{type(error).__name__}: {error}") from error
        raise


def _read(file: Path, staging: Path | None) -> None:
    digests: dict[str, str] = {}
    expected: dict[str, str] | None = None
    with tarfile.open(file, "r|gz") as tar:
        for index, member in enumerate(tar):
            if expected is not None:
                raise _damaged(file, f"{member.name} comes after the end")
            if index == 0:
                _check_head(file, tar, member)
            elif member.name == DIGESTS:
                expected = json.loads(_content(tar, member).read())
            else:
                _check_member(file, member)
                if member.isreg():
                    reader = _Digesting(_content(tar, member))
                    _write(file, reader, tar, member, staging) if staging else _skip(reader)
                    digests[member.name] = reader.digest
                elif staging:
                    _refuse_links(file, member, staging)
                    tar.extract(member, staging, filter="fully_trusted")
    if expected is None:
        raise _damaged(file, "its end is missing")
    if wrong := sorted({name for name in digests.keys() | expected.keys() if digests.get(name) != expected.get(name)}):
        raise _damaged(file, f"{wrong[0]} is not what was saved ({len(wrong)} such files)")


def _check_head(file: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    head: dict[str, Any] = json.loads(_content(tar, member).read()) if member.name == HEAD and member.isreg() else {}
    if head.get("form") != FORM:
        raise LocalError(f"{file} is no saved state of a local Azure", next_step="name a file of: python -m local save")
    if head.get("version") != VERSION:
        raise LocalError(
            f"{file} has version {head.get('version')!r}; this checkout reads version {VERSION}",
            cause="another version of the local Azure saved it",
            next_step="restore it with the checkout that saved it",
        )


def _check_member(file: Path, member: tarfile.TarInfo) -> None:
    steps = Path(member.name).parts
    if (
        not steps
        or steps[0] not in ENTRIES
        or ".." in steps
        or not (member.isreg() or member.isdir() or member.issym())
    ):
        raise _damaged(file, f"{member.name!r} does not belong in it")


def _refuse_links(file: Path, member: tarfile.TarInfo, staging: Path) -> Path:
    """The path to unpack the member to. Refuses one that a link in the same file leads to, or without its folder."""
    path = staging / member.name
    if path.parent.resolve() != (staging.resolve() / member.name).parent:
        raise _damaged(file, f"{member.name!r} leads somewhere else")
    if not path.parent.is_dir():
        raise _damaged(file, f"{member.name!r} has no folder in it")
    return path


def _write(file: Path, reader: _Digesting, tar: tarfile.TarFile, member: tarfile.TarInfo, staging: Path) -> None:
    path = _refuse_links(file, member, staging)
    with path.open("xb") as out:
        shutil.copyfileobj(reader, out, _PIECE)  # type: ignore[arg-type]
        if os.geteuid() == 0:
            tar.chown(member, path, numeric_owner=False)  # type: ignore[arg-type]
        os.fchmod(out.fileno(), member.mode)
    os.utime(path, (member.mtime, member.mtime))


def _skip(reader: _Digesting) -> None:
    while reader.read(_PIECE):
        pass


def leftovers(paths: Paths) -> list[Path]:
    """Folders of a restore that was killed."""
    return [paths.home / _STAGING, paths.home / _REPLACED]


def pending(paths: Paths) -> bool:
    """Whether an exchange was begun and not finished."""
    return (paths.home / _STAGING / _COMPLETE).exists()


def exchange(paths: Paths) -> None:
    """Exchange the folders for the unpacked ones, or finish that. The local Azure is stopped, and `alone` held."""
    staging, replaced = paths.home / _STAGING, paths.home / _REPLACED
    (staging / _COMPLETE).touch()  # from here on it is finished, whatever happens
    replaced.mkdir(mode=0o700, exist_ok=True)
    for entry in ENTRIES:
        new, current, old = staging / entry, paths.home / entry, replaced / entry
        is_moved = old.exists() or (staging / f"{entry}.taken").exists()
        if not is_moved:
            if current.exists():
                current.rename(old)
            (staging / f"{entry}.taken").touch()
        if new.exists():
            new.rename(current)
    paths.cloud_json.unlink(missing_ok=True)
    (staging / _COMPLETE).unlink()
    shutil.rmtree(staging, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def alone(paths: Paths) -> Iterator[None]:
    """Hold the lock: nobody starts, saves or restores this local Azure. LocalError if somebody does that now."""
    paths.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock_file(paths).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(
                "another command starts, saves or restores the local Azure", next_step="wait for it, then try again"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    return content


def _add_json(tar: tarfile.TarFile, name: str, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o600
    tar.addfile(member, io.BytesIO(content))


def _damaged(file: Path, cause: str) -> LocalError:
    return LocalError(
        f"{file} is damaged; nothing was restored", cause=cause, next_step="take another copy of it, or save again"
    )


class _Digesting:
    """A reader that computes the SHA-256 of what was read from it."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner
        self._sum = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._inner.read(size)
        self._sum.update(piece)
        return piece

    @property
    def digest(self) -> str:
        return self._sum.hexdigest()
