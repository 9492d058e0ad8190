"""`watch JOB`: follow a job to its end: a live table in a terminal, lines elsewhere, exit code from the tasks.

A client must ask again and again; what it asks costs the same for ten tasks and for a hundred thousand (`progress.py`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from ... import durations
from ...clock import Clock
from ...errors import GaveUpWaiting, ServiceError, Throttled, Unreachable
from ...exits import Exit
from ...service.batch import Batch
from ...session import Session
from ...state import blocked, preparation, progress
from ...state.blocked import Waiting
from ...state.progress import Look, describe
from ...terminal.wording import counted
from .. import notification
from ..arguments import batch_id
from ..notification import Notify

EXAMPLES: Final = ("watch nightly-7", "watch nightly-7 --timeout 2h --bell", "watch nightly-7 --lines > watched.txt")
NOBODY: Final = Notify()
FIRST_PAUSE: Final = 0.3  # seconds between two looks; grows while nothing changes
LONGEST_PAUSE: Final = 3.0
OUTAGE: Final = 60.0  # seconds for which a service that answered before may be away
QUIET: Final = 20.0  # seconds without a change after which the nodes are looked at
T = TypeVar("T")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=batch_id, metavar="JOB", help="the job's id")
    parser.add_argument(
        "--timeout", type=durations.argument, metavar="TIME", help="give up after this, for example 10m"
    )
    parser.add_argument("--lines", action="store_true", help="lines as they are printed to a file, also in a terminal")
    notification.add_notify(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    return follow(
        session, arguments.job, timeout=arguments.timeout, lines=arguments.lines, notify=notification.of(arguments)
    )


def follow(
    session: Session, job_id: str, *, timeout: float | None, lines: bool = False, notify: Notify = NOBODY
) -> Exit:
    """Watch and print, in a terminal as a live table unless `lines`; the exit code folds all tasks.

    `notify` is told how it ended.
    """
    render, clock = session.render, session.clock
    notification.announce(notify, session)
    if render.live and not lines:
        from .job_screen import JobScreen

        shown: Lines | JobScreen = JobScreen(session)
    else:
        shown = Lines(session)
    look: Look | None = None
    try:
        with shown:
            for look in looks(session.batch, job_id, clock=clock, timeout=timeout):
                if look.quiet:
                    look.reason = _reason(session, look)
                shown.show(look)
                if stuck := stuck_of(session.batch, look):
                    break
            else:
                stuck = None
    except GaveUpWaiting:
        if look is not None:
            _send(notify, session, look, "timeout")
        raise
    assert look is not None
    if stuck is not None:
        _send(notify, session, look, "stuck")
        return _tell_stuck(session, look, stuck)
    ending = _patiently(lambda: progress.ending(session.batch, look), clock)
    told = f"{counted(ending.unended, 'task')} never did" if ending.unended else ""
    early = f"; the job ended first ({look.job.terminate_reason or look.job.state}), {told}" if told else ""
    render.words(f"job {job_id} is over: {ending.succeeded} succeeded, {ending.failed} failed{early}")
    if ending.first_failed is not None:
        render.words(f"next: python -m jobs show {job_id} {ending.first_failed.id}")
    good = not ending.failed and not ending.unended
    notification.send(
        notify,
        session,
        job=job_id,
        result="succeeded" if good else "failed",
        succeeded=ending.succeeded,
        failed=ending.failed,
        unended=ending.unended,
    )
    return Exit.OK if good else Exit.TASKS_FAILED


def _send(notify: Notify, session: Session, look: Look, result: str) -> None:
    counts = look.counts
    notification.send(
        notify,
        session,
        job=look.job.id,
        result=result,
        succeeded=counts.succeeded,
        failed=counts.failed,
        unended=look.left,
    )


def stuck_of(batch: Batch, look: Look) -> Waiting | None:
    """When every task that is left waits for ever; None also when that cannot be asked: the next look asks again.

    Of a large job this costs two requests: asked when it is quiet.
    """
    counts = look.counts
    if look.over or counts.running or not counts.active or not look.job.uses_dependencies:
        return None
    if look.large and not look.quiet:
        return None
    try:
        found = blocked.of_job(batch, look.job, None if look.large else look.states)
    except ServiceError:
        return None
    return found if found.stuck else None


def _tell_stuck(session: Session, look: Look, stuck: Waiting) -> Exit:
    render, counts, job = session.render, look.counts, look.job
    render.words(
        f"job {job.id} cannot end: {counts.succeeded} succeeded, {counts.failed} failed, "
        f"and all {counts.active} others wait for ever for tasks that block them:"
    )
    for line in stuck.lines():
        render.words(f"  {line}")
    render.words(
        f"next: run the failed tasks and those behind them again: python -m jobs retry {job.id}; "
        f"or end the job: python -m jobs cancel {job.id}"
    )
    return Exit.TASKS_FAILED


class Lines:
    """Each change on a line of stderr (as JSON: on stdout); of a large job its counts and its failures."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._told = ""
        self._counts = ""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, look: Look) -> None:
        render, at = self._session.render, f"{self._session.clock.now():%H:%M:%S}"
        for task in look.changed:
            if render.as_json:
                render.record(task)
            else:
                render.words(f"{at}  {task.id}: {describe(task)}")
        if look.large and look.summary() != self._counts:
            self._counts = look.summary()
            if render.as_json:
                render.record({"job": look.job.id, **vars(look.counts)})
            else:
                render.words(f"{at}  {self._counts}{look.pace()}")
        if look.reason and look.reason != self._told:
            self._told = look.reason
            render.words(f"{at}  {look.reason}")


