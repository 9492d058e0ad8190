"""`report JOB`: each task's exit code and stdout, the first from the job's container, the others from their nodes.

A task whose node is gone is read from the container too; the source is always named.
"""

from __future__ import annotations

import argparse
from typing import Final

from .. import outputs_of
from ..errors import NotFound, UsageError
from ..exits import Exit
from ..parser import batch_id
from ..progress import describe
from ..service.batch import JobState, TaskState
from ..session import Session
from ..terminal.render import add_raw

EXAMPLES: Final = ("report", "report nightly-7", "report --family nightly")
STDOUT = "stdout.txt"
MOST = 8192  # bytes of each stdout that are shown


def options(parser: argparse.ArgumentParser) -> None:
    default = "default: the newest job (with --family: of that family)"
    parser.add_argument("job", type=batch_id, metavar="JOB", nargs="?", help=default)
    parser.add_argument("--family", help="the newest job of this family")
    add_raw(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    if arguments.job and arguments.family:
        raise UsageError("JOB and --family both say which job. Give one of them")
    return show(session, arguments.job or newest(session, arguments.family or "").id)


def newest(session: Session, family: str) -> JobState:
    """The job created last (of the family, when one is given)."""
    jobs = [job for job in session.batch.jobs("") if (not family or job.family == family) and job.created is not None]
    if not jobs:
        raise NotFound(
            f"there is no job{f' of family {family!r}' if family else ''}. Submit one: python -m jobs submit FILE"
        )
    return max(jobs, key=lambda job: (job.created, job.id))


def show(session: Session, job_id: str) -> Exit:
    """Print all tasks; the exit code says whether one failed, or, of a job that is over, did not succeed."""
    render, job = session.render, session.batch.job(job_id)
    every = sorted(session.batch.tasks(job_id), key=lambda task: task.id)
    if not render.as_json:
        render.data(f"job {job.id} ({job.state}) on pool {job.pool_id}")
    blob_shown = False
    for task in every:
        if render.lost:
            break  # nobody reads the rest
        found = None if blob_shown else outputs_of.from_blob(session, job, task.id, STDOUT)
        blob_shown = blob_shown or found is not None
        found = (
            found
            or outputs_of.from_node(session, job, task.id, STDOUT)
            or outputs_of.from_blob(session, job, task.id, STDOUT)
        )
        _show_task(session, job_id, task, found)
    over = job.state in ("completed", "deleting")  # known before the tasks were read: they are final then
    failed = any(not task.succeeded for task in every if task.completed or over)
    return Exit.TASKS_FAILED if failed else Exit.OK


def _show_task(session: Session, job_id: str, task: TaskState, found: outputs_of.Found | None) -> None:
    data, more = _head(found)
    text = data.decode("utf-8", errors="replace")
    source = found.source if found else "no stdout: the task never ran, or its node is gone"
    if session.render.as_json:
        session.render.record(
            {"task": task.id, "exit_code": task.exit_code, "node": task.node_id, "source": source, "stdout": text}
        )
        return
    session.render.data(
        f"\n-- {task.id}: {describe(task)}\n   stdout from {source}"
        if found
        else f"\n-- {task.id}: {describe(task)}\n   {source}"
    )
    for line in text.splitlines():
        session.render.data(f"   | {line}")
    if more:
        session.render.advice(f"   ... more: python -m jobs logs {job_id} {task.id}")


def _head(found: outputs_of.Found | None) -> tuple[bytes, bool]:
    data = b""
    for piece in found.data if found else ():
        data += piece
        if len(data) > MOST:
            return data[:MOST], True
    return data, False
