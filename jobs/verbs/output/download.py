"""Bring the files of a job to a folder: a file is complete and checked, or not there.

Two kinds of files: blobs of the job's container, and what a task wrote on its node. A file that is there already, whole
and right, is not downloaded again. A bounded pool of threads downloads, while the caller's thread lists what there is.
"""

from __future__ import annotations

import errno
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from ...errors import JobsError, ServiceError, from_outside
from ...service.batch import JobState
from ...service.storage import Blob
from ...session import Session
from ...state import task_output
from ...terminal.wording import counted
from .download_paths import Folder

WORKERS: Final = 16
AHEAD: Final = 8 * WORKERS  # files that wait for a worker: memory does not grow with the job
TOLD_EVERY: Final = 2.0  # seconds between two words of progress
FATAL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # no other file fares better
LOGS: Final = ("stdout.txt", "stderr.txt")


class Damaged(ServiceError):
    """What arrived is not what the service says it has."""


@dataclass
class Tally:
    """What became of the files; names only of those that failed, and of those that got another (name -> path)."""

    downloaded: int = 0
    present: int = 0
    size: int = 0
    failed: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a job by its name there. `fetch` brings it to a place below the folder; it gives the bytes that were
    downloaded, or None when the file was there already."""

    name: str
    fetch: Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class Download:
    """A file, and its own place below the folder."""

    file: RemoteFile
    place: str


def blobs(session: Session, job: JobState, target: Folder) -> Iterator[RemoteFile]:
    """What the job left in its container."""
    prefix = f"{job.folder}/"
    for blob in session.blobs.list(job.container, prefix):
        yield RemoteFile(blob.name.removeprefix(prefix), partial(_fetch_blob, session, job, blob, target))


def _fetch_blob(session: Session, job: JobState, blob: Blob, target: Folder, place: str) -> int | None:
    if _is_there(target, place, blob):
        return None
    # os's own functions: pathlib's cost as much as a third of the request when files are small.
    found = hashlib.md5(usedforsecurity=False)
    size = 0
    with target.writing(place) as descriptor:
        for piece in session.blobs.read(job.container, blob.name):
            _write(descriptor, piece)
            found.update(piece)
            size += len(piece)
        if size != blob.size or (blob.md5 and found.digest() != blob.md5):
            raise Damaged(
                f"blob {blob.name}: got {size} bytes with MD5 {found.hexdigest()}, expected {blob.size} with "
                f"{blob.md5.hex() or 'any'}",
                cause="it changed meanwhile or was damaged",
                next_step="run the same command again",
            )
    return size


def _is_there(target: Folder, place: str, blob: Blob) -> bool:
    """The same size and, when the service knows the content's MD5, the same content."""
    descriptor = target.content(place)
    if descriptor is None:
        return False
    with os.fdopen(descriptor, "rb") as stream:
        if os.fstat(stream.fileno()).st_size != blob.size:
            return False
        if not blob.md5:
            return True
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).digest() == blob.md5


def node_logs(session: Session, job: JobState, target: Folder) -> Iterator[RemoteFile]:
    """stdout and stderr of each task that ended, from its node, each time anew: a node gives no MD5."""
    for task in session.batch.tasks(job.id):
        for name in LOGS if task.completed else ():
            yield RemoteFile(f"{task.id}/{name}", partial(_fetch_log, session, job, task.id, name, target))


def _fetch_log(session: Session, job: JobState, task_id: str, name: str, target: Folder, place: str) -> int | None:
    found = task_output.from_node(session, job, task_id, name)
    if found is None:
        return None
    size = 0
    with target.writing(place) as descriptor:
        for piece in found.data:
            _write(descriptor, piece)
            size += len(piece)
    return size


def _write(descriptor: int, piece: bytes) -> None:
    """All of a piece: a disk that fills up takes a part of it first."""
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def download_all(downloads: Iterator[Download], tally: Tally, session: Session) -> JobsError | None:
    """Download what the iterator lists, count it, and tell how far it is; the first failure, after all others were
    tried."""
    workers = _Workers(tally)
    told = session.clock.monotonic()
    try:
        for download in downloads:
            if workers.stopped.is_set():
                break
            workers.todo.put(download)
            if session.clock.monotonic() - told >= TOLD_EVERY:
                told = session.clock.monotonic()
                session.render.words(f"  {counted(tally.downloaded, 'file')}, {tally.size / 1e6:.1f} MB")
    except BaseException:
        workers.stopped.set()
        session.render.words(f"stopped after {counted(tally.downloaded, 'file')}; the same command goes on from there")
        raise
    finally:
        workers.end()
    return workers.failures[0] if workers.failures else None


class _Workers:
    """The threads that download. Queues and one lock: waiting on futures costs as much as a small file."""

    def __init__(self, tally: Tally) -> None:
        self.todo: queue.Queue[Download | None] = queue.Queue(AHEAD)
        self.stopped = threading.Event()
        self.failures: list[JobsError] = []
        self._tally = tally
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, name=f"collect-{number}") for number in range(WORKERS)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while (download := self.todo.get()) is not None:
            if self.stopped.is_set():
                continue
            try:
                size = download.file.fetch(download.place)
            except Exception as error:
                self._failed(download, error)
                continue
            with self._lock:
                self._tally.present += size is None
                self._tally.downloaded += size is not None
                self._tally.size += size or 0

    def _failed(self, download: Download, error: Exception) -> None:
        if isinstance(error, OSError) and error.errno in FATAL:
            self.stopped.set()
        with self._lock:
            self._tally.failed.append(download.file.name)
            self.failures.append(from_outside(error))

    def end(self) -> None:
        """Let them finish what was put, and wait for their end."""
        for _ in self._threads:
            self.todo.put(None)
        for thread in self._threads:
            thread.join()
