"""`collect JOB DIR`: download everything the job left in its container. A file is complete and checked, or not there.

The same command again downloads what is missing or not right. One thread lists and counts, a bounded pool downloads.
A job without a container (submitted without a stack) has its stdout and stderr on its nodes: those are collected then.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from .. import outputs_of
from ..errors import JobsError, NotFound, ServiceError, UsageError
from ..exits import Exit
from ..service.batch import JobState
from ..service.storage import Blob
from ..session import Session

WORKERS: Final = 16
AHEAD: Final = 8 * WORKERS  # files that wait for a worker: memory does not grow with the job
MOST_TOLD: Final = 10  # patterns that uploaded nothing
TOLD_EVERY: Final = 2.0  # seconds between two words of progress
LOGS: Final = ("stdout.txt", "stderr.txt")


class Damaged(ServiceError):
    """What arrived is not what the service says it has."""


@dataclass
class Tally:
    """What became of the files; the names only of those that failed."""

    downloaded: int = 0
    present: int = 0
    size: int = 0
    failed: list[str] = field(default_factory=list)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--only", metavar="PATTERN", help="only TASK/FILE names that match, for example '*/out/*.csv'")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    job = session.batch.job(arguments.job)
    tally = collect(session, job, arguments.folder, only=arguments.only)
    nothing = outputs_of.of_job(session, job)
    if session.render.as_json:
        without = [{"task": task_id, "pattern": pattern} for task_id, pattern in nothing]
        session.render.record(
            {"job": job.id, "folder": str(arguments.folder), **vars(tally), "uploaded_nothing": without}
        )
    else:
        session.render.words(
            f"{tally.downloaded} files ({tally.size / 1e6:.1f} MB) downloaded to {arguments.folder}, "
            f"{tally.present} were there already"
        )
        for task_id, pattern in nothing[:MOST_TOLD]:
            session.render.words(f"  task {task_id}: nothing was uploaded by the pattern {pattern!r}")
        if len(nothing) > MOST_TOLD:
            session.render.words(f"  and so {len(nothing) - MOST_TOLD} patterns more")
    return Exit.OK


def collect(session: Session, job: JobState, folder: Path, *, only: str | None = None) -> Tally:
    """Download what is not there yet. Raises the first failure after all others were tried."""
    tally, made = Tally(), Folders()
    source = _blobs(session, job, folder, made) if job.container else _node_logs(session, job, folder, made)
    chosen = ((name, work) for name, work in source if only is None or fnmatch.fnmatchcase(name, only))
    first_failure = _download_all(chosen, tally, session)
    if first_failure is not None:
        first_failure.add_note(
            f"{len(tally.failed)} files failed, {tally.downloaded} were downloaded to {folder}; "
            "the same command goes on from there"
        )
        raise first_failure
    if not tally.downloaded and not tally.present:
        where = f"{job.container}/{job.id}/" if job.container else f"the nodes of job {job.id}"
        fitting = f" that match {only!r}" if only else ""
        raise NotFound(f"{where} has no files{fitting} yet. Tasks upload when they end: python -m jobs watch {job.id}")
    return tally


def place(folder: Path, name: str) -> Path:
    """Where a blob goes. A task chooses its blobs' names, so none may lead out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or parts[0] == "/" or "\0" in name:
        raise UsageError(
            f"blob {name!r} would be written outside of {folder}. Download it by its name with another tool"
        )
    return folder.joinpath(*parts)


class Folders:
    """Makes each folder once."""

    def __init__(self) -> None:
        self._made: set[Path] = set()

    def make(self, folder: Path) -> None:
        if folder not in self._made:
            folder.mkdir(parents=True, exist_ok=True)
            self._made.add(folder)


Work = Callable[[], int | None]  # downloads; the bytes, or None when the file was there


