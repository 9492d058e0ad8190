"""`list`: the jobs of the account, newest first, with how their tasks are."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from .. import durations
from ..errors import NotFound
from ..exits import Exit
from ..service.batch import Counts, JobState
from ..session import Session

SHOWN: Final = 20
ASKING: Final = 8  # jobs whose tasks are counted at a time
STATES: Final = ("active", "completed", "disabled", "disabling", "enabling", "terminating", "deleting")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", help="only jobs of this family")
    parser.add_argument("--state", choices=STATES, help="only jobs in this state")
    parser.add_argument("--prefix", default="", help="only jobs whose id begins so")
    parser.add_argument("--limit", type=int, default=SHOWN, metavar="N", help=f"at most so many (default {SHOWN})")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    every = [
        job
        for job in session.batch.jobs(arguments.prefix, state=arguments.state or "")
        if not arguments.family or job.family == arguments.family
    ]
    every.sort(key=lambda job: (job.created.timestamp() if job.created else 0.0, job.id), reverse=True)
    shown = every[: max(0, arguments.limit)]
    with ThreadPoolExecutor(ASKING) as pool:
        rows = list(zip(shown, pool.map(lambda job: _counts(session, job), shown), strict=True))
    if session.render.as_json:
        for job, counts in rows:
            session.render.record({**vars(job), "tasks": vars(counts) if counts else None})
        return Exit.OK
    now = session.clock.now()
    session.render.table(
        ("job", "state", "waiting", "running", "succeeded", "failed", "pool", "age"),
        ((job.id, job.state, *_cells(counts), job.pool_id, durations.age(job.created, now)) for job, counts in rows),
    )
    if len(every) > len(shown):
        session.render.words(f"{len(every) - len(shown)} older jobs are not shown; --limit {len(every)} shows all")
    elif not every:
        session.render.words("no jobs. Submit one: python -m jobs submit FILE")
    return Exit.OK


def _counts(session: Session, job: JobState) -> Counts | None:
    try:
        return session.batch.counts(job.id)
    except NotFound:
        return None  # deleted meanwhile


def _cells(counts: Counts | None) -> tuple[object, ...]:
    return ("-",) * 4 if counts is None else (counts.active, counts.running, counts.succeeded, counts.failed)
