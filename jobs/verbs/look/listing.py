"""`list`: the jobs of the account, newest first, with how their tasks are."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from ... import durations
from ...errors import NotFound
from ...exits import Exit
from ...service.batch import Counts, JobState
from ...session import Session
from ...terminal.table import Column, Listing, colour_of
from ...terminal.wording import counted
from ..watching import Look, add_watch, watch_list

EXAMPLES: Final = ("list", "list --family nightly --state active", "list --watch", "list -o name --prefix nightly-")
SHOWN: Final = 20
ASKING: Final = 8  # jobs whose tasks are counted at a time
STATES: Final = ("active", "completed", "disabled", "disabling", "enabling", "terminating", "deleting")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A job and its counts; None when it was deleted meanwhile."""

    job: JobState
    counts: Counts | None


def _count(name: str) -> Column[Row]:
    """A column with one of the job's counts."""
    field = {"waiting": "active"}.get(name, name)
    return Column(
        name=name,
        text=lambda row, now: "-" if row.counts is None else getattr(row.counts, field),
        key=lambda row, now: row.counts and getattr(row.counts, field),
        colour=lambda row: "red" if field == "failed" and row.counts and row.counts.failed else "",
        number=True,
    )


LISTING: Final = Listing[Row](
    columns=(
        Column(name="job", text=lambda row, now: row.job.id, keep=True),
        Column(
            name="state", text=lambda row, now: row.job.state, colour=lambda row: colour_of(row.job.state), short=True
        ),
        *(_count(name) for name in ("waiting", "running", "succeeded", "failed")),
        Column(name="pool", text=lambda row, now: row.job.pool_id, most=24, spare=True),
        Column(
            name="age",
            text=lambda row, now: durations.age(row.job.created, now),
            key=lambda row, now: row.job.created and now - row.job.created,
            short=True,
        ),
        Column(name="family", text=lambda row, now: row.job.family or "-", wide=True),
        Column(
            name="priority", text=lambda row, now: row.job.priority, key=lambda row, now: row.job.priority, wide=True
        ),
        Column(name="reason", text=lambda row, now: row.job.terminate_reason or "-", wide=True),
    ),
    name=lambda row: row.job.id,
    record=lambda row: {**vars(row.job), "tasks": vars(row.counts) if row.counts else None},
)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", help="only jobs of this family")
    parser.add_argument("--state", choices=STATES, help="only jobs in this state")
    parser.add_argument("--prefix", default="", help="only jobs whose id begins so")
    parser.add_argument("--limit", type=int, default=SHOWN, metavar="N", help=f"at most so many (default {SHOWN})")
    LISTING.options(parser)
    add_watch(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    if arguments.watch:
        return watch_list(session, arguments, LISTING, lambda: Look(things=_rows(arguments, session)[0]))
    rows, more = _rows(arguments, session)
    LISTING.show(arguments, session.render, rows, session.clock.now())
    if more:
        session.render.words(f"{counted(more, 'older job')} not shown; --limit {more + len(rows)} shows all")
    elif not rows:
        fitting = " like that" if arguments.family or arguments.state or arguments.prefix else ""
        session.render.words(f"there are no jobs{fitting}. Submit one: python -m jobs submit FILE")
    return Exit.OK


def _rows(arguments: argparse.Namespace, session: Session) -> tuple[list[Row], int]:
    """The newest jobs with their counts, and how many older ones there are."""
    every = [
        job
        for job in session.batch.jobs(arguments.prefix, state=arguments.state or "")
        if not arguments.family or job.family == arguments.family
    ]
    every.sort(key=lambda job: (job.created.timestamp() if job.created else 0.0, job.id), reverse=True)
    shown = every[: max(0, arguments.limit)]
    with ThreadPoolExecutor(ASKING) as pool:
        counts = pool.map(lambda job: _counts(session, job), shown)
        return [Row(job=job, counts=one) for job, one in zip(shown, counts, strict=True)], len(every) - len(shown)


def _counts(session: Session, job: JobState) -> Counts | None:
    try:
        return session.batch.counts(job.id)
    except NotFound:
        return None  # deleted meanwhile
