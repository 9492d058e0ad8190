"""`disable JOB ...`: hold jobs. Their tasks stay; what runs is waited for, given back to the queue, or ended."""

from __future__ import annotations

import argparse
from typing import Final

from ...exits import Exit
from ...session import Session
from ..arguments import batch_id
from . import moves
from .move import add_running, add_timeout

EXAMPLES: Final = ("disable nightly-7", "disable nightly-7 --running requeue --wait")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("jobs", type=batch_id, metavar="JOB", nargs="+", help="the jobs' ids")
    add_running(parser, ("wait", "requeue", "terminate"))
    parser.add_argument("--wait", action="store_true", help="until none of their tasks runs")
    add_timeout(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render, batch = session.render, session.batch
    found = moves.going_on(session, arguments.jobs)
    for job in found:
        if job.state == "active":
            batch.disable_job(job.id, arguments.running)
        if render.as_json:
            render.record({"job": job.id, "disabled": True})
        render.words(f"job {job.id}: no task of it begins. Go on: python -m jobs enable {job.id}")
    until = moves.deadline(session, arguments.timeout)
    while arguments.wait and (left := [job.id for job in found if batch.job(job.id).state == "disabling"]):
        moves.pause(session, until, f"tasks of {', '.join(left[:3])} still run")
    return Exit.OK
