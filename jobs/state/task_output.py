"""Where a task's stdout, stderr and files are: on its node while that lives, in the job's container once it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import Conflict, NotFound
from ..service.batch import JobState, TaskState
from ..session import Session

MOST_LOOKED_AT: Final = 1000  # tasks of a job whose patterns are compared with what is in the container


@dataclass(frozen=True)
class Found:
    """A file's bytes (read once) and where they came from, in words."""

    source: str
    data: Iterator[bytes]


def blob_name(job: JobState, task_id: str, name: str) -> str:
    """The blob that `tasks.py` had the file uploaded to."""
    return f"{job.folder}/{task_id}/{name}"


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


def without_files(job: JobState, wire: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The patterns of a task of which nothing was uploaded, though its end asked for it; none of one that never ran.

    `wire` is the task as the service has it, `names` are the job's blobs (or only the task's).
    """
    from ..files.model import patterns  # with pydantic, which `--help` of the verbs that use this module does not need

    task = TaskState.parse(wire)
    if not task.completed or task.exit_code is None:
        return []
    values = {item["name"]: item.get("value", "") for item in wire.get("environmentSettings") or ()}
    values |= patterns.of_task(job.id, task.id)
    asked = ("taskcompletion", "tasksuccess" if task.succeeded else "taskfailure")
    wanted: dict[str, str] = {}
    written: dict[str, str] = {}
    for output in wire.get("outputFiles") or ():
        pattern = output["filePattern"]
        condition = (output.get("uploadOptions") or {}).get("uploadCondition") or "taskcompletion"
        if pattern != patterns.LOGS and condition.lower() in asked:
            expanded = patterns.expand(pattern, values)
            wanted[expanded] = output["destination"]["container"].get("path") or ""
            written[expanded] = pattern
    return [written[one] for one in patterns.unmatched(names, wanted)] if wanted else []


def of_task(session: Session, job: JobState, wire: Mapping[str, Any]) -> list[str]:
    """The task's patterns of which nothing is in the job's container."""
    if not job.container or session.connection.outputs is None:
        return []
    prefix = blob_name(job, wire["id"], "")
    return without_files(job, wire, (blob.name for blob in session.blobs.list(job.container, prefix)))


def of_job(session: Session, job: JobState) -> list[tuple[str, str]]:
    """(task id, pattern) of which nothing is in the job's container. Of a job with more than `MOST_LOOKED_AT` tasks
    nothing is known: its tasks are looked at one by one, with `show`."""
    if not job.container or session.batch.counts(job.id).total > MOST_LOOKED_AT:
        return []
    wires = [wire for wire in session.batch.output_definitions(job.id) if len(wire.get("outputFiles") or ()) > 1]
    if not wires:
        return []
    names: dict[str, list[str]] = {}
    for blob in session.blobs.list(job.container, f"{job.folder}/"):
        names.setdefault(blob.name.split("/", 2)[1], []).append(blob.name)
    return [(wire["id"], one) for wire in wires for one in without_files(job, wire, names.get(wire["id"], ()))]


def _again(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
