"""`delete JOB ...`: delete jobs with their tasks and what is on the nodes. Blobs in the jobs' containers stay."""

from __future__ import annotations

import argparse
from typing import Final

from ...errors import NotFound
from ...exits import Exit
from ...session import Session
from ...terminal import asking
from ..arguments import batch_id

EXAMPLES: Final = ("delete nightly-7", "delete nightly-6 nightly-7 --yes --wait")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "jobs", type=batch_id, metavar="JOB", nargs="+", help="the jobs' ids; all exist, or nothing is done"
    )
    parser.add_argument("--wait", action="store_true", help="until they are gone (a job of the same id may come then)")
    asking.add_yes(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render, batch = session.render, session.batch
    found = [batch.job(job_id) for job_id in arguments.jobs]  # all exist, or nothing is done
    active = [job.id for job in found if job.state not in ("completed", "deleting")]
    told = f"; {', '.join(active)} did not end yet" if active else ""
    if not asking.agreed(f"delete {', '.join(job.id for job in found)}{told}?", yes=arguments.yes):
        render.words("nothing was done")
        return Exit.OK
    for job in found:
        if job.state != "deleting":
            batch.delete_job(job.id)
        if render.as_json:
            render.record({"job": job.id, "deleted": True})
        kept = f"; its output stays in {job.container}/{job.folder}/" if job.container else ""
        render.words(f"job {job.id} is being deleted{kept}")
    for job in found if arguments.wait else []:
        while _is_there(session, job.id):
            session.clock.sleep(0.5)
        render.words(f"job {job.id} is gone")
    return Exit.OK


def _is_there(session: Session, job_id: str) -> bool:
    try:
        session.batch.job(job_id)
    except NotFound:
        return False
    return True
