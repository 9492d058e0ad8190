"""One submission of a plan, step by step: the job, its inputs, every task exactly once, and its end.

What was begun and did not end is in a checkpoint on this machine; `refused.py` keeps the tasks that were refused.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...errors import Conflict, JobsError, NotAllAdded, NotFound, ServiceError, UsageError
from ...plan.plan import Plan
from ...plan.upload import put
from ...session import Session
from ...state import submitted
from ...submission import Options, Progress, Result, Stopped, submit_tasks
from ...submission.checkpoint import Checkpoint
from ...submission.chunk_source import ChunkSource
from ...submission.chunks import cut
from ...submission.job import FoundJob, JobCalls, contents, interruptible, passes
from ...submission.spool import SpooledIds
from ...terminal.display import Display
from ...terminal.wording import remaining
from .refused import RefusedTasks

CHECKPOINTS: Final = Path(".jobs")  # where a submission writes down how far it is; removed when all is well
PROGRESS_FROM: Final = 1000  # tasks from which progress is shown
ENDED: Final = ("completed", "terminating", "deleting")  # states in which a job takes no tasks


@dataclass(frozen=True)
class Outcome:
    """A submission that is complete. `already`: it was, before this one."""

    job_id: str
    result: Result
    already: bool = False


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
        failures = self.path.with_name(f"{self.path.name.removesuffix('.checkpoint')}.failures.jsonl")
        self.refused = RefusedTasks(failures, plan.spool, display)
        self._asked_for_job = False
        self.calls = JobCalls(session.batch, session.clock, self.patience, display.progress)
        named = f" --checkpoint {shlex.quote(str(arguments.checkpoint))}" if arguments.checkpoint else ""
        command = f"python -m jobs submit {shlex.quote(str(arguments.file))} --resume --job-id {plan.job_id}{named}"
        self.go_on = f"Go on with:\n  {command}"
        settings = json.dumps([plan.job, session.connection.batch_endpoint])
        self.fingerprint = hashlib.blake2b(settings.encode(), digest_size=12).hexdigest()

    def run(self) -> Outcome:
        """Make the job, add the tasks, prove that they are there, set `terminatejob`. Raises unless all of it is done.

        A job that was made now and got no task at all is deleted again.
        """
        with interruptible():
            checkpoint = self._checkpoint()
            try:
                return self._steps(checkpoint)
            except KeyboardInterrupt as error:
                stopped = Stopped(signal.Signals[str(error) or "SIGINT"])
                stopped.add_note(f"Job {self.plan.job_id} may have been made. {self.go_on}")
                raise stopped from error
            finally:
                checkpoint.close()

    def _steps(self, checkpoint: Checkpoint) -> Outcome:
        """The job, its tasks, and its end, one after the other."""
        if self.resume:
            self._check_input(checkpoint)
        try:
            found, created = self._job(checkpoint)
            complete = self._complete_already(found, created)
        except ServiceError as error:
            self._not_begun(checkpoint, error)
            raise
        if complete is not None and found is not None:
            if not found.ends_by_itself and found.state not in ENDED:
                self._let_end()
            return self._done(checkpoint, complete)
        if found is not None:
            checkpoint.saw_job(found.created)
        result = self._add_tasks(checkpoint)
        self.refused.write(result)
        if not result.complete:
            self._record(result)
            raise self._incomplete(result, checkpoint, created)
        self._let_end()
        return self._done(checkpoint, Outcome(self.plan.job_id, result))

    def _add_tasks(self, checkpoint: Checkpoint) -> Result:
        options = Options(
            total=self.plan.count,
            workers=self.workers,
            checkpoint=checkpoint,
            resume=self.resume,
            patience=self.patience,
        )
        return submit_tasks(self.session.batch, self.plan.job_id, self.plan.spool, options, self._progress)

    def _done(self, checkpoint: Checkpoint, outcome: Outcome) -> Outcome:
        self._forget(checkpoint)
        self._record(outcome.result)
        return outcome

    def _not_begun(self, checkpoint: Checkpoint, error: ServiceError) -> None:
        """No task was sent. What is known of the job is kept only when it may have been made."""
        if self.resume:
            return
        if self._asked_for_job and passes(error):
            error.add_note(f"Job {self.plan.job_id} may have been made. {self.go_on}")
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
                f"the input is not what it was: {checkpoint.tasks} tasks then, {plan.count} now, and those that "
                "were not sent yet differ",
                next_step="resume with the file as it was, or submit under another --job-id",
            )
        except UsageError as error:
            error.add_note(
                f"Nothing was sent now. Job {plan.job_id} has at least {accepted} of the {checkpoint.tasks} tasks "
                "that were submitted"
            )
            raise

    def _job(self, checkpoint: Checkpoint) -> tuple[FoundJob | None, bool]:
        """The job (None: the service does not show it), and whether it was made now. Raises `ServiceError`."""
        plan = self.plan
        self.calls.check_pool(plan.job["poolInfo"]["poolId"])
        self._upload(checkpoint)
        found = None if plan.own_id else self.calls.find(plan.job_id)
        if found is not None:
            self._check_job(found, checkpoint)
            return found, False
        if checkpoint.job_created:
            raise NotFound(
                f"job {plan.job_id}, made {checkpoint.job_created}, is gone: it was deleted, and its tasks with it",
                next_step="submit the file under another --job-id",
                code="JobNotFound",
            )
        self._asked_for_job = True
        try:
            return self.calls.create(plan.job, checkpoint.identity), True
        except Conflict as error:
            if error.code != "JobExists":
                raise
            found = self._existing_job(error)
        if found is not None:
            self._check_job(found, checkpoint)
        return found, False

    def _existing_job(self, error: Conflict) -> FoundJob | None:
        """The job whose id was taken when it was to be made; None when it cannot be looked at, on a resume."""
        plan = self.plan
        if plan.own_id:
            raise IdTaken(error.fact, code=error.code) from error
        found = self.calls.find(plan.job_id)
        if found is None and not self.resume:
            raise Conflict(
                f"job {plan.job_id} exists already",
                next_step="submit under a new --job-id, or go on with --resume",
                code=error.code,
            ) from error
        return found

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
                f"job {job_id} is not the one that this submission began with: it was made {found.created}, that "
                f"one {checkpoint.job_created}, so it was deleted and made again",
                next_step="submit under another --job-id",
                code="JobExists",
            )
        if found.state == "deleting":
            raise Conflict(
                f"job {job_id} is being deleted", next_step="submit under another --job-id", code="JobBeingDeleted"
            )
        if place := found.differs(self.plan.job):
            raise Conflict(
                f"job {job_id} exists, and its {place} is not what the file says",
                next_step="submit under another --job-id",
                code="JobExists",
            )

    def _complete_already(self, found: FoundJob | None, created: bool) -> Outcome | None:
        """The outcome when the job has all tasks of the input, so that nothing is left to do; None: it can be filled.

        A job that takes tasks is not looked into on a resume: its checkpoint knows what it has.
        """
        if found is None or created or (self.resume and found.state not in ENDED):
            return None
        plan = self.plan
        has = contents(self.session.batch, plan.job_id, plan.spool, Options(patience=self.patience))
        if has.different or has.others:
            what = has.different or f"{has.others} tasks of it are not in the file"
            raise Conflict(
                f"job {plan.job_id} exists, and has other tasks: {what}",
                next_step="submit under another --job-id",
                code="JobExists",
            )
        if not has.absent:
            return Outcome(plan.job_id, Result(accepted=has.present, existed=has.present, proved=True), already=True)
        if found.state in ENDED:
            raise Conflict(
                f"job {plan.job_id} is {found.state}, so it takes no tasks any more; it has {has.present} of the "
                f"{plan.count} tasks",
                next_step="submit the file under another --job-id to run all of them",
                code="JobCompleted",
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
            error.add_note(f"All tasks are in job {plan.job_id}, but it does not end by itself yet. {self.go_on}")
            raise

    def _incomplete(self, result: Result, checkpoint: Checkpoint, created: bool) -> Exception:
        """The error that says where every task is."""
        lines = [self._where_the_tasks_are(result, checkpoint, created), *self.refused.lines(result)]
        if result.accepted:
            refused_ids = {one.task_id.lower() for one in result.failures if one.status == "clienterror"}
            lines += filter(None, [self.plan.left_waiting(refused_ids)])
        if checkpoint.fault is not None:
            lines.append(
                f"{self.path} lacks the last lines ({checkpoint.fault.strerror}): free space before going on. What "
                "they said is found out from the service"
            )
        text = "\n".join(lines)
        if result.stopped is None:
            return NotAllAdded(text)
        result.stopped.add_note(text)
        return result.stopped

    def _where_the_tasks_are(self, result: Result, checkpoint: Checkpoint, created: bool) -> str:
        """Where they are, and how to go on. A job that was made now and got no task is taken back."""
        plan = self.plan
        stopped = isinstance(result.stopped, Stopped)
        if created and not result.accepted and not stopped and not _has_tasks(self.session, plan.job_id):
            return self._undo(checkpoint)
        counts = (
            f"{plan.count - result.accepted} of {plan.count} tasks were not accepted: {result.failed} refused, "
            f"{result.unsent} not sent"
        )
        if result.uncertain:
            counts += f" ({result.uncertain} of them perhaps)"
        if isinstance(result.stopped, ServiceError) and _ended_by_rule(plan, result.stopped):
            return f"{counts}. A task's `job_action` ended job {plan.job_id}: python -m jobs show {plan.job_id}"
        if result.unsent or result.stopped:
            return f"{counts}. {self._state_of_job(result)}. {self.go_on}"
        self._let_end()
        if self.refused.path.exists():
            self._forget(checkpoint)
        return f"{counts}. Job {plan.job_id} has the others and goes on"

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
            return f"{kept}. Job {plan.job_id} is empty and could not be deleted: {error.fact}. {self.go_on}"
        checkpoint.close(remove=True)
        return f"{kept}; the job was deleted again"

    def _record(self, result: Result) -> None:
        """With --json: the job, the counts and every refused task."""
        if not self.session.render.as_json:
            return
        value: dict[str, Any] = {"job": self.plan.job_id, "added": result.accepted, "existed": result.existed}
        if result.unsent:
            value["unsent"] = result.unsent
        self.session.render.record(value | {"failed": list(self.refused.each(result))})

    def _forget(self, checkpoint: Checkpoint) -> None:
        """Everything is proved and set: the checkpoint goes, and what was submitted is remembered."""
        plan = self.plan
        checkpoint.close(remove=True)
        if checkpoint.fault is not None:
            self.display.words(
                f"{self.path}: the checkpoint cannot be removed: {checkpoint.fault.strerror}. It is not needed any "
                "more: delete it when the disk can be written again"
            )
        submitted.note(input_key(plan, self.session), plan.job_id, plan.count, self.session.clock.now())

    def _progress(self, now: Progress) -> None:
        if now.total is not None and now.total >= PROGRESS_FROM:
            left = f", {told}" if (told := remaining(now.seconds_left)) else ""
            note = f" ({now.note})" if now.note else ""
            self.display.progress(f"  {now.settled} of {now.total} settled, {now.rate:.0f}/s{left}{note}")


def input_key(plan: Plan, session: Session) -> str:
    return submitted.input_of(plan.job, plan.spool.digest, session.connection.batch_endpoint)


def _ended_by_rule(plan: Plan, error: ServiceError) -> bool:
    return plan.file.acts_on_job and error.code in ("JobCompleted", "JobBeingTerminated")


def _has_tasks(session: Session, job_id: str) -> bool:
    """An answer may have been lost, so the service is asked."""
    try:
        return next(iter(session.batch.tasks(job_id)), None) is not None
    except ServiceError:
        return True  # not known: then nothing is deleted
