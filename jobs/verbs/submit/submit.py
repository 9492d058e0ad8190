"""`submit FILE`: check everything, show the plan, ask, create the job, add every task, then let it end by itself.

Its arguments are in `submit_options.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ...errors import Conflict, JobsError, NotAllAdded, NotFound, ServiceError, UsageError
from ...exits import Exit, worst
from ...files.document import STDIN
from ...files.model.fields import ID
from ...plan.plan import Plan, plan_of
from ...plan.upload import put
from ...session import Session
from ...state import submitted
from ...submission import Options, Progress, Result, Stopped, submit_tasks
from ...submission.checkpoint import Checkpoint
from ...submission.chunk_source import ChunkSource
from ...submission.chunks import cut
from ...submission.job import FoundJob, JobCalls, contents, interruptible, passes
from ...submission.spool import SpooledIds
from ...terminal import asking
from ...terminal.display import Display
from ...terminal.wording import counted, remaining
from .. import notification
from ..look import watch
from ..output import report
from . import schedule

CHECKPOINTS: Final = Path(".jobs")  # where a submission writes down how far it is; removed when all is well
SAID_FROM: Final = 1000  # tasks from which progress is told
SHOWN: Final = 5  # refused tasks that are shown; all are in the file of failures
MOST_SAME: Final = 100  # submissions of one family in one second
ENDED: Final = ("completed", "terminating", "deleting")  # states in which a job takes no tasks


@dataclass(frozen=True)
class Outcome:
    """A submission that is complete. `already`: it was, before this one."""

    job_id: str
    result: Result
    already: bool = False


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render, display = session.render, Display(session.render)
    _check_together(arguments)
    each = [argparse.Namespace(**{**vars(arguments), "file": file}) for file in arguments.files]
    plans = [_checked(one, session, display) for one in each]  # all of them, before anything is sent
    if arguments.dry_run:
        for plan in plans:
            for definition in [plan.schedule] if plan.schedule else itertools.chain([plan.job], plan.definitions()):
                render.data(json.dumps(definition, indent=None if render.as_json else 2))
        return Exit.OK
    question = "submit?"
    for plan in plans:
        display.words(plan.words())
        if plan.own_id and (before := _submitted_before(plan, session)) is not None:
            told = (
                f"this input was submitted already, as job {before.job} "
                f"({counted(before.tasks, 'task')}, {before.at}); a new job runs all of it again"
            )
            display.words(told)
            question = "submit it again?"
    if (arguments.watch or arguments.report or arguments.resume) and any(plan.schedule for plan in plans):
        raise UsageError("a schedule makes its jobs later: --watch, --report and --resume are for files without one")
    if not asking.agreed(question, yes=arguments.yes):
        display.words("nothing was sent")
        return Exit.OK
    submitted_jobs = []
    for plan, one in zip(plans, each, strict=True):
        if plan.schedule is not None:
            schedule.submit(plan, session, display, arguments.patience)
        else:
            submitted_jobs.append(_submit(plan, one, session, display))
    if not (arguments.watch or arguments.report):
        for job_id in submitted_jobs:
            display.words(f"next: python -m jobs watch {job_id}")
        return Exit.OK
    ended = []
    for job_id in submitted_jobs:
        ended.append(watch.follow(session, job_id, timeout=arguments.timeout, notify=notification.of(arguments)))
        if arguments.report:
            report.show(session, job_id)
    return worst(ended)


def _check_together(arguments: argparse.Namespace) -> None:
    """Options that are of one submission. Raises `UsageError`."""
    if len(arguments.files) == 1:
        return
    if arguments.job_id or arguments.resume or arguments.checkpoint:
        raise UsageError("--job-id, --resume and --checkpoint are of one job. Submit the files one after the other")
    if arguments.files.count(STDIN) > 1:
        raise UsageError("stdin can be read once. Give - once")


def _checked(arguments: argparse.Namespace, session: Session, display: Display) -> Plan:
    job_id = arguments.job_id
    if arguments.resume and job_id is None:
        job_id = submitted.resumable(arguments.checkpoint, CHECKPOINTS)
    return plan_of(arguments.file, session, job_id=job_id, progress=display.progress)


def _submit(plan: Plan, arguments: argparse.Namespace, session: Session, display: Display) -> str:
    """Submit one plan; the id of its job."""
    outcome = _submit_under_a_free_id(plan, arguments, session, display)
    tasks = counted(outcome.result.accepted, "task")
    if outcome.already:
        display.words(f"already submitted, complete: job {outcome.job_id} has all {tasks}")
    else:
        display.words(f"submitted {tasks} as job {outcome.job_id}")
    return outcome.job_id


def _submit_under_a_free_id(plan: Plan, arguments: argparse.Namespace, session: Session, display: Display) -> Outcome:
    """An id made of the time may be taken by a submission of the same second: then the next one is tried."""
    first = plan.job_id
    for number in range(2, MOST_SAME):
        try:
            return Submission(plan, arguments, session, display).run()
        except IdTaken:
            following = f"{first}-{number}"
            if not ID.fullmatch(following):
                raise
            plan.spool.close()
            # Read and checked anew, under its new id.
            plan = replace(plan_of(arguments.file, session, job_id=following), own_id=True)
            display.words(f"job {first} was made by another submission just now; this one is job {following}")
    raise IdTaken(f"jobs {first} to {first}-{MOST_SAME - 1} exist. Submit under a --job-id")


class IdTaken(Conflict):
    """Another submission has the id that the time gave."""


class Submission:
    """One submission of a plan: the job and its tasks, and what is written down of it on this machine."""

    def __init__(self, plan: Plan, arguments: argparse.Namespace, session: Session, display: Display) -> None:
        self.plan = plan
        self.session = session
        self.display = display
        self.resume: bool = arguments.resume
        self.patience: float = arguments.patience
        self.workers: int = arguments.workers
        self.path: Path = arguments.checkpoint or CHECKPOINTS / f"{plan.job_id}.checkpoint"
        self.failures = self.path.with_name(f"{self.path.name.removesuffix('.checkpoint')}.failures.jsonl")
        self._asked_for_job = False
        self.calls = JobCalls(session.batch, session.clock, self.patience, display.progress)
        named = f" --checkpoint {shlex.quote(str(arguments.checkpoint))}" if arguments.checkpoint else ""
        self.again = f"python -m jobs submit {shlex.quote(str(arguments.file))} --resume --job-id {plan.job_id}{named}"
        settings = json.dumps([plan.job, session.connection.batch_endpoint])
        self.fingerprint = hashlib.blake2b(settings.encode(), digest_size=12).hexdigest()

    def run(self) -> Outcome:
        """Make the job, add the tasks, prove that they are there, set `terminatejob`. Raises unless all of it is done.

        A job that was made now and got no task at all is deleted again.
        """
        with interruptible():
            checkpoint = self._checkpoint()
            try:
                return self._run(checkpoint)
            except KeyboardInterrupt as error:
                stopped = Stopped(signal.Signals[str(error) or "SIGINT"])
                stopped.add_note(f"Job {self.plan.job_id} may have been made. Go on with:\n  {self.again}")
                raise stopped from error
            finally:
                checkpoint.close()

    def _run(self, checkpoint: Checkpoint) -> Outcome:
        plan = self.plan
        if self.resume:
            self._check_input(checkpoint)
        try:
            found, created = self._job(checkpoint)
            looked_into = found is not None and not created and (not self.resume or found.state in ENDED)
            complete = self._complete_already(found) if found is not None and looked_into else None
        except ServiceError as error:
            self._not_begun(checkpoint, error)
            raise
        if complete is not None and found is not None:
            if not found.ends_by_itself and found.state not in ENDED:
                self._let_end()
            self._forget(checkpoint)
            self._record(complete.result)
            return complete
        if found is not None:
            checkpoint.saw_job(found.created)
        given = Options(
            total=plan.count,
            workers=self.workers,
            checkpoint=checkpoint,
            resume=self.resume,
            patience=self.patience,
        )
        result = submit_tasks(self.session.batch, plan.job_id, plan.spool, given, self._progress)
        self._keep_failures(result)
        if not result.complete:
            self._record(result)
            self._incomplete(result, checkpoint, created)
        self._let_end()
        self._forget(checkpoint)
        self._record(result)
        return Outcome(plan.job_id, result)

    def _not_begun(self, checkpoint: Checkpoint, error: ServiceError) -> None:
        """No task was sent. What is known of the job is kept only when it may have been made."""
        if self.resume:
            return
        if self._asked_for_job and passes(error):
            error.add_note(f"Job {self.plan.job_id} may have been made. Go on with:\n  {self.again}")
        else:
            checkpoint.close(remove=True)

    def _checkpoint(self) -> Checkpoint:
        job_id, plan = self.plan.job_id, self.plan
        if self.resume:
            return Checkpoint.resume(self.path, job_id=job_id, fingerprint=self.fingerprint)
        if plan.own_id and self.path == CHECKPOINTS / f"{job_id}.checkpoint" and self.path.exists():
            raise IdTaken(f"a submission of job {job_id} was begun")
        return Checkpoint.start(
            self.path, job_id=job_id, fingerprint=self.fingerprint, tasks=plan.count, digest=plan.spool.digest
        )

    def _check_input(self, checkpoint: Checkpoint) -> None:
        """The input is what it was when the submission began. Raises `UsageError`."""
        plan = self.plan
        if checkpoint.digest in ("", plan.spool.digest):
            return
        settled = sum(checkpoint.sent[seq][0] for seq in checkpoint.done & checkpoint.sent.keys())
        accepted = settled - len(checkpoint.failures)
        try:
            source = ChunkSource(cut(plan.spool, SpooledIds(plan.spool)), checkpoint)
            for _ in source.sent_before():
                pass
            raise UsageError(
                f"the input is not what it was: {checkpoint.tasks} tasks then, {plan.count} now, and those that were "
                "not sent yet differ. Resume with the file as it was, or submit under another --job-id"
            )
        except UsageError as error:
            error.add_note(
                f"Nothing was sent now. Job {plan.job_id} has at least {accepted} of the {checkpoint.tasks} tasks "
                "that were submitted"
            )
            raise

    def _job(self, checkpoint: Checkpoint) -> tuple[FoundJob | None, bool]:
        """The job (None: the service does not show it), and whether it was made now. Raises `ServiceError`."""
        plan, calls = self.plan, self.calls
        calls.check_pool(plan.job["poolInfo"]["poolId"])
        self._upload(checkpoint)
        found = None if plan.own_id else calls.find(plan.job_id)
        if found is None:
            if checkpoint.job_created:
                raise NotFound(
                    f"job {plan.job_id}, made {checkpoint.job_created}, is gone: it was deleted, and its tasks with it."
                    " Submit the file under another --job-id",
                    "JobNotFound",
                )
            try:
                self._asked_for_job = True
                return calls.create(plan.job, checkpoint.identity), True
            except Conflict as error:
                if error.code != "JobExists":
                    raise
                if plan.own_id:
                    raise IdTaken(str(error), error.code) from error
                found = calls.find(plan.job_id)
                if found is None:
                    if self.resume:  # it is there, and cannot be looked at
                        return None, False
                    raise Conflict(
                        f"job {plan.job_id} exists already. Submit under a new --job-id, or go on with --resume",
                        error.code,
                    ) from error
        self._check_job(found, checkpoint)
        return found, False

    def _upload(self, checkpoint: Checkpoint) -> None:
        """Put the inputs into the container, before there is a job whose tasks would want them."""
        if not self.plan.uploads.files:
            return
        try:
            put(self.session.blobs, self.plan.uploads, self.display)
        except JobsError as error:
            if not self.resume:
                checkpoint.close(remove=True)
            error.add_note("No job was made")
            raise

    def _check_job(self, found: FoundJob, checkpoint: Checkpoint) -> None:
        """A job that is there is the one that the submission began with, and has the file's settings."""
        job_id = self.plan.job_id
        if checkpoint.job_created and found.created and checkpoint.job_created != found.created:
            raise Conflict(
                f"job {job_id} is not the one that this submission began with: it was made {found.created}, that one "
                f"{checkpoint.job_created}, so it was deleted and made again. Submit under another --job-id",
                "JobExists",
            )
        if found.state == "deleting":
            raise Conflict(f"job {job_id} is being deleted. Submit under another --job-id", "JobBeingDeleted")
        if place := found.differs(self.plan.job):
            raise Conflict(
                f"job {job_id} exists, and its {place} is not what the file says. Submit under another --job-id",
                "JobExists",
            )

    def _complete_already(self, found: FoundJob) -> Outcome | None:
        """The job has all tasks of the input: then nothing is left to do. None: it can be filled."""
        plan = self.plan
        has = contents(self.session.batch, plan.job_id, plan.spool, Options(patience=self.patience))
        if has.different or has.others:
            what = has.different or f"{has.others} tasks of it are not in the file"
            raise Conflict(
                f"job {plan.job_id} exists, and has other tasks: {what}. Submit under another --job-id", "JobExists"
            )
        if not has.absent:
            return Outcome(plan.job_id, Result(accepted=has.present, existed=has.present, proved=True), already=True)
        if found.state in ENDED:
            raise Conflict(
                f"job {plan.job_id} is {found.state}, so it takes no tasks any more. It has {has.present} of the "
                f"{plan.count} tasks; submit the file under another --job-id to run all of them",
                "JobCompleted",
            )
        return None

    def _let_end(self) -> None:
        """Let the job end with its last task. A task's rule may have ended it already."""
        plan = self.plan
        try:
            self.calls.let_end(plan.job_id)
        except ServiceError as error:
            if _ended_by_rule(plan, error):
                return
            error.add_note(
                f"All tasks are in job {plan.job_id}, but it does not end by itself yet. Go on with:\n  {self.again}"
            )
            raise

    def _incomplete(self, result: Result, checkpoint: Checkpoint, created: bool) -> None:
        """Say where every task is, and raise."""
        plan = self.plan
        stopped = isinstance(result.stopped, Stopped)
        if created and not result.accepted and not stopped and not _has_tasks(self.session, plan.job_id):
            kept = self._undo(checkpoint)
        else:
            kept = (
                f"{plan.count - result.accepted} of {plan.count} tasks were not accepted: {result.failed} refused, "
                f"{result.unsent} not sent" + (f" ({result.uncertain} of them perhaps)" if result.uncertain else "")
            )
            if isinstance(result.stopped, ServiceError) and _ended_by_rule(plan, result.stopped):
                kept += f". A task's `job_action` ended job {plan.job_id}: python -m jobs show {plan.job_id}"
            elif result.unsent or result.stopped:
                kept += f". {self._state_of_job(result)}. Go on with:\n  {self.again}"
            else:
                self._let_end()
                kept += f". Job {plan.job_id} has the others and goes on"
                if self.failures.exists():
                    self._forget(checkpoint)
        if result.failures:
            shown = [f"  {one.task_id}: {one.code}: {one.message}" for one in result.failures[:SHOWN]]
            kept += "\nThe first ones:\n" + "\n".join(shown)
            if self.failures.exists():
                kept += f"\nAll {len(result.failures)} of them: {self.failures}"
        if result.accepted and (
            told := plan.left_waiting({one.task_id.lower() for one in result.failures if one.status == "clienterror"})
        ):
            kept += f"\n{told}"
        if checkpoint.fault is not None:
            kept += (
                f"\n{self.path} lacks the last lines ({checkpoint.fault.strerror}): free space before going on. What "
                "they said is found out from the service"
            )
        if result.stopped is not None:
            result.stopped.add_note(kept)
            raise result.stopped
        raise NotAllAdded(kept)

    def _state_of_job(self, result: Result) -> str:
        """What became of the job, as far as the reason of the end tells."""
        code = result.stopped.code if isinstance(result.stopped, ServiceError) else ""
        job_id = self.plan.job_id
        if code in ("JobNotFound", "JobBeingDeleted"):
            return f"Job {job_id}, which had {result.accepted}, is not there any more. If it is again"
        if code in ("JobCompleted", "JobBeingTerminated"):
            return f"Job {job_id} has the {result.accepted} others and takes no more. If that changes"
        return f"Job {job_id} has the {result.accepted} others and stays active"

    def _undo(self, checkpoint: Checkpoint) -> str:
        """Take back a job that was made now and that got no task."""
        plan = self.plan
        kept = f"{plan.count} of {plan.count} tasks were not accepted"
        try:
            self.session.batch.delete_job(plan.job_id)
        except ServiceError as error:
            return f"{kept}. Job {plan.job_id} is empty and could not be deleted: {error}. Go on with:\n  {self.again}"
        checkpoint.close(remove=True)
        return f"{kept}; the job was deleted again"

    def _keep_failures(self, result: Result) -> None:
        """Every task that has no good verdict: id, code, message and where it stands in the input, one a line."""
        try:
            if not result.failures:
                self.failures.unlink(missing_ok=True)
                return
            part = self.failures.with_name(f"{self.failures.name}.part")
            with part.open("w", encoding="utf-8") as stream:
                stream.writelines(f"{json.dumps(one, ensure_ascii=False)}\n" for one in self._failures(result))
            part.replace(self.failures)
        except OSError as error:
            self.display.words(f"{self.failures} cannot be written: {error.strerror}. The refused tasks are these:")
            for one in itertools.islice(self._failures(result), SAID_FROM):
                self.display.words(f"  {one['id']}: {one['code']}: {one['message']} ({one['line']})")

    def _failures(self, result: Result) -> Iterator[dict[str, str]]:
        places = self.plan.spool.places({one.task_id.lower() for one in result.failures}) if result.failures else {}
        for one in result.failures:
            line = places.get(one.task_id.lower(), "")
            yield {"id": one.task_id, "code": one.code, "message": one.message, "line": line}

    def _record(self, result: Result) -> None:
        """With --json: the job, the counts and every refused task."""
        if not self.session.render.as_json:
            return
        value: dict[str, Any] = {"job": self.plan.job_id, "added": result.accepted, "existed": result.existed}
        if result.unsent:
            value["unsent"] = result.unsent
        self.session.render.record(value | {"failed": list(self._failures(result))})

    def _forget(self, checkpoint: Checkpoint) -> None:
        """Everything is proved and set: the checkpoint goes, and what was submitted is remembered."""
        plan = self.plan
        checkpoint.close(remove=True)
        if checkpoint.fault is not None:
            self.display.words(
                f"{self.path}: the checkpoint cannot be removed: {checkpoint.fault.strerror}. It is not needed any "
                "more: delete it when the disk can be written again"
            )
        submitted.note(_input_key(plan, self.session), plan.job_id, plan.count, self.session.clock.now())

    def _progress(self, now: Progress) -> None:
        if now.total is not None and now.total >= SAID_FROM:
            left = f", {told}" if (told := remaining(now.seconds_left)) else ""
            note = f" ({now.note})" if now.note else ""
            self.display.progress(f"  {now.settled} of {now.total} settled, {now.rate:.0f}/s{left}{note}")


def _input_key(plan: Plan, session: Session) -> str:
    return submitted.input_of(plan.job, plan.spool.digest, session.connection.batch_endpoint)


def _submitted_before(plan: Plan, session: Session) -> submitted.Submitted | None:
    return submitted.latest(_input_key(plan, session))


def _ended_by_rule(plan: Plan, error: ServiceError) -> bool:
    return plan.file.acts_on_job and error.code in ("JobCompleted", "JobBeingTerminated")


def _has_tasks(session: Session, job_id: str) -> bool:
    """An answer may have been lost, so the service is asked."""
    try:
        return next(iter(session.batch.tasks(job_id)), None) is not None
    except ServiceError:
        return True  # not known: then nothing is deleted
