"""A checked submission: the job's definition and its tasks, from a job file and a stack. Sends nothing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .. import durations
from ..errors import JobFileError, UsageError
from ..files.document import Place
from ..files.expand.sources import ListBlobs, located
from ..files.load import load
from ..files.model.inputs import Input
from ..files.model.job import JobFile
from ..files.model.schedule import Schedule
from ..service.batch import TaskState
from ..service.connection import Outputs
from ..service.storage import Blob
from ..session import Session
from ..submission.spool import Spool
from ..terminal.wording import counted, size_in_words
from . import definitions
from .definitions import schedule_definition
from .input_files import InputError, LocalFiles
from .resource_files import PREFIX, Resources, Uploads

TOLD_EVERY: Final = 2.0  # seconds between two words about inputs that are looked at


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked submission. The tasks are in the spool as they were checked; the input is not read again.

    `own_id`: the job's id is of this run alone, made of the time, and not one that somebody chose. `schedule`: the job
    schedule to make instead of the job.
    """

    file: JobFile
    job: dict[str, Any]
    spool: Spool
    first: dict[str, Any]
    uploads: Uploads = field(default_factory=Uploads)
    schedule: dict[str, Any] | None = None
    own_id: bool = False

    @property
    def job_id(self) -> str:
        return self.job["id"]

    @property
    def count(self) -> int:
        return self.spool.count

    def definitions(self) -> Iterator[dict[str, Any]]:
        return self.spool.definitions()

    def left_waiting(self, refused: Collection[str]) -> str:
        """Which tasks wait for ever, because one that they depend on was refused. `refused`: ids in lower case."""
        if not refused or not self.file.uses_dependencies:
            return ""
        found: dict[str, str] = {}
        for definition in self.definitions():
            task = TaskState.parse(definition)
            if task.id.lower() not in refused and (parent := task.parent_among(refused)):
                found[task.id] = parent
        if not found:
            return ""
        first = ", ".join(f"{task_id} (on {parent})" for task_id, parent in itertools.islice(found.items(), 5))
        return (
            f"{counted(len(found), 'task')} behind refused ones would wait for ever, and so would the job: {first}. "
            f"Correct the refused ones and submit the file under a new --job-id; end this one: "
            f"python -m jobs cancel {self.job_id}"
        )

    def summary(self) -> str:
        """What will be sent, in words."""
        image = self.first["containerSettings"]["imageName"]
        container = next((item["value"] for item in self.job["metadata"] if item["name"] == "container"), None)
        results = f"{container}/{self.job_id}/" if container else "nowhere (no stack): it stays on the nodes"
        inputs = ""
        if files := self.uploads.files:
            told = f"{counted(len(files), 'file')} ({size_in_words(self.uploads.size)})"
            inputs = f"  inputs:     {told}, by content in {self.uploads.container}/{PREFIX}\n"
        before = ""
        if (preparation := self.job.get("jobPreparationTask")) is not None:
            before = f"  each node first: {preparation['commandLine'] or '(the image decides)'}\n"
        head = f"job {self.job_id}: {counted(self.count, 'task')}"
        if self.schedule is not None:
            head = f"job schedule {self.job_id}: {_times(self.schedule['schedule'], self.file)}; each job has one task,"
            results += f"{self.first['id']}/, where each job replaces what the one before left" if container else ""
        return (
            f"{head} on pool {self.job['poolInfo']['poolId']}\n"
            f"{before}"
            f"  first task: {self.first['id']}: {self.first['commandLine'] or '(the image decides)'}\n"
            f"  image:      {image}\n"
            f"{inputs}"
            f"  output to:  {results}"
        )


def _times(wire: Mapping[str, str], file: JobFile) -> str:
    """When jobs are made, in words."""
    interval = file.schedule.recurrence_interval if file.schedule else None
    told = f"a job every {durations.words(interval.total_seconds())}" if interval else "one job"
    told += f" from {wire['doNotRunUntil']}" if "doNotRunUntil" in wire else " from now"
    return told + (f" until {wire['doNotRunAfter']}" if "doNotRunAfter" in wire else "")


def plan_of(
    path: Path, session: Session, *, job_id: str | None = None, progress: Callable[[str], None] = lambda text: None
) -> Plan:
    """The plan for the session's stack; its containers are listed only when the file asks for blobs."""

    def list_blobs(container: str, prefix: str) -> tuple[str, Iterable[Blob]]:
        assert outputs is not None
        return f"{outputs.blob_endpoint.rstrip('/')}/{container}", session.blobs.list(container, prefix)

    outputs = session.connection.outputs
    listing = None if outputs is None else list_blobs
    read = _read_so_far(progress)
    return make_plan(path, outputs, job_id=job_id, now=session.clock.now(), list_blobs=listing, read=read)


