"""`collect JOB DIR`: download everything the job left in its container. A file is complete and checked, or not there.

Tasks choose the names: `local_names.py` gives each a place below the folder; a name that cannot be one stops nothing.

The same command again downloads what is missing or not right. One thread lists and counts, a bounded pool downloads.
A job without a container (submitted without a stack) has its stdout and stderr on its nodes: those are collected then.
"""

from __future__ import annotations

import argparse
import errno
import fnmatch
import hashlib
import itertools
import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...errors import JobsError, NotFound, ServiceError, from_outside
from ...exits import Exit
from ...service.batch import JobState
from ...service.storage import Blob
from ...session import Session
from ...state import task_output
from ...terminal.wording import counted
from ..arguments import batch_id
from .download_paths import Folder, Places

EXAMPLES: Final = ("collect nightly-7 results", 'collect nightly-7 results --only "*/out/*.csv"')
WORKERS: Final = 16
AHEAD: Final = 8 * WORKERS  # files that wait for a worker: memory does not grow with the job
MOST_TOLD: Final = 10  # patterns that uploaded nothing
TOLD_EVERY: Final = 2.0  # seconds between two words of progress
SHOWN: Final = 10  # names in a message
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


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=batch_id, metavar="JOB", help="the job's id")
    parser.add_argument("folder", metavar="DIR", type=Path, help="where to; it is made if it is not there")
    parser.add_argument("--only", metavar="PATTERN", help="only TASK/FILE names that match, for example '*/out/*.csv'")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    job = session.batch.job(arguments.job)
    tally = collect(session, job, arguments.folder, only=arguments.only)
    nothing = task_output.of_job(session, job)
    if session.render.as_json:
        without = [{"task": task_id, "pattern": pattern} for task_id, pattern in nothing]
        session.render.record(
            {"job": job.id, "folder": str(arguments.folder), **vars(tally), "uploaded_nothing": without}
        )
    else:
        session.render.words(
            f"{counted(tally.downloaded, 'file')} ({tally.size / 1e6:.1f} MB) downloaded to {arguments.folder}, "
            f"{tally.present} were there already"
        )
        for task_id, pattern in nothing[:MOST_TOLD]:
            session.render.words(f"  task {task_id}: nothing was uploaded by the pattern {pattern!r}")
        if len(nothing) > MOST_TOLD:
            session.render.words(f"  and so {len(nothing) - MOST_TOLD} patterns more")
    if not tally.renamed:
        return Exit.OK
    shown = "\n".join(f"  {name!r} is {place!r}" for name, place in itertools.islice(tally.renamed.items(), SHOWN))
    more = f"\n  and {len(tally.renamed) - SHOWN} more (--json names all)" if len(tally.renamed) > SHOWN else ""
    session.render.words(
        f"{len(tally.renamed)} of them have names that no file can have here; they got others:\n{shown}{more}"
    )
    return Exit.MACHINE


def collect(session: Session, job: JobState, folder: Path, *, only: str | None = None) -> Tally:
    """Download what is not there yet. Raises the first failure after all others were tried."""
    tally = Tally()
    with Folder(folder) as target:
        places = Places(ignores_case=target.ignores_case())
        source = _blobs(session, job, target) if job.container else _node_logs(session, job, target)
        chosen = _placed(source, places, tally, only)
        first_failure = _download_all(chosen, tally, session)
    if first_failure is not None:
        names = ", ".join(repr(name) for name in tally.failed[:SHOWN])
        first_failure.add_note(
            f"{counted(len(tally.failed), 'file')} failed, downloaded to {folder}: {tally.downloaded}; "
            f"the same command goes on from there\nfailed: {names}{', ...' if len(tally.failed) > SHOWN else ''}"
        )
        raise first_failure
    if not tally.downloaded and not tally.present:
        where = f"{job.container}/{job.folder}/" if job.container else f"the nodes of job {job.id}"
        fitting = f" that match {only!r}" if only else ""
        raise NotFound(
            f"{where} has no files{fitting} yet",
            cause="tasks upload when they end",
            next_step=f"python -m jobs watch {job.id}",
        )
    return tally


Fetch = Callable[[str], int | None]  # downloads to a place; the bytes, or None when the file was there
Work = Callable[[], int | None]


def _placed(
    source: Iterator[tuple[str, Fetch]], places: Places, tally: Tally, only: str | None
) -> Iterator[tuple[str, Work]]:
    """Each chosen file with its own place below the folder."""
    for name, fetch in source:
        place = places.of(name)
        if only is not None and not fnmatch.fnmatchcase(name, only):
            continue
        if place != name:
            tally.renamed[name] = place
        yield name, lambda fetch=fetch, place=place: fetch(place)


def _blobs(session: Session, job: JobState, target: Folder) -> Iterator[tuple[str, Fetch]]:
    blobs, prefix = session.blobs, f"{job.folder}/"
    for blob in blobs.list(job.container, prefix):
        yield (
            blob.name.removeprefix(prefix),
            lambda place, blob=blob: _fetch(lambda: blobs.read(job.container, blob.name), blob, target, place),
        )


def _fetch(read: Callable[[], Iterator[bytes]], blob: Blob, target: Folder, place: str) -> int | None:
    if _is_there(target, place, blob):
        return None
    # os's own functions: pathlib's cost as much as a third of the request when files are small.
    found = hashlib.md5(usedforsecurity=False)
    size = 0
    with target.writing(place) as descriptor:
        for piece in read():
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


def _write(descriptor: int, piece: bytes) -> None:
    """All of a piece: a disk that fills up takes a part of it first."""
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


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


def _node_logs(session: Session, job: JobState, target: Folder) -> Iterator[tuple[str, Fetch]]:
    """stdout and stderr of each task that ended, from its node, each time anew: a node gives no MD5."""

    def fetch(task_id: str, name: str, place: str) -> int | None:
        found = task_output.from_node(session, job, task_id, name)
        if found is None:
            return None
        size = 0
        with target.writing(place) as descriptor:
            for piece in found.data:
                _write(descriptor, piece)
                size += len(piece)
        return size

    for task in session.batch.tasks(job.id):
        for name in LOGS if task.completed else ():
            yield f"{task.id}/{name}", lambda place, task=task, name=name: fetch(task.id, name, place)


def _download_all(work: Iterator[tuple[str, Work]], tally: Tally, session: Session) -> JobsError | None:
    """Feed the workers and tell how far they are. Queues and one lock: waiting on futures costs as much as a file."""
    todo: queue.Queue[tuple[str, Work] | None] = queue.Queue(AHEAD)
    stopped, lock = threading.Event(), threading.Lock()
    failures: list[JobsError] = []

    def run() -> None:
        while (item := todo.get()) is not None:
            if stopped.is_set():
                continue
            try:
                size = item[1]()
            except Exception as error:
                if isinstance(error, OSError) and error.errno in FATAL:
                    stopped.set()
                with lock:
                    tally.failed.append(item[0])
                    failures.append(from_outside(error))
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
            if stopped.is_set():
                break
            todo.put(item)
            if session.clock.monotonic() - told >= TOLD_EVERY:
                told = session.clock.monotonic()
                session.render.words(f"  {counted(tally.downloaded, 'file')}, {tally.size / 1e6:.1f} MB")
    except BaseException:
        stopped.set()
        session.render.words(f"stopped after {counted(tally.downloaded, 'file')}; the same command goes on from there")
        raise
    finally:
        for _ in workers:
            todo.put(None)
        for worker in workers:
            worker.join()
    return failures[0] if failures else None
