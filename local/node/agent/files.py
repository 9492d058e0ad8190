"""The node's files for the data plane: listing, properties, ranges and removal, all below the node root.

Tasks write there, so nothing is followed: a link is listed as what it is, and has no content.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from local.node.agent.beneath import DEEPEST, Beneath, NotAFile
from local.node.contract import FileInfo

_PIECE_BYTES = 256 * 1024


class Files:
    """What the data plane may see of a node: everything below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self, directory: str, recursive: bool) -> list[FileInfo]:
        """What is in a folder, sorted; names are relative to it. FileNotFoundError if it is none."""
        levels = DEEPEST if recursive else 1
        with Beneath.at(self._root) as root:
            return [_info(path, found) for path, found in sorted(root.walk(directory, levels=levels))]

    def stat(self, path: str) -> FileInfo:
        """A file's or folder's properties; FileNotFoundError if there is none."""
        with Beneath.at(self._root) as root:
            return _info(path, root.stat(path))

    async def read(self, path: str, start: int, end: int | None) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`; a file that still grows is read up to its present end.

        FileNotFoundError for what is no regular file.
        """
        try:
            with Beneath.at(self._root) as root:
                descriptor = root.open_file(path)
        except NotAFile as error:
            raise FileNotFoundError(f"{path} {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(start)
            left = min(size, size if end is None else end) - start
            while left > 0 and (piece := file.read(min(_PIECE_BYTES, left))):
                left -= len(piece)
                yield piece

    def delete(self, path: str, recursive: bool) -> None:
        """Remove a file, or a folder: one that is not empty only with `recursive`."""
        with Beneath.at(self._root) as root:
            root.delete(path, recursive=recursive)


def _info(path: str, found: os.stat_result) -> FileInfo:
    is_directory = stat.S_ISDIR(found.st_mode)
    return FileInfo(
        path=path,
        is_directory=is_directory,
        size=0 if is_directory else found.st_size,
        modified=datetime.fromtimestamp(found.st_mtime, UTC),
        created=datetime.fromtimestamp(found.st_ctime, UTC),
        mode=f"0o{found.st_mode:o}",
    )
