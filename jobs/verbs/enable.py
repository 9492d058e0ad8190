"""`enable JOB ...`: let the tasks of disabled jobs run again."""

from __future__ import annotations

import argparse
from typing import Final

from .. import moves
from ..errors import Conflict
from ..exits import Exit
from ..parser import batch_id
from ..service.batch import LEAVING
from ..session import Session

EXAMPLES: Final = ("enable nightly-7",)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("jobs", type=batch_id, metavar="JOB", nargs="+")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render, batch = session.render, session.batch
    found = [batch.job(job_id) for job_id in dict.fromkeys(arguments.jobs)]  # all exist, or nothing is done
    if over := [f"{job.id} is {job.state}" for job in found if job.state in moves.OVER]:
        raise Conflict(f"job {', '.join(over)}: it runs nothing any more. Name jobs that go on")
    for job in found:
        if job.state in ("disabled", "disabling"):
            batch.enable_job(job.id)
        if job.leaving:
            batch.mark_job(job.id, LEAVING, "")  # the move that held it is given up
        if render.as_json:
            render.record({"job": job.id, "enabled": True})
        render.words(f"job {job.id}: its tasks run on pool {job.pool_id}")
    return Exit.OK