def _reason(session: Session, look: Look) -> str:
    """When nothing happens, the reason is mostly on the nodes. That it cannot be asked for ends no watching."""
    try:
        return _found_reason(session, look)
    except ServiceError as error:
        return f"still waiting; why is not known: {error.fact}"


def _found_reason(session: Session, look: Look) -> str:
    """How the nodes are, and what else is known."""
    batch, job, pool = session.batch, look.job, look.job.pool_id
    if job.state == "disabled":
        return f"job {job.id} is disabled, by somebody or by a task's `job_action: disable`: nothing of it runs"
    told = f"still waiting; pool {pool}: {node_counts(batch, pool)} (python -m jobs nodes {pool})"
    if failed := sum(one.failed for one in preparation.of_job(session, job)):
        return f"{told}; the job's preparation failed on {counted(failed, 'node')} (python -m jobs show {job.id})"
    if held := blocked.of_job(batch, job, None if look.large else look.states).blocked:
        return f"{told}; {len(held)} tasks or more wait for ever for failed ones (python -m jobs show {job.id})"
    return told


def node_counts(batch: Batch, pool: str) -> str:
    """`2 idle, 1 unusable`."""
    counts: dict[str, int] = {}
    for node in batch.nodes(pool):
        counts[node.state] = counts.get(node.state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no nodes"


def passes(error: ServiceError) -> bool:
    """Whether the same question may be answered later: no answer, too many questions, or a failure of the service."""
    return isinstance(error, Unreachable | Throttled) or type(error) is ServiceError


def _patiently(ask: Callable[[], T], clock: Clock) -> T:
    """The answer, from a service that may be away for a while."""
    began = clock.monotonic()
    while True:
        try:
            return ask()
        except ServiceError as error:
            if not passes(error) or clock.monotonic() - began >= OUTAGE:
                raise
        clock.sleep(LONGEST_PAUSE)


def looks(batch: Batch, job_id: str, *, clock: Clock, timeout: float | None) -> Iterator[Look]:
    """What each look at the job found, until the job is over."""
    watched = progress.Progress(batch, job_id, clock)
    began = quiet_since = clock.monotonic()
    pause = FIRST_PAUSE
    last_answer: float | None = None
    while True:
        try:
            look = watched.look()
        except ServiceError as error:
            # Only what answered before: a service that restarts is waited for, a wrong address is told at once.
            if not passes(error) or last_answer is None or clock.monotonic() - last_answer >= OUTAGE:
                raise
            clock.sleep(max(LONGEST_PAUSE, getattr(error, "retry_after", None) or 0))
            continue
        now = last_answer = clock.monotonic()
        if look.changed or look.counted:
            quiet_since, pause = now, FIRST_PAUSE
        elif now - quiet_since >= QUIET:
            quiet_since, look.quiet = now, True
        yield look
        if look.over:
            return
        if timeout is not None and now - began >= timeout:
            raise GaveUpWaiting(
                f"job {job_id} is not over after {timeout:g} s ({look.left} to go)",
                next_step=f"go on: python -m jobs watch {job_id}",
            )
        clock.sleep(max(pause, progress.LARGE_PAUSE) if look.large else pause)
        pause = min(pause * 1.3, LONGEST_PAUSE)
