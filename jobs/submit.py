"""`submit FILE`: check everything, show the plan, ask, create the job, add every task, then let it end by itself."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import adding, durations, report, tasks, watch
from .connection import Outputs
from .errors import Conflict, NotAllAdded, NotFound, UsageError
from .exits import Exit
from .jobfile import JobFile, expand, load
from .jobfile.sources import ListBlobs
from .session import Session
from .storage import Blob


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked submission. Task definitions are made again each time they are asked for, so none is kept."""

    file: JobFile
    folder: Path
    job: dict[str, Any]
    count: int
    first: dict[str, Any]
    outputs: Outputs | None
    list_blobs: ListBlobs | None = None

    @property
    def job_id(self) -> str:
        return self.job["id"]

    def definitions(self) -> Iterator[dict[str, Any]]:
        return _definitions(self.file, self.folder, self.job_id, self.outputs, self.list_blobs)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the definitions that would be sent, and send nothing"
    )
    parser.add_argument("--job-id", help="instead of job.id of the file")
    parser.add_argument("--watch", action="store_true", help="watch the job to its end")
    parser.add_argument("--report", action="store_true", help="after watching, show each task's exit code and stdout")
    parser.add_argument(
        "--timeout", type=durations.argument, metavar="TIME", help="give up watching after this, for example 10m"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render = session.render
    plan = plan_of(arguments.file, session, job_id=arguments.job_id)
    if arguments.dry_run:
        render.data(json.dumps(plan.job, indent=None if render.as_json else 2))
        for definition in plan.definitions():
            render.data(json.dumps(definition, indent=None if render.as_json else 2))
        return Exit.OK
    render.words(describe(plan))
    if not arguments.yes and not _confirmed():
        render.words("nothing was sent")
        return Exit.OK
    tally = submit(plan, session)
    if render.as_json:
        render.record(
            {"job": plan.job_id, "added": tally.added, "failed": [verdict.task_id for verdict in tally.failed]}
        )
    else:
        render.words(f"submitted {tally.added} tasks as job {plan.job_id}")
    if not (arguments.watch or arguments.report):
        render.words(f"next: python -m jobs watch {plan.job_id}")
        return Exit.OK
    outcome = watch.follow(session, plan.job_id, timeout=arguments.timeout)
    if arguments.report:
        report.show(session, plan.job_id)
    return outcome


def plan_of(path: Path, session: Session, *, job_id: str | None = None) -> Plan:
    """The plan for the session's stack; its containers are listed only when the file asks for blobs."""

    def list_blobs(container: str, prefix: str) -> tuple[str, Iterable[Blob]]:
        assert outputs is not None
        return f"{outputs.blob_endpoint.rstrip('/')}/{container}", session.blobs.list(container, prefix)

    outputs = session.connection.outputs
    listing = None if outputs is None else list_blobs
    return make_plan(path, outputs, job_id=job_id, now=session.clock.now(), list_blobs=listing)


def make_plan(
    path: Path, outputs: Outputs | None, *, job_id: str | None, now: Any, list_blobs: ListBlobs | None = None
) -> Plan:
    """Read and check the whole file, every task included. Raises `UsageError`; nothing is sent."""
    file = load(path)
    job = (
        file.job if job_id is None else file.job.model_copy(update={"id": job_id.replace("{", "{{").replace("}", "}}")})
    )
    identifier = tasks.job_id(job, now=now)
    definition = tasks.job_definition(job, identifier, outputs)
    count, first = 0, {}
    for task in _definitions(file, path.parent, identifier, outputs, list_blobs):
        first = first or task
        count += 1
    return Plan(
        file=file, folder=path.parent, job=definition, count=count, first=first, outputs=outputs, list_blobs=list_blobs
    )


def check_file(path: Path) -> int:
    """The number of tasks, when the file and all of them are right; what only a stack knows is not checked."""
    file = load(path)
    return sum(1 for _ in expand(file, job_id="job", folder=path.parent))


def describe(plan: Plan) -> str:
    """What will be sent, in words."""
    image = plan.first["containerSettings"]["imageName"]
    container = next((item["value"] for item in plan.job["metadata"] if item["name"] == "container"), None)
    results = f"{container}/{plan.job_id}/" if container else "nowhere (no stack): it stays on the nodes"
    return (
        f"job {plan.job_id}: {plan.count} tasks on pool {plan.job['poolInfo']['poolId']}\n"
        f"  first task: {plan.first['id']}: {plan.first['commandLine'] or '(the image decides)'}\n"
        f"  image:      {image}\n"
        f"  output to:  {results}"
    )


def submit(plan: Plan, session: Session) -> adding.Tally:
    """Create the job, add the tasks, then set `terminatejob`. A job that got no task at all is deleted again."""
    batch, pool = session.batch, plan.job["poolInfo"]["poolId"]
    try:
        state = batch.pool_state(pool)
    except NotFound as error:
        raise NotFound(
            f"pool {pool} does not exist in this account. Correct job.pool, or run up again", error.code
        ) from error
    if state != "active":
        raise Conflict(f"pool {pool} is {state}; it takes no jobs. Wait, or use another pool")
    try:
        batch.create_job(plan.job)
    except Conflict as error:
        if error.code == "JobExists":
            raise Conflict(f"job {plan.job_id} exists already. Submit under a new --job-id", error.code) from error
        raise
    tally = adding.Tally()
    try:
        tally = adding.add_all(
            batch,
            plan.job_id,
            plan.definitions(),
            sleep=session.clock.sleep,
            progress=lambda now: _progress(session, now, plan.count),
        )
    finally:
        if tally.added == 0 and not _has_tasks(session, plan.job_id):
            batch.delete_job(plan.job_id)
    if tally.failed:
        examples = "\n".join(f"  {verdict.task_id}: {verdict.code}: {verdict.message}" for verdict in tally.failed[:5])
        kept = f"job {plan.job_id} has the others and goes on" if tally.added else "the job was deleted again"
        if tally.added:
            batch.end_when_done(plan.job_id)
        raise NotAllAdded(
            f"{len(tally.failed)} of {plan.count} tasks were not accepted; {kept}. The first ones:\n{examples}"
        )
    batch.end_when_done(plan.job_id)
    return tally


def _definitions(
    file: JobFile, folder: Path, identifier: str, outputs: Outputs | None, list_blobs: ListBlobs | None
) -> Iterator[dict[str, Any]]:
    for task in expand(file, job_id=identifier, folder=folder, list_blobs=list_blobs):
        yield tasks.task_definition(task, job=file.job, identifier=identifier, outputs=outputs)


def _has_tasks(session: Session, job_id: str) -> bool:
    """After an exception only: an answer may have been lost, so the service is asked."""
    from .errors import ServiceError

    try:
        return next(iter(session.batch.tasks(job_id)), None) is not None
    except ServiceError:
        return True  # not known: then nothing is deleted


def _progress(session: Session, tally: adding.Tally, count: int) -> None:
    if count > adding.MAX_TASKS:
        session.render.words(f"  {tally.added} of {count} added")


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on. Add --yes to submit without a question")
    print("submit? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in ("y", "yes")
