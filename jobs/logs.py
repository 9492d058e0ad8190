"""`logs JOB [TASK]`: a task's stdout or stderr; from its node, or from the job's container when the node is gone."""

from __future__ import annotations

import argparse
from typing import Any, Final

from . import outputs_of
from .batch import JobState
from .errors import NotFound, UsageError
from .exits import Exit
from .session import Session

FOLLOW_PAUSE: Final = 0.5  # seconds between two ranged reads of a growing file


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("task", metavar="TASK", nargs="?", help="default: every task, one after the other")
    parser.add_argument("--stderr", action="store_true", help="stderr instead of stdout")
    parser.add_argument("--follow", "-f", action="store_true", help="go on until the task ends")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    name = "stderr.txt" if arguments.stderr else "stdout.txt"
    job = session.batch.job(arguments.job)
    if arguments.follow:
        if arguments.task is None:
            raise UsageError("--follow follows one task. Name it: python -m jobs logs JOB TASK --follow")
        follow(session, job, arguments.task, name)
        return Exit.OK
    names = [arguments.task] if arguments.task else sorted(task.id for task in session.batch.tasks(job.id))
    for task_id in names:
        if arguments.task is None:
            session.render.words(f"-- {task_id}")
        found = outputs_of.from_node(session, job, task_id, name) or outputs_of.from_blob(session, job, task_id, name)
        if found is None:
            state = session.batch.task(job.id, task_id)  # a task that does not exist is told here
            text = f"task {task_id} is {state.state} and has no {name}, on its node or in the container"
            if arguments.task:
                raise NotFound(f"{text}. Look at it: python -m jobs report {job.id}")
            session.render.words(text)
            continue
        for piece in found.data:
            session.render.raw(piece)
    return Exit.OK


def follow(session: Session, job: JobState, task_id: str, name: str) -> None:
    """Print the file as it grows. Printed bytes are counted: the change to the blob loses and doubles none."""
    printed = 0
    while True:
        ended = session.batch.task(job.id, task_id).completed  # before reading: what is read after the end is all
        found = outputs_of.from_node(session, job, task_id, name, printed)
        if found is not None:
            for piece in found.data:
                session.render.raw(piece)
                printed += len(piece)
        elif ended and (kept := outputs_of.from_blob(session, job, task_id, name)) is not None:
            skip = printed
            for piece in kept.data:
                session.render.raw(piece[skip:])
                skip = max(0, skip - len(piece))
        if ended:
            return
        session.clock.sleep(FOLLOW_PAUSE)
