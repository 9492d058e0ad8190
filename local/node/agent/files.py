"""The node's files: listing, properties, ranges and removal, all below the node root and never outside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from local.node.contract import FileInfo

_PIECE_BYTES = 256 * 1024


class Files:
    """What the data plane may see of a node: everything below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def list(self, directory: str, recursive: bool) -> list[FileInfo]:
        """What is in a folder, sorted; names are relative to it. FileNotFoundError if it is none."""
        folder = self._locate(directory)
        if not folder.is_dir():
            raise FileNotFoundError(directory)
        found = []
        for parent, folders, names in os.walk(folder):  # follows no link, so it does not leave the root
            found += [Path(parent) / name for name in (*folders, *names)]
            if not recursive:
                break
        kept = (info for path in sorted(found) if (info := _info(path, path.relative_to(folder).as_posix())))
        return list(kept)

    def stat(self, path: str) -> FileInfo:
        """A file's or folder's properties; FileNotFoundError if there is none."""
        info = _info(self._locate(path), path)
        if info is None:
            raise FileNotFoundError(path)
        return info

    async def read(self, path: str, start: int, end: int | None) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`; a file that still grows is read up to its present end."""
        located = self._locate(path)
        if not located.is_file():
            raise FileNotFoundError(path)
        with located.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(start)
            left = min(size, size if end is None else end) - start
            while left > 0 and (piece := file.read(min(_PIECE_BYTES, left))):
                left -= len(piece)
                yield piece

    def delete(self, path: str, recursive: bool) -> None:
        """Remove a file, or a folder: one that is not empty only with `recursive`."""
        located = self._locate(path)
        if located == self._root:
            raise PermissionError(path)
        if not located.exists():
            raise FileNotFoundError(path)
        if located.is_dir():
            shutil.rmtree(located) if recursive else located.rmdir()
        else:
            located.unlink()

    def _locate(self, path: str) -> Path:
        """The place of a path below the root. What leaves the root, by dots or links, is not there."""
        located = (self._root / path.lstrip("/")).resolve()
        if not located.is_relative_to(self._root):
            raise FileNotFoundError(path)
        return located


def _info(path: Path, name: str) -> FileInfo | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None  # it went away while we looked
    return FileInfo(
        path=name, is_directory=path.is_dir() and not path.is_symlink(), size=0 if path.is_dir() else found.st_size,
        modified=datetime.fromtimestamp(found.st_mtime, UTC), created=datetime.fromtimestamp(found.st_ctime, UTC),
        mode=f"0o{found.st_mode:o}",
    )  # fmt: skip
