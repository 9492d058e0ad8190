"""`tasks JOB`: the tasks of a job, a line each: state, node, times, exit code, retries, and why one failed or waits."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ... import durations
from ...exits import Exit
from ...service.batch import Choice, JobState, TaskState
from ...session import Session
from ...state import blocked, failure_texts
from ...state.progress import SMALL
from ...terminal.table import Column, Listing, colour_of
from ...terminal.wording import counted
from ..arguments import batch_id
from ..watching import Look, add_watch, watch_list

EXAMPLES: Final = (
    "tasks nightly-7",
    "tasks nightly-7 --state failed -o wide",
    "tasks nightly-7 --watch",
    "tasks nightly-7 --sort duration --reverse --columns task,duration,node",
)
STATES: Final = ("active", "preparing", "running", "succeeded", "failed", "completed")
SHOWN: Final = 1000  # tasks without --limit: one page of the service
# What the service is asked for, for a state that is asked for; nothing: all tasks.
ASKED: Final[dict[str, Choice]] = {
    "failed": "failed",
    "running": "running",
    "active": "unended",
    "preparing": "unended",
}
URGENT: Final = ("running", "preparing", "failed", "active", "succeeded")  # the order on a screen that is redrawn


@dataclass(frozen=True, kw_only=True)
class Row:
    """A task; `blocked` says why it waits for ever, when it does."""

    task: TaskState
    blocked: str = ""

    @property
    def state(self) -> str:
        """The service's state; of a task that is over, how it ended."""
        if not self.task.completed:
            return self.task.state
        return "succeeded" if self.task.succeeded else "failed"

    def seconds(self, now: datetime) -> float | None:
        """How long the last run took, or has taken until now."""
        task = self.task
        if task.started is None or not (task.ended or task.state == "running"):
            return None
        return max(0.0, ((task.ended or now) - task.started).total_seconds())

    @property
    def why(self) -> str:
        """Why it failed, or waits; empty when there is nothing to say beyond the exit code."""
        if self.task.completed and not self.task.succeeded:
            return failure_texts.in_short(self.task.exit_code, self.task.failure) or (
                "never started" if self.task.exit_code is None else ""
            )
        return self.blocked


def _time(at: datetime | None, now: datetime) -> str:
    """The time of day (UTC), or of another day its date and time."""
    if at is None:
        return "-"
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%m-%d %H:%M}"


def _duration(row: Row, now: datetime) -> str:
    seconds = row.seconds(now)
    return "-" if seconds is None else durations.words(seconds)


def record(row: Row) -> dict[str, Any]:
    task = row.task
    failure = vars(task.failure) if task.failure else None
    seconds = row.seconds(task.ended) if task.ended else None
    return {**vars(task), "failure": failure, "outcome": row.state, "seconds": seconds, "why": row.why}


LISTING: Final = Listing[Row](
    columns=(
        Column(name="task", text=lambda row, now: row.task.id, keep=True),
        Column(name="state", text=lambda row, now: row.state, colour=lambda row: colour_of(row.state), short=True),
        Column(name="node", text=lambda row, now: row.task.node_id or "-", most=12),
        Column(
            name="start",
            text=lambda row, now: _time(row.task.started, now),
            key=lambda row, now: row.task.started,
            short=True,
        ),
        Column(name="duration", text=_duration, key=lambda row, now: row.seconds(now), number=True),
        Column(
            name="exit",
            text=lambda row, now: "-" if row.task.exit_code is None else row.task.exit_code,
            key=lambda row, now: row.task.exit_code,
            number=True,
        ),
        Column(
            name="retries",
            text=lambda row, now: row.task.retries,
            key=lambda row, now: row.task.retries,
            number=True,
            spare=True,
        ),
        Column(
            name="requeues",
            text=lambda row, now: row.task.requeues,
            key=lambda row, now: row.task.requeues,
            number=True,
            wide=True,
        ),
        Column(
            name="created",
            text=lambda row, now: _time(row.task.created, now),
            key=lambda row, now: row.task.created,
            short=True,
            wide=True,
        ),
        Column(
            name="ended",
            text=lambda row, now: _time(row.task.ended, now),
            key=lambda row, now: row.task.ended,
            short=True,
            wide=True,
        ),
        Column(name="why", text=lambda row, now: row.why, free=True),
    ),
    name=lambda row: row.task.id,
    record=record,
)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=batch_id, metavar="JOB", help="the job's id")
    parser.add_argument("--state", choices=STATES, help="only tasks in this state; succeeded and failed are completed")
    parser.add_argument("--node", help="only tasks on the node whose id begins so")
    parser.add_argument("--prefix", default="", help="only tasks whose id begins so")
    parser.add_argument("--exit-code", type=int, metavar="N", help="only tasks that ended with this exit code")
    parser.add_argument(
        "--limit", type=_limit, default=SHOWN, metavar="N", help=f"at most so many (default {SHOWN}; 0: all)"
    )
    LISTING.options(parser)
    add_watch(parser)
    parser.set_defaults(run=run)


