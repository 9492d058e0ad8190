"""`logs JOB [TASK]`: a task's stdout or stderr; from its node, or from the job's container when the node is gone."""

from __future__ import annotations

import argparse
from typing import Final

from .. import outputs_of
from ..errors import NotFound, Throttled, Unreachable, UsageError
from ..exits import Exit
from ..parser import batch_id
from ..service.batch import JobState
from ..session import Session
from ..terminal.render import add_raw

FOLLOW_PAUSE: Final = 0.4  # seconds between two ranged reads of a growing file: a line is shown within a second
OUTAGE: Final = 60.0  # seconds for which service or node may not answer while following


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=batch_id, metavar="JOB")
    default = "default: every task, one after the other"
    parser.add_argument("task", type=batch_id, metavar="TASK", nargs="?", help=default)
    parser.add_argument("--stderr", action="store_true", help="stderr instead of stdout")
    parser.add_argument("--follow", "-f", action="store_true", help="go on until the task ends")
    add_raw(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    name = "stderr.txt" if arguments.stderr else "stdout.txt"
    job = session.batch.job(arguments.job)
    if arguments.follow:
        follow(session, job, arguments.task or _only_task(session, job.id), name)
        return Exit.OK
    names = [arguments.task] if arguments.task else sorted(task.id for task in session.batch.tasks(job.id))
    for task_id in names:
        if arguments.task is None:
            session.render.words(f"-- {task_id}")
        found = outputs_of.anywhere(session, job, task_id, name)
        if found is None:
            state = session.batch.task(job.id, task_id)  # a task that does not exist is told here
            text = f"task {task_id} is {state.state} and has no {name}, on its node or in the container"
            if arguments.task:
                raise NotFound(f"{text}. Look at it: python -m jobs show {job.id} {task_id}")
            session.render.words(text)
            continue
        if session.render.as_json:
            session.render.record(
                {"task": task_id, "source": found.source, "text": b"".join(found.data).decode(errors="replace")}
            )
            continue
        for piece in found.data:
            session.render.raw(piece)
            if session.render.lost:
                return Exit.OK  # nobody reads the rest
        session.render.raw(b"", last=True)
    return Exit.OK


def _only_task(session: Session, job_id: str) -> str:
    few = session.batch.some_tasks(job_id, "changed", 2)
    if len(few) != 1:
        example = f", for example {few[0].id}" if few else "; the job has none yet"
        raise UsageError(f"--follow follows one task. Name it{example}: python -m jobs logs {job_id} TASK --follow")
    return few[0].id


def follow(session: Session, job: JobState, task_id: str, name: str) -> None:
    """Print the file as it grows. Printed bytes are counted: the change to the blob loses and doubles none.

    A run that begins again (a retry, or another node after the first was lost) writes its files anew: told, and then
    shown from its start.
    """
    printed = 0
    shown_run: tuple[int, int] | None = None
    last_answer = session.clock.monotonic()
    while True:
        try:
            task = session.batch.task(job.id, task_id)
            this_run = (task.retries, task.requeues)
            if shown_run not in (None, this_run) and printed:
                session.render.words(f"-- task {task_id} began again (retry {task.retries}, requeue {task.requeues})")
                printed = 0
            shown_run = this_run
            ended = task.completed  # known before reading: what is read after the end is all there is
            found = outputs_of.from_node(session, job, task_id, name, printed)
            from_node = found is not None
            for piece in found.data if found else ():
                session.render.raw(piece)
                printed += len(piece)
                if session.render.lost:
                    return  # nobody reads the rest
            if ended:
                if not from_node:
                    _rest_from_blob(session, job, task_id, name, printed)
                session.render.raw(b"", last=True)
                return
            last_answer = session.clock.monotonic()
        except (Unreachable, Throttled):
            if session.clock.monotonic() - last_answer >= OUTAGE:
                raise
        session.clock.sleep(FOLLOW_PAUSE)


def _rest_from_blob(session: Session, job: JobState, task_id: str, name: str, printed: int) -> None:
    """The node is gone: what was not printed yet is in the container, or lost, which is told."""
    kept = outputs_of.from_blob(session, job, task_id, name)
    if kept is None:
        raise NotFound(
            f"the node of task {task_id} is gone and {name} is not in the container: "
            f"nothing after byte {printed} can be shown. Look at it: python -m jobs show {job.id} {task_id}"
        )
    skip = printed
    for piece in kept.data:
        if skip < len(piece):
            session.render.raw(piece[skip:])
            if session.render.lost:
                return
            printed += len(piece) - skip
        skip = max(0, skip - len(piece))
