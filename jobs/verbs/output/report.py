"""`report JOB`: each task's exit code and stdout, then the job in figures; with `--html` the figures as one file.

The first stdout is from the job's container, the others are from their nodes. A task whose node is gone is read from
the container too; the source is always named.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ... import text
from ...errors import NotFound, UsageError
from ...exits import Exit
from ...service.batch import JobState, TaskState
from ...session import Session
from ...state import task_output
from ...state.progress import SMALL, describe
from ...terminal.render import add_raw
from ...terminal.wording import counted
from ..arguments import batch_id

if TYPE_CHECKING:
    from ...report.figures import Figures

WIDE: Final = 200  # columns of figures that go to a file or a pipe
EXAMPLES: Final = (
    "report",
    "report nightly-7",
    "report --family nightly",
    "report nightly-7 --html nightly-7.html",
    "report nightly-7 --figures --json",
)
STDOUT = "stdout.txt"
MOST = 8192  # bytes of each stdout that are shown
MOST_FAILED = 20  # of a job with more than `SMALL` tasks only so many failed ones are shown


def options(parser: argparse.ArgumentParser) -> None:
    default = "default: the newest job (with --family: of that family)"
    parser.add_argument("job", type=batch_id, metavar="JOB", nargs="?", help=default)
    parser.add_argument("--family", help="the newest job of this family")
    parser.add_argument("--figures", action="store_true", help="only the job in figures (with --json: one object)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the figures, with a picture, as one HTML file")
    parser.add_argument("--job-file", type=Path, metavar="FILE", help="with --html: show this job file in it")
    add_raw(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    if arguments.job and arguments.family:
        raise UsageError("JOB and --family both say which job", next_step="give one of them")
    if arguments.job_file and not arguments.html:
        raise UsageError("--job-file is shown in the file that --html writes", next_step="give both")
    job_id = arguments.job or newest(session, arguments.family or "").id
    if arguments.html:
        return write(session, job_id, arguments.html, arguments.job_file)
    if not arguments.figures:
        return show(session, job_id)
    from ...report.read import read  # what reads and draws figures takes long to load, and `--help` needs none of it

    found = read(session, job_id).figures(session)
    _tell(session, found)
    return exit_of(found)


def write(session: Session, job_id: str, path: Path, job_file: Path | None) -> Exit:
    """Write the HTML file, whole or not at all; nothing is read from the service when the job file cannot be."""
    shown = None
    if job_file is not None:
        try:
            shown = (job_file.name, text.decode(job_file.read_bytes()))
        except text.TextError as error:
            raise UsageError(
                f"{job_file}:{error.line}: cannot be read: {error}",
                next_step="correct the file, or leave --job-file out",
            ) from error
    if path.is_dir():
        raise UsageError(f"{path} is a folder", next_step=f"name a file, for example {path / f'{job_id}.html'}")
    from ...report.page import page
    from ...report.read import read

    reading = read(session, job_id)
    found = reading.figures(session)
    made = page(reading, found, job_file=shown).encode()
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:80]}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(made)
        Path(temporary).chmod(0o644 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if session.render.as_json:
        session.render.record({"job": job_id, "file": str(path), "bytes": len(made), "tasks": found.total})
    session.render.words(f"{path}: {counted(found.total, 'task')}, {len(made) / 1e6:.1f} MB. Open it in a browser")
    return exit_of(found)


def exit_of(found: Figures) -> Exit:
    """Whether a task failed, or, of a job that is over, did not succeed."""
    over = found.job.state in ("completed", "deleting")
    return Exit.TASKS_FAILED if found.failed or (over and found.succeeded < found.total) else Exit.OK


def _tell(session: Session, found: Figures) -> None:
    from ...report.words import lines

    if session.render.as_json:
        session.render.record(found.plain())
        return
    render = session.render
    for line in lines(found, render.size[0] if render.on_terminal else WIDE):
        render.advice(line)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def newest(session: Session, family: str) -> JobState:
    """The job created last (of the family, when one is given)."""
    jobs = [job for job in session.batch.jobs("") if (not family or job.family == family) and job.created is not None]
    if not jobs:
        raise NotFound(
            f"there is no job{f' of family {family!r}' if family else ''}",
            next_step="submit one: python -m jobs submit FILE",
        )
    return max(jobs, key=lambda job: (job.created, job.id))


def show(session: Session, job_id: str) -> Exit:
    """Print all tasks, of a large job failed ones, and the figures; the exit code says whether one failed, or, of a job
    that is over, did not succeed."""
    from ...report.read import read

    render = session.render
    reading = read(session, job_id)
    job, every = reading.job, sorted(reading.tasks, key=lambda task: task.id)
    if not render.as_json:
        render.data(f"job {job.id} ({job.state}) on pool {job.pool_id}")
    blob_shown = False
    shown = every
    if len(every) > SMALL and not render.as_json:
        shown = [task for task in every if task.completed and not task.succeeded][:MOST_FAILED]
        render.words(
            f"of {len(every)} tasks {len(shown)} that failed are shown; all: --json, or python -m jobs logs {job.id}"
        )
    for task in shown:
        if render.lost:
            break  # nobody reads the rest
        found = None if blob_shown else task_output.from_blob(session, job, task.id, STDOUT)
        blob_shown = blob_shown or found is not None
        found = (
            found
            or task_output.from_node(session, job, task.id, STDOUT)
            or task_output.from_blob(session, job, task.id, STDOUT)
        )
        _show_task(session, job_id, task, found)
    found = reading.figures(session)
    if not render.as_json and not render.lost:
        render.data("")
        _tell(session, found)
    return exit_of(found)  # the job was read before its tasks: those of one that is over are final


def _show_task(session: Session, job_id: str, task: TaskState, found: task_output.Found | None) -> None:
    data, more = _head(found)
    text = data.decode("utf-8", errors="replace")
    source = found.source if found else "no stdout: the task never ran, or its node is gone"
    if session.render.as_json:
        session.render.record(
            {"task": task.id, "exit_code": task.exit_code, "node": task.node_id, "source": source, "stdout": text}
        )
        return
    session.render.data("")
    session.render.advice(f"-- {task.id}: {describe(task)}", hang=3)
    session.render.data(f"   stdout from {source}" if found else f"   {source}")
    for line in text.splitlines():
        session.render.data(f"   | {line}")
    if more:
        session.render.advice(f"   ... more: python -m jobs logs {job_id} {task.id}")


def _head(found: task_output.Found | None) -> tuple[bytes, bool]:
    data = b""
    for piece in found.data if found else ():
        data += piece
        if len(data) > MOST:
            return data[:MOST], True
    return data, False
