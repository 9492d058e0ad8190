"""`move JOB ... --to POOL`: other nodes for jobs that go on (`moves.py` has the steps)."""

from __future__ import annotations

import argparse
from typing import Final

from ... import durations
from ...errors import Conflict, UsageError
from ...exits import Exit
from ...service.batch import JobState, PoolState
from ...session import Session
from ...terminal import asking
from ..arguments import batch_id
from ..pools import nodes
from . import moves
from .moves import Mover, Step, next_step

EXAMPLES: Final = ("move nightly-7 --to big", "move nightly-7 --to big --running requeue --yes")
RUNNING: Final = {
    "wait": "let them end where they are; no other task begins meanwhile",
    "requeue": "they begin again on the new pool",
    "terminate": "end them now",
}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("jobs", type=batch_id, metavar="JOB", nargs="+", help="the jobs' ids")
    parser.add_argument("--to", required=True, metavar="POOL", help="a pool's name in the stack, or its id")
    add_running(parser, ("wait", "requeue"))
    add_timeout(parser)
    asking.add_yes(parser)
    parser.set_defaults(run=run)


def add_running(parser: argparse.ArgumentParser, choices: tuple[str, ...]) -> None:
    """What becomes of running tasks; the first is the default."""
    meaning = "; ".join(f"{name}: {RUNNING[name]}" for name in choices)
    parser.add_argument(
        "--running", choices=choices, default=choices[0], help=f"running tasks: {meaning} (default {choices[0]})"
    )


def add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", type=durations.argument, metavar="TIME", help="give up waiting after this, for example 2h"
    )


def target_pool(session: Session, given: str) -> PoolState:
    """The pool that jobs go to: it exists and takes them."""
    pool = session.batch.pool(nodes.pools(given, session)[0])
    if pool.state != "active":
        raise Conflict(f"pool {pool.id} is {pool.state}; it takes no jobs", next_step="use another pool")
    return pool


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    batch, target = session.batch, target_pool(session, arguments.to)
    found = [batch.job(job_id) for job_id in dict.fromkeys(arguments.jobs)]  # all exist, or nothing is done
    if over := [f"{job.id} is {job.state}" for job in found if next_step(job, target.id) is Step.GONE]:
        raise Conflict(f"job {', '.join(over)}: it runs nothing any more", next_step="name jobs that go on")
    there = [job.id for job in found if next_step(job, target.id) is Step.DONE]
    if len(there) == len(found):
        raise UsageError(
            f"job {', '.join(there)} is on pool {target.id} already", next_step="name another pool after --to"
        )
    names = [job.id for job in found if job.id not in there]
    if not asking.agreed(f"move {', '.join(names)} to pool {target.id}?", yes=arguments.yes):
        session.render.words("nothing was done")
        return Exit.OK
    mover = Mover(session, target.id, arguments.running, moves.deadline(session, arguments.timeout))
    left = dict.fromkeys(names)

    def find() -> list[JobState]:
        for name in list(left):
            if next_step(batch.job(name), target.id) in (Step.DONE, Step.GONE):
                del left[name]
        return [batch.job(name) for name in left]

    mover.move(find)
    return Exit.OK
