"""What tasks and start tasks wrote: their output piece by piece, and the files that can be had."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from ..errors import ServiceError
from ..service.batch import JobState, TaskState
from ..session import Session
from ..state import task_output
from ..state.following import end_of
from ..terminal.visible import visible
from .cache import Cache

PIECE: Final = 64 * 1024  # bytes of output for one answer
LISTED: Final = 5  # seconds for which a list of files is kept
READ: Final = 0.8  # and a piece of output
_COLOURS: Final = re.compile(r"\x1b\[[0-9;:]*m")


class Outputs:
    """May be used by many threads. `job_of` gives a job's state."""

    def __init__(self, session: Session, cache: Cache, job_of: Callable[[str], JobState]) -> None:
        self._session = session
        self._cache = cache
        self._job = job_of

    def node_output(self, pool_id: str, node_id: str, name: str) -> dict[str, Any]:
        """The end of what the start task wrote."""

        def ask() -> dict[str, Any]:
            data = end_of(self._session.batch.read_node_file(pool_id, node_id, f"startup/{name}"), PIECE)
            return {"text": readable(data, more=False)[0], "source": f"startup/{name} on the node"}

        return self._cache.get(("node output", pool_id, node_id, name), LISTED, ask)

    def node_files(self, pool_id: str, node_id: str) -> dict[str, Any]:
        found = self._cache.get(
            ("node files", pool_id, node_id), LISTED, lambda: self._session.batch.node_files(pool_id, node_id)
        )
        return {"files": [vars(one) for one in found if not one.folder]}

    def ends(self, job: JobState, task: TaskState) -> str:
        """The end of both of the task's outputs; that they cannot be had now hides nothing else."""
        texts = []
        for name in ("stderr.txt", "stdout.txt"):
            try:
                texts.append(self.output(job.id, task.id, name, start=None)["text"])
            except ServiceError:
                continue
        return "\n".join(texts)

    def task_files(self, job_id: str, task_id: str) -> dict[str, Any]:
        """What can be downloaded: from the node while it lives, and from the job's container."""
        job = self._job(job_id)

        def ask() -> dict[str, Any]:
            found: list[dict[str, Any]] = []
            missing = ""
            try:
                listed = self._session.batch.task_files(job_id, task_id)
                found += [{"where": "node", **vars(one)} for one in listed if not one.folder]
            except ServiceError as error:
                missing = f"on its node: {error.fact}"
            if job.container and self._session.connection.outputs is not None:
                prefix = task_output.blob_name(job, task_id, "")
                for blob in self._session.blobs.list(job.container, prefix):
                    found.append({"where": "container", "name": blob.name[len(prefix) :], "size": blob.size})
            return {"files": found, "missing": missing}

        return self._cache.get(("files", job_id, task_id), LISTED, ask)

    def output(self, job_id: str, task_id: str, name: str, *, start: int | None) -> dict[str, Any]:
        """A piece of a task's output from `start`, or its end (None). `to` is where the next piece begins.

        `run`: another number means that the task began again, and its files with it.
        """
        job = self._job(job_id)

        def ask() -> dict[str, Any]:
            batch = self._session.batch
            task = batch.task(job_id, task_id)  # before the file: what is read after the end is all there is
            begin = start if start is not None else self._end_of(job_id, task_id, name)
            found = task_output.from_node(self._session, job, task_id, name, begin)
            if found is None:
                found = task_output.from_blob(self._session, job, task_id, name)
                if found is None:
                    told = f"{name}: none, on its node or in the container"
                    return {"text": "", "from": 0, "to": 0, "source": told, "over": task.completed, "run": _run(task)}
                data = b"".join(found.data) if start is None else _after(found.data, begin)
                begin = max(0, len(data) - PIECE) if start is None else begin
                data = data[-PIECE:] if start is None else data
            else:
                data = _head(found.data, PIECE)
            more = len(data) == PIECE or not task.completed
            text, taken = readable(data, more=more)
            return {
                "text": text,
                "from": begin,
                "to": begin + taken,
                "source": found.source,
                "over": not more,
                "run": _run(task),
            }

        return self._cache.get(("output", job_id, task_id, name, start), READ, ask)

    def _end_of(self, job_id: str, task_id: str, name: str) -> int:
        """Where the last piece of a file on the node begins; 0 when its size is not known."""
        try:
            sizes = {one.name: one.size for one in self._session.batch.task_files(job_id, task_id)}
        except ServiceError:
            return 0
        return max(0, sizes.get(name, 0) - PIECE)


def _run(task: TaskState) -> list[int]:
    return [task.retries, task.requeues]


def readable(data: bytes, *, more: bool) -> tuple[str, int]:
    """A piece of output as text, and how many of its bytes that is: a character that is not complete yet is left for
    the next piece, if there is `more`. Terminal colours are left out, a carriage return begins a line, and other
    characters that would act are shown as escapes."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, not more)
    left = len(decoder.getstate()[0]) if more else 0
    return visible(_COLOURS.sub("", text).replace("\r\n", "\n").replace("\r", "\n")), len(data) - left


def _head(pieces: Iterator[bytes], most: int) -> bytes:
    data = b""
    for piece in pieces:
        data += piece
        if len(data) >= most:
            return data[:most]
    return data


def _after(pieces: Iterator[bytes], start: int) -> bytes:
    """At most one piece of what follows that many bytes."""
    skip, data = start, b""
    for piece in pieces:
        data += piece[skip:]
        skip = max(0, skip - len(piece))
        if len(data) >= PIECE:
            break
    return data[:PIECE]
