"""`enable JOB ...`: let the tasks of disabled jobs run again."""

from __future__ import annotations

import argparse
from typing import Final

from ...exits import Exit
from ...service.batch import LEAVING
from ...session import Session
from ..arguments import batch_id
from . import moves

EXAMPLES: Final = ("enable nightly-7",)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("jobs", type=batch_id, metavar="JOB", nargs="+", help="the jobs' ids")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render, batch = session.render, session.batch
    found = moves.going_on(session, arguments.jobs)
    for job in found:
        if job.state in ("disabled", "disabling"):
            batch.enable_job(job.id)
        if job.leaving:
            batch.mark_job(job.id, LEAVING, "")  # the move that held it is given up
        if render.as_json:
            render.record({"job": job.id, "enabled": True})
        render.words(f"job {job.id}: its tasks run on pool {job.pool_id}")
    return Exit.OK
