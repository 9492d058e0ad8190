"""`cancel JOB [TASK ...]`: end a job, or some of its tasks. What they wrote until then is kept."""

from __future__ import annotations

import argparse
from typing import Final

from ...errors import Conflict
from ...exits import Exit
from ...service.batch import OVER
from ...session import Session
from ...terminal import asking
from ...terminal.wording import counted
from ..arguments import batch_id

EXAMPLES: Final = ("cancel nightly-7", "cancel nightly-7 sim-3 sim-4", "cancel nightly-7 --yes")
REASON = "UserTerminate"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=batch_id, metavar="JOB", help="the job's id")
    parser.add_argument("tasks", type=batch_id, metavar="TASK", nargs="*", help="only these; the job goes on")
    asking.add_yes(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render, batch = session.render, session.batch
    job = batch.job(arguments.job)
    if arguments.tasks:
        return cancel_tasks(session, job.id, arguments.tasks)
    if job.state in OVER:
        render.words(f"job {job.id} is {job.state} already ({job.terminate_reason or 'no reason given'})")
        return Exit.OK
    counts = batch.counts(job.id)
    if not asking.agreed(
        f"end job {job.id} with {counts.running} running and {counted(counts.active, 'waiting task')}?",
        yes=arguments.yes,
    ):
        render.words("nothing was done")
        return Exit.OK
    try:
        batch.terminate_job(job.id, REASON)
    except Conflict:
        if (now := batch.job(job.id)).state not in OVER:
            raise
        render.words(f"job {job.id} is {now.state} already ({now.terminate_reason or 'no reason given'})")
        return Exit.OK
    if render.as_json:
        render.record({"job": job.id, "cancelled": True})
    render.words(f"job {job.id} is being ended. What its tasks uploaded stays: python -m jobs collect {job.id} DIR")
    return Exit.OK


def cancel_tasks(session: Session, job_id: str, tasks: list[str]) -> Exit:
    """Each by name; one that is over already is told and no failure."""
    for task_id in tasks:
        try:
            session.batch.terminate_task(job_id, task_id)
        except Conflict as error:
            if error.code != "TaskCompleted":
                raise
            session.render.words(f"task {task_id} is over already")
            continue
        if session.render.as_json:
            session.render.record({"job": job_id, "task": task_id, "cancelled": True})
        session.render.words(f"task {task_id} is being ended")
    return Exit.OK