def _read_so_far(progress: Callable[[str], None]) -> Callable[[int], None]:
    """Says every few seconds how much of the inputs was read: a large one takes a while."""
    total, told_at = 0, time.monotonic()

    def read(size: int) -> None:
        nonlocal total, told_at
        total += size
        if time.monotonic() - told_at >= TOLD_EVERY:
            told_at = time.monotonic()
            progress(f"  inputs: {size_in_words(total)} looked at")

    return read


def make_plan(
    path: Path,
    outputs: Outputs | None,
    *,
    job_id: str | None,
    now: Any,
    list_blobs: ListBlobs | None = None,
    read: Callable[[int], None] = lambda size: None,
) -> Plan:
    """Read and check the whole file, every task included. Raises `UsageError`, `MachineError`; nothing is sent."""
    file = load(path)
    job = file.job
    if file.schedule is not None and "id" not in job.model_fields_set:
        job = job.model_copy(update={"id": "{family}"})  # one schedule, which makes many jobs
    own_id = job_id is None and "{time}" in job.id
    if job_id is not None:
        job = job.model_copy(update={"id": job_id.replace("{", "{{").replace("}", "}}")})
    with _told_at(file, ("job", "id") if job_id is None else None):
        identifier = definitions.job_id(job, now=now)
    with _told_at(file, ("job", "family")):
        container = definitions.container_of(job, outputs)
    with _told_at(file, ("job", "pool")):
        definitions.pool_of(job, outputs)
    names = None if list_blobs is None else lambda where, prefix: list_blobs(where, prefix)[1]
    resources = Resources(path.parent, container, outputs, local=LocalFiles(read), list_names=names)
    definition = definitions.job_definition(
        job,
        identifier,
        outputs,
        uses_dependencies=file.uses_dependencies,
        acts_on_job=file.acts_on_job,
        resources=_of_the_job(file, resources),
    )
    with _inputs_at(f"{file.where(('job', 'inputs'))}: job.inputs"):
        resources.of(job.inputs)  # also when each task's are told with its row
    spool = Spool(identifier)
    first: dict[str, Any] = {}
    acts = file.acts_on_job
    for place, task in located(file, job_id=identifier, folder=path.parent, list_blobs=list_blobs):
        found: list[dict[str, Any]] = []
        if inputs := [*job.inputs, *task.inputs]:
            with _inputs_at(f"{place}: inputs: task {task.id!r}"):
                found = resources.of(inputs)
        made = definitions.task_definition(
            task, job=file.job, identifier=identifier, outputs=outputs, acts_on_job=acts, resources=found
        )
        spool.add(made, place)
        first = first or made
    schedule = None if file.schedule is None else _scheduled(file, file.schedule, definition, first, now)
    return Plan(
        file=file,
        job=definition,
        spool=spool,
        first=first,
        uploads=resources.uploads,
        schedule=schedule,
        own_id=own_id,
    )


def _scheduled(
    file: JobFile, schedule: Schedule, job: dict[str, Any], task: dict[str, Any], now: Any
) -> dict[str, Any]:
    if schedule.do_not_run_after is not None and schedule.do_not_run_after <= now:
        where = file.where(("schedule", "do_not_run_after"))
        what = "this time is over, so no job could be made; write a later one"
        raise JobFileError([f"{where}: schedule.do_not_run_after: {what}"])
    return schedule_definition(schedule, job, task)


def _of_the_job(file: JobFile, resources: Resources) -> dict[str, list[dict[str, Any]]]:
    """The resource files of its preparation and release."""
    found = {}
    for name, program in (("preparation", file.job.preparation), ("release", file.job.release)):
        if program is not None and program.inputs:
            with _inputs_at(f"{file.where(('job', name, 'inputs'))}: job.{name}.inputs"):
                found[name] = resources.of(program.inputs)
    return found


@contextmanager
def _inputs_at(place: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise JobFileError([f"{place}: {error}"]) from error


@contextmanager
def _told_at(file: JobFile, place: Place | None) -> Iterator[None]:
    """What does not fit the stack is told with the file's line, when it stands in the file."""
    try:
        yield
    except UsageError as error:
        if place is None:
            raise
        raise JobFileError([f"{file.where(place)}: {error.in_one_line}"]) from error


def check_file(path: Path) -> int:
    """The number of tasks, when the file and all of them are right; what only a stack knows is not checked."""
    file = load(path)
    local, count = LocalFiles(), 0
    for place, task in located(file, job_id="job", folder=path.parent):
        count += 1
        _check_local(local, [*task.inputs, *(file.job.inputs if count == 1 else ())], path.parent, place)
    for program in (file.job.preparation, file.job.release):
        _check_local(local, program.inputs if program else (), path.parent, file.where(("job",)))
    return count


def _check_local(local: LocalFiles, inputs: Sequence[Input], folder: Path, place: str) -> None:
    """Files and folders of this machine are there."""
    for one in inputs:
        if one.kind in ("file", "folder"):
            with _inputs_at(f"{place}: inputs"):
                for _ in local.of(one, folder):
                    pass