def _limit(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number, 0 for all, got {text!r}")
    return int(text)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    if arguments.watch:
        return watch_list(session, arguments, LISTING, lambda: _look(arguments, session))
    job = session.batch.job(arguments.job)
    rows, more = rows_of(arguments, session, job)
    shown = LISTING.sorted(arguments, rows, session.clock.now())
    if arguments.limit:
        more += max(0, len(shown) - arguments.limit)
        shown = shown[: arguments.limit]
    LISTING.show(arguments, session.render, shown, session.clock.now(), ordered=True)
    if more:
        session.render.words(f"only the first {counted(len(shown), 'task')}; --limit 0 shows all")
    elif not shown:
        fitting = " like that" if _narrowed(arguments) or arguments.state else ""
        session.render.words(f"job {job.id} has no tasks{fitting}")
    return Exit.OK


def _look(arguments: argparse.Namespace, session: Session) -> Look[Row]:
    """Of a large job only tasks that run or failed, a page of each: what a look costs does not grow with the job."""
    job = session.batch.job(arguments.job)
    counts = session.batch.counts(job.id)
    if counts.total > SMALL and not arguments.state and not _narrowed(arguments):
        found = [
            *session.batch.some_tasks(job.id, "running", SMALL),
            *session.batch.some_tasks(job.id, "failed", SMALL),
        ]
        rows = [Row(task=task) for task in found]
    else:
        rows, _ = rows_of(arguments, session, job)
    rows.sort(key=lambda row: (URGENT.index(row.state) if row.state in URGENT else 0, row.task.id))
    if arguments.limit:
        rows = rows[: arguments.limit]
    above = [
        f"job {job.id} ({job.state}): {counts.active} waiting, {counts.running} running, "
        f"{counts.succeeded} succeeded, {counts.failed} failed",
        "",
    ]
    return Look(things=rows, above=above, over=job.state == "completed")


def rows_of(arguments: argparse.Namespace, session: Session, job: JobState) -> tuple[list[Row], int]:
    """The tasks that are asked for, and 1 if there are more of them than were read."""
    batch, more = session.batch, 0
    choice: Choice | None = ASKED.get(arguments.state or "")
    whole = _narrowed(arguments) or arguments.sort is not None or not 0 < arguments.limit <= SHOWN
    if not whole and (choice is not None or not arguments.state):
        found = batch.some_tasks(job.id, choice or "changed", SHOWN)
        more = int(len(found) == SHOWN and batch.counts(job.id).total > SHOWN)
    else:
        found = list(batch.tasks(job.id))
    held = {}
    if job.uses_dependencies and choice is None and not more:
        all_there = job.on_all_tasks_complete == "terminatejob"
        held = blocked.blocked_tasks(found, all_there=all_there)
    rows = []
    for task in found:
        why = held.get(task.id.lower())
        row = Row(task=task, blocked=f"waits for {why.parent}, which {why.why}" if why else "")
        if _fits(row, arguments):
            rows.append(row)
    return rows, more


def _narrowed(arguments: argparse.Namespace) -> bool:
    return bool(arguments.node or arguments.prefix) or arguments.exit_code is not None


def _fits(row: Row, arguments: argparse.Namespace) -> bool:
    task = row.task
    return (
        (not arguments.state or arguments.state in (row.state, task.state))
        and task.id.startswith(arguments.prefix)
        and (not arguments.node or (task.node_id or "").startswith(arguments.node))
        and (arguments.exit_code is None or task.exit_code == arguments.exit_code)
    )
