"""`wait JOB [TASK] --for CONDITION`: for scripts. Says nothing until the end; the exit code is the answer.

0: it is so; 1: it can never be so any more (or, for `done`, not every task succeeded); 4: --timeout is over.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

from ... import durations
from ...clock import Clock
from ...errors import ServiceError
from ...exits import Exit
from ...service.batch import Batch, TaskState
from ...session import Session
from ...state import progress
from ...state.progress import describe
from .. import notification
from ..arguments import batch_id
from ..notification import Notify
from . import watch

EXAMPLES: Final = (
    "wait nightly-7",
    "wait nightly-7 --for running --timeout 10m",
    "wait nightly-7 sim-0 --for succeeded",
    "wait nightly-7 --bell --notify https://hooks.example.org/nightly",
)
# Condition -> what it means, for a job and for a task.
CONDITIONS: Final = {
    "done": "it is over (default); exit code 1 when not every task succeeded",
    "running": "a task runs, or ran",
    "succeeded": "every task succeeded",
    "failed": "a task failed",
}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=batch_id, metavar="JOB", help="the job's id")
    parser.add_argument("task", type=batch_id, metavar="TASK", nargs="?", help="wait for this task instead")
    parser.add_argument(
        "--for",
        dest="condition",
        choices=CONDITIONS,
        default="done",
        help="; ".join(f"{name}: {text}" for name, text in CONDITIONS.items()),
    )
    parser.add_argument(
        "--timeout", type=durations.argument, metavar="TIME", help="give up after this, for example 10m"
    )
    notification.add_notify(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    notify = notification.of(arguments)
    notification.announce(notify, session)
    try:
        outcome, told = _task(session, arguments) if arguments.task else _job(session, arguments)
    except watch.GaveUpWaiting:
        _send(notify, session, arguments, "timeout")
        raise
    if session.render.as_json:
        session.render.record(
            {"job": arguments.job, "task": arguments.task, "for": arguments.condition, "met": outcome == Exit.OK}
        )
    session.render.words(told)
    _send(notify, session, arguments, "met" if outcome == Exit.OK else "not met")
    return outcome


def _job(session: Session, arguments: argparse.Namespace) -> tuple[Exit, str]:
    look: progress.Look | None = None
    job_id, condition = arguments.job, arguments.condition
    for look in watch.looks(session.batch, job_id, clock=session.clock, timeout=arguments.timeout):
        counts = look.counts
        if condition == "running" and (counts.running or counts.completed):
            return Exit.OK, f"job {job_id} runs: {look.summary()}"
        if condition == "failed" and counts.failed:
            return Exit.OK, f"a task of job {job_id} failed: {look.summary()}"
        if watch.stuck_of(session.batch, look):
            return Exit.TASKS_FAILED, f"job {job_id} cannot end: tasks wait for ever. See: python -m jobs show {job_id}"
        if condition == "succeeded" and counts.failed:
            return Exit.TASKS_FAILED, f"a task of job {job_id} failed: python -m jobs show {job_id}"
    assert look is not None
    ending = progress.ending(session.batch, look)
    told = f"job {job_id} is over: {ending.succeeded} succeeded, {ending.failed} failed, {ending.unended} never ended"
    good = not ending.failed and not ending.unended
    met = {"done": good, "succeeded": good, "failed": bool(ending.failed), "running": False}[condition]
    return (Exit.OK if met else Exit.TASKS_FAILED), told


def _task(session: Session, arguments: argparse.Namespace) -> tuple[Exit, str]:
    condition = arguments.condition
    for task in _states(session.batch, arguments, session.clock):
        told = f"task {task.id} of job {arguments.job}: {describe(task)}"
        if task.completed:
            met = {"done": task.succeeded, "succeeded": task.succeeded, "failed": not task.succeeded, "running": True}
            return (Exit.OK if met[condition] else Exit.TASKS_FAILED), told
        if condition == "running" and task.state == "running":
            return Exit.OK, told
    return Exit.TASKS_FAILED, f"job {arguments.job} is over, and task {arguments.task} never ran"


def _states(batch: Batch, arguments: argparse.Namespace, clock: Clock) -> Iterator[TaskState]:
    """The task at each look, until it is over or its job is."""
    began = last_answer = clock.monotonic()
    answered, pause = False, watch.FIRST_PAUSE
    while True:
        try:
            job = batch.job(arguments.job)  # first: once it is over, what is read after it is final
            task = batch.task(arguments.job, arguments.task)
            answered, last_answer = True, clock.monotonic()
            yield task
            if job.state in ("completed", "deleting"):
                return
        except ServiceError as error:
            if not watch.passes(error) or not answered or clock.monotonic() - last_answer >= watch.OUTAGE:
                raise
        if arguments.timeout is not None and clock.monotonic() - began >= arguments.timeout:
            raise watch.GaveUpWaiting(
                f"task {arguments.task} of job {arguments.job} is not so far after {arguments.timeout:g} s",
                next_step=f"look at it: python -m jobs show {arguments.job} {arguments.task}",
            )
        clock.sleep(pause)
        pause = min(pause * 1.3, watch.LONGEST_PAUSE)


def _send(notify: Notify, session: Session, arguments: argparse.Namespace, result: str) -> None:
    """Tell who asked for it, with the job's counts of this moment. Without anybody to tell nothing is asked."""
    if not notify.url and not notify.bell:
        return
    counts = session.batch.counts(arguments.job)
    unended = counts.active + counts.running
    notification.send(
        notify,
        session,
        job=arguments.job,
        result=result,
        succeeded=counts.succeeded,
        failed=counts.failed,
        unended=unended,
    )
