"""`submit FILE`: check everything, show the plan, ask, create the job, add every task, then let it end by itself."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import shlex
from pathlib import Path
from typing import Final

from .. import durations
from ..errors import Conflict, NotAllAdded, NotFound, ServiceError, UsageError
from ..exits import Exit
from ..plan import Plan, plan_of
from ..service.batch import TaskState
from ..session import Session
from ..submission import MOST_WORKERS, Options, Progress, Result, submit_tasks
from ..submission.checkpoint import Checkpoint
from ..terminal import asking
from . import report, watch

CHECKPOINTS: Final = Path(".jobs")  # where a submission writes down how far it is; removed when all is well
SAID_FROM: Final = 1000  # tasks from which progress is told


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE")
    asking.add_yes(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print the definitions that would be sent, and send nothing"
    )
    parser.add_argument("--job-id", help="instead of job.id of the file")
    parser.add_argument("--resume", action="store_true", help="go on with a submission that did not end")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help=f"instead of {CHECKPOINTS}/JOB.checkpoint, for --resume"
    )
    parser.add_argument("--workers", type=_workers, default=32, metavar="N", help="requests at a time (default 32)")
    parser.add_argument("--watch", action="store_true", help="watch the job to its end")
    parser.add_argument("--report", action="store_true", help="after watching, show each task's exit code and stdout")
    parser.add_argument(
        "--timeout", type=durations.argument, metavar="TIME", help="give up watching after this, for example 10m"
    )
    parser.set_defaults(run=run)


def _workers(text: str) -> int:
    """How many, for argparse: refused before a job is made."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"expected 1 to {MOST_WORKERS}, got {text!r}")
    return int(text)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render = session.render
    job_id = arguments.job_id
    if arguments.resume and job_id is None:
        job_id = _resumable(arguments.checkpoint)
    plan = plan_of(arguments.file, session, job_id=job_id)
    if arguments.dry_run:
        render.data(json.dumps(plan.job, indent=None if render.as_json else 2))
        for definition in plan.definitions():
            render.data(json.dumps(definition, indent=None if render.as_json else 2))
        return Exit.OK
    render.words(plan.words())
    if not asking.agreed("submit?", yes=arguments.yes):
        render.words("nothing was sent")
        return Exit.OK
    result = submit(
        plan,
        session,
        Options(
            total=plan.count,
            workers=arguments.workers,
            checkpoint=arguments.checkpoint or CHECKPOINTS / f"{plan.job_id}.checkpoint",
            resume=arguments.resume,
            fingerprint=hashlib.blake2b(json.dumps(plan.job).encode(), digest_size=12).hexdigest(),
        ),
        again=f"python -m jobs submit {shlex.quote(str(arguments.file))} --resume --job-id {plan.job_id}",
    )
    if render.as_json:
        render.record({"job": plan.job_id, "added": result.accepted, "existed": result.existed, "failed": []})
    else:
        render.words(f"submitted {result.accepted} tasks as job {plan.job_id}")
    if not (arguments.watch or arguments.report):
        render.words(f"next: python -m jobs watch {plan.job_id}")
        return Exit.OK
    outcome = watch.follow(session, plan.job_id, timeout=arguments.timeout)
    if arguments.report:
        report.show(session, plan.job_id)
    return outcome


def submit(plan: Plan, session: Session, options: Options, *, again: str) -> Result:
    """Create the job, add the tasks, prove the count, then set `terminatejob`. Raises unless every task is in the job.

    A job that got no task at all is deleted again. `again` is the command that goes on after an early end.
    """
    batch = session.batch
    Checkpoint.check(options.checkpoint, job_id=plan.job_id, fingerprint=options.fingerprint, resume=options.resume)
    created = _create(plan, session, resume=options.resume)
    try:
        result = submit_tasks(batch, plan.job_id, plan.definitions(), options, lambda now: _progress(session, now))
    except UsageError:  # of the checkpoint or the way there: nothing was sent
        if created:
            _undo(plan, session, options)
        raise
    if result.complete:
        _end_when_done(plan, session)
        return result
    shown = [f"  {verdict.task_id}: {verdict.code}: {verdict.message}" for verdict in result.failures[:5]]
    if created and result.accepted == 0 and not _has_tasks(session, plan.job_id):
        _undo(plan, session, options)
        kept = f"{plan.count} of {plan.count} tasks were not accepted; the job was deleted again"
    else:
        kept = (
            f"{plan.count - result.accepted} of {plan.count} tasks were not accepted: {result.failed} refused, "
            f"{result.unsent} not sent" + (f" ({result.uncertain} of them perhaps)" if result.uncertain else "")
        )
        if isinstance(result.stopped, ServiceError) and _ended_by_rule(plan, result.stopped):
            kept += f". A task's `job_action` ended job {plan.job_id}: python -m jobs show {plan.job_id}"
        elif result.unsent or result.stopped:
            kept += f". Job {plan.job_id} has the {result.accepted} others and stays active. Go on with:\n  {again}"
        else:
            kept += f". Job {plan.job_id} has the others and goes on"
            _end_when_done(plan, session)
            if options.checkpoint is not None:
                options.checkpoint.unlink(missing_ok=True)
    if shown:
        kept += "\nThe first ones:\n" + "\n".join(shown)
    if result.accepted and (told := _left_waiting(plan, result)):
        kept += f"\n{told}"
    if result.stopped is not None:
        result.stopped.add_note(kept)
        raise result.stopped
    raise NotAllAdded(kept)


