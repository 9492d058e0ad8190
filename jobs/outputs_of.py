"""Where a task's stdout, stderr and files are: on its node while that lives, in the job's container once it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .errors import Conflict, NotFound
from .service.batch import JobState
from .session import Session


@dataclass(frozen=True)
class Found:
    """A file's bytes (read once) and where they came from, in words."""

    source: str
    data: Iterator[bytes]


def blob_name(job: JobState, task_id: str, name: str) -> str:
    """The blob that `tasks.py` had the file uploaded to."""
    return f"{job.id}/{task_id}/{name}"


def from_blob(session: Session, job: JobState, task_id: str, name: str) -> Found | None:
    """The file in the job's container; None when the job has no container, or the file is not there."""
    if not job.container or session.connection.outputs is None:
        return None
    blob = blob_name(job, task_id, name)
    data = session.blobs.read(job.container, blob)
    try:
        first = next(data, b"")
    except NotFound:
        return None
    return Found(f"blob {job.container}/{blob}", _again(first, data))


def from_node(session: Session, job: JobState, task_id: str, name: str, start: int = 0) -> Found | None:
    """The file on the node; None when the task has not begun, or its node is gone."""
    data = session.batch.read_task_file(job.id, task_id, name, start)
    try:
        first = next(data, b"")
    except (NotFound, Conflict):
        return None
    return Found(f"file {name} on the node", _again(first, data))


def anywhere(session: Session, job: JobState, task_id: str, name: str) -> Found | None:
    """On the node, and if not there in the container."""
    return from_node(session, job, task_id, name) or from_blob(session, job, task_id, name)


def _again(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
