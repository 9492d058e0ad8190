"""The checked tasks on disk, in order: what was checked is what is sent, whatever becomes of the input meanwhile.

The input (a file, a generator, a list of blobs) is read once. Each task is serialised once, too: the submitter joins
the texts to collections. The file is a temporary one without a name, about as large as the definitions.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from ..errors import MachineError

BLOCK: Final = 1 << 20  # bytes read at a time
_JOB: Final = b"\x00job\x00"  # stands for the job's id in the digest; JSON cannot have it


class SerialisedTask(NamedTuple):
    """A task's id, and its definition as JSON."""

    id: str
    text: bytes


class Spool:
    """Definitions with the place in the input that each is from. Raises `MachineError` when they cannot be kept.

    `digest` is of all definitions without the job's id, so the same input gives the same digest under another id.
    """

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id.encode()
        self._hash = blake2b(digest_size=16)
        self._waiting: list[bytes] = []
        self._size = 0
        self.count = 0
        try:
            self._file = tempfile.TemporaryFile(prefix="jobs-tasks-", buffering=0)  # noqa: SIM115 - lives as long as this
        except OSError as error:
            raise _fault(error) from error

    def add(self, definition: Mapping[str, Any], place: str = "") -> None:
        """Keep a task. `place`: `FILE:LINE` of its row, where it has one."""
        text = to_json(definition)
        self._hash.update(text.replace(self._job_id, _JOB) + b"\n")
        self._waiting.append(b"%s\t%s\t%s\n" % (str(definition["id"]).encode(), to_json(place), text))
        self.count += 1
        if len(self._waiting) >= 500:
            self._flush()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[SerialisedTask]:
        for task_id, _, text in self._records():
            yield SerialisedTask(task_id.decode(), text)

    def definitions(self) -> Iterator[dict[str, Any]]:
        for _, _, text in self._records():
            yield json.loads(text)

    def places(self, ids: Collection[str]) -> dict[str, str]:
        """The place of each of these tasks (ids in lower case) in the input."""
        wanted = {task_id.encode() for task_id in ids}
        found = ((task_id.lower(), place) for task_id, place, _ in self._records())
        return {task_id.decode(): json.loads(place) for task_id, place in found if task_id in wanted}

    def close(self) -> None:
        self._file.close()

    def _records(self) -> Iterator[list[bytes]]:
        self._flush()
        offset, rest = 0, b""
        while block := os.pread(self._file.fileno(), BLOCK, offset):
            offset += len(block)
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield line.split(b"\t", 2)

    def _flush(self) -> None:
        data, self._waiting = b"".join(self._waiting), []
        try:
            while data:
                written = os.pwrite(self._file.fileno(), data, self._size)
                self._size += written
                data = data[written:]
        except OSError as error:
            raise _fault(error) from error


class SpooledIds:
    """The ids of a spool's tasks, which were checked when they were put there: what `cut` needs, without a copy."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.count = 0

    def add_all(self, ids: list[str]) -> None:
        self.count += len(ids)

    def __iter__(self) -> Iterator[str]:
        """Those that were cut so far, in lower case."""
        for place, task in enumerate(self._spool):
            if place == self.count:
                return
            yield task.id.lower()

    def close(self) -> None:
        """The spool is its owner's."""


def _fault(error: OSError) -> MachineError:
    try:
        where = tempfile.gettempdir()
    except OSError:  # none that can be written; the error names those that were tried
        where = "a temporary file"
    return MachineError(
        f"the checked tasks cannot be kept in {where}: {error.strerror or error}",
        cause="nothing was sent",
        next_step="free space there, or name another folder with TMPDIR",
    )