def _undo(plan: Plan, session: Session, options: Options) -> None:
    """Take back a job that we created and that got no task."""
    session.batch.delete_job(plan.job_id)
    if options.checkpoint is not None:
        options.checkpoint.unlink(missing_ok=True)


def _end_when_done(plan: Plan, session: Session) -> None:
    """Let the job end with its last task. A task's rule may have ended it already."""
    try:
        session.batch.end_when_done(plan.job_id)
    except Conflict as error:
        if not _ended_by_rule(plan, error):
            raise


def _ended_by_rule(plan: Plan, error: ServiceError) -> bool:
    return plan.file.acts_on_job and error.code in ("JobCompleted", "JobBeingTerminated")


def _left_waiting(plan: Plan, result: Result) -> str:
    """Which tasks wait for ever, because one that they depend on was refused. Only `result.failures` are known."""
    absent = {verdict.task_id.lower() for verdict in result.failures if verdict.status == "clienterror"}
    if not absent or not plan.file.uses_dependencies:
        return ""
    found: dict[str, str] = {}
    for definition in plan.definitions():
        task = TaskState.parse(definition)
        if task.id.lower() not in absent and (parent := task.parent_among(absent)):
            found[task.id] = parent
    if not found:
        return ""
    first = ", ".join(f"{task_id} (on {parent})" for task_id, parent in itertools.islice(found.items(), 5))
    return (
        f"{len(found)} tasks depend on refused ones and would wait for ever, and the job with them: {first}. "
        f"Correct the refused ones and submit the file under a new --job-id; end this one: "
        f"python -m jobs cancel {plan.job_id}"
    )


def _create(plan: Plan, session: Session, *, resume: bool) -> bool:
    """The job, on a pool that takes it. True: it was created now."""
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
        if error.code != "JobExists":
            raise
        if not resume:
            raise Conflict(
                f"job {plan.job_id} exists already. Submit under a new --job-id, or go on with --resume", error.code
            ) from error
        return False
    return True


def _resumable(checkpoint: Path | None) -> str:
    """The id of the job whose checkpoint is there, when there is one only."""
    found = sorted(CHECKPOINTS.glob("*.checkpoint")) if checkpoint is None else [checkpoint]
    if not found:
        raise UsageError(f"there is no checkpoint in {CHECKPOINTS}, so nothing to resume. Submit without --resume")
    if len(found) != 1:
        names = ", ".join(path.stem for path in found)
        raise UsageError(f"--resume needs to know which job: in {CHECKPOINTS} there are: {names}. Add --job-id")
    try:
        with found[0].open(encoding="utf-8") as stream:
            return json.loads(stream.readline())["job"]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{found[0]}: not a checkpoint: {error}. Add --job-id") from error


def _has_tasks(session: Session, job_id: str) -> bool:
    """An answer may have been lost, so the service is asked."""
    try:
        return next(iter(session.batch.tasks(job_id)), None) is not None
    except ServiceError:
        return True  # not known: then nothing is deleted


def _progress(session: Session, now: Progress) -> None:
    if now.total is not None and now.total >= SAID_FROM:
        left = "" if now.seconds_left is None else f", {now.seconds_left:.0f} s left"
        note = f" ({now.note})" if now.note else ""
        session.render.words(f"  {now.settled} of {now.total} settled, {now.rate:.0f}/s{left}{note}")