def _blobs(session: Session, job: JobState, folder: Path, made: Folders) -> Iterator[tuple[str, Work]]:
    blobs, prefix = session.blobs, f"{job.id}/"
    for blob in blobs.list(job.container, prefix):
        name = blob.name.removeprefix(prefix)
        target = place(folder, name)
        yield (
            name,
            lambda blob=blob, target=target: _fetch(lambda: blobs.read(job.container, blob.name), blob, target, made),
        )


def _fetch(read: Callable[[], Iterator[bytes]], blob: Blob, target: Path, made: Folders) -> int | None:
    if _is_there(target, blob):
        return None
    made.make(target.parent)
    # os's own functions: pathlib's cost as much as a third of the request when files are small.
    part = f"{target.parent}/.{target.name}.{threading.get_ident()}.part"
    found = hashlib.md5(usedforsecurity=False)
    size = 0
    try:
        with open(part, "wb", buffering=0) as stream:  # noqa: PTH123
            for piece in read():
                stream.write(piece)
                found.update(piece)
                size += len(piece)
        if size != blob.size or (blob.md5 and found.digest() != blob.md5):
            raise Damaged(
                f"blob {blob.name}: got {size} bytes with MD5 {found.hexdigest()}, expected {blob.size} "
                f"with {blob.md5.hex() or 'any'}. It changed meanwhile or was damaged; run the same command again"
            )
        os.replace(part, target)  # noqa: PTH105
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return size


def _is_there(target: Path, blob: Blob) -> bool:
    """The same size and, when the service knows the content's MD5, the same content."""
    try:
        if os.stat(target).st_size != blob.size:  # noqa: PTH116
            return False
    except FileNotFoundError:
        return False
    if not blob.md5:
        return True
    with target.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).digest() == blob.md5


def _node_logs(session: Session, job: JobState, folder: Path, made: Folders) -> Iterator[tuple[str, Work]]:
    """stdout and stderr of each task that ended, from its node, each time anew: a node gives no MD5."""

    def fetch(task_id: str, name: str, target: Path) -> int | None:
        found = outputs_of.from_node(session, job, task_id, name)
        if found is None:
            return None
        data = b"".join(found.data)
        made.make(target.parent)
        part = target.with_name(f".{target.name}.part")
        part.write_bytes(data)
        part.replace(target)
        return len(data)

    for task in session.batch.tasks(job.id):
        for name in LOGS if task.completed else ():
            target = place(folder, f"{task.id}/{name}")
            yield f"{task.id}/{name}", lambda task=task, name=name, target=target: fetch(task.id, name, target)


def _download_all(work: Iterator[tuple[str, Work]], tally: Tally, session: Session) -> JobsError | OSError | None:
    """Feed the workers and tell how far they are. Queues and one lock: waiting on futures costs as much as a file."""
    todo: queue.Queue[tuple[str, Work] | None] = queue.Queue(AHEAD)
    stopped, lock = threading.Event(), threading.Lock()
    failures: list[JobsError | OSError] = []

    def run() -> None:
        while (item := todo.get()) is not None:
            if stopped.is_set():
                continue
            try:
                size = item[1]()
            except (JobsError, OSError) as error:
                with lock:
                    tally.failed.append(item[0])
                    failures.append(error)
                continue
            with lock:
                tally.present += size is None
                tally.downloaded += size is not None
                tally.size += size or 0

    workers = [threading.Thread(target=run, name=f"collect-{number}") for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    told = session.clock.monotonic()
    try:
        for item in work:
            todo.put(item)
            if session.clock.monotonic() - told >= TOLD_EVERY:
                told = session.clock.monotonic()
                session.render.words(f"  {tally.downloaded} files, {tally.size / 1e6:.1f} MB")
    except BaseException:
        stopped.set()
        session.render.words(f"stopped: {tally.downloaded} files are there; the same command goes on from there")
        raise
    finally:
        for _ in workers:
            todo.put(None)
        for worker in workers:
            worker.join()
    return failures[0] if failures else None
