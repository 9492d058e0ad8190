"""Jobs go to another pool: each is disabled, given the new pool, and enabled again (Batch's rule: only a disabled job's
pool can be changed).

How far a move is stands in the job itself: its state, its pool, and an item of its metadata that names the pool it
leaves, set before the job is disabled and removed after it is enabled. So a move that was cut off is gone on with by
the same command, from any machine; and a job that somebody else had disabled is moved but stays disabled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from ...errors import Conflict, GaveUpWaiting, NotFound
from ...service.batch import LEAVING, OVER, JobState, Running
from ...session import Session
from ...terminal.wording import counted

PAUSE: Final = 2.0  # seconds between two looks
UNDER_WAY: Final = ("active", "disabling", "disabled", "enabling")


class Step(Enum):
    """What a job needs next on its way to a pool."""

    MARK = "mark"
    DISABLE = "disable"
    WAIT = "wait"
    POINT = "point"
    ENABLE = "enable"
    UNMARK = "unmark"
    DONE = "done"
    GONE = "gone"  # it ended, or is being deleted


def going_on(session: Session, ids: Iterable[str]) -> list[JobState]:
    """The jobs of these ids, each once: all of them exist and go on, or it raises and nothing is done."""
    found = [session.batch.job(job_id) for job_id in dict.fromkeys(ids)]
    if over := [f"{job.id} is {job.state}" for job in found if job.state in OVER]:
        raise Conflict(f"job {', '.join(over)}: it runs nothing any more", next_step="name jobs that go on")
    return found


def next_step(job: JobState, target: str) -> Step:
    """By its state, its pool and its mark. Pool ids compare without case."""
    if job.state in OVER:
        return Step.GONE
    if job.pool_id.lower() == target.lower():
        if not job.leaving:
            return Step.DONE
        return {"disabled": Step.ENABLE, "disabling": Step.WAIT}.get(job.state, Step.UNMARK)
    if job.state == "active":
        return Step.DISABLE if job.leaving else Step.MARK
    return Step.POINT if job.state == "disabled" else Step.WAIT


@dataclass
class Mover:
    """Moves jobs to one pool; `deadline` on the session's monotonic clock."""

    session: Session
    target: str
    running: Running
    deadline: float | None = None
    moved: list[str] = field(default_factory=list)

    def move(self, find: Callable[[], Iterable[JobState]]) -> None:
        """Until `find` gives no job that has steps left. Raises GaveUpWaiting."""
        said = ""
        while True:
            waiting = [job.id for job in find() if not self._advance(job)]
            if not waiting:
                return
            if (words := _waiting(waiting, self.running)) != said:
                self.session.render.words(words)
                said = words
            left = f"{len(waiting)} jobs are not moved yet ({', '.join(waiting[:3])})"
            pause(self.session, self.deadline, left)

    def _advance(self, job: JobState) -> bool:
        """Take its steps until it must be waited for; whether it needs no more."""
        batch, source = self.session.batch, job.leaving or job.pool_id
        while True:
            step = next_step(job, self.target)
            if step in (Step.DONE, Step.GONE):
                self._tell(job, source, step)
                return True
            if step is Step.WAIT:
                return False
            try:
                self._take(job, step)
                job = batch.job(job.id)
            except NotFound as error:
                if error.code not in ("JobNotFound", ""):
                    raise
                return True  # deleted meanwhile
            except Conflict:
                now = batch.job(job.id)
                if now.state == job.state:
                    raise
                job = now  # it ended, or somebody else was faster

    def _take(self, job: JobState, step: Step) -> None:
        batch = self.session.batch
        match step:
            case Step.MARK:
                batch.mark_job(job.id, LEAVING, job.pool_id)
            case Step.DISABLE:
                batch.disable_job(job.id, self.running)
            case Step.POINT:
                batch.move_job(job.id, self.target)
            case Step.ENABLE:
                batch.enable_job(job.id)
            case Step.UNMARK:
                batch.mark_job(job.id, LEAVING, "")

    def _tell(self, job: JobState, source: str, step: Step) -> None:
        render = self.session.render
        if step is Step.GONE:
            render.words(f"job {job.id} is {job.state}: it needs no pool any more")
            return
        self.moved.append(job.id)
        if render.as_json:
            render.record({"job": job.id, "from": source, "to": self.target, "state": job.state})
        kept = "; it stays disabled, as it was" if job.state == "disabled" else ""
        render.words(f"job {job.id} is on pool {self.target} now{kept}")


def deadline(session: Session, timeout: float | None) -> float | None:
    """When a wait of so many seconds is over."""
    return None if timeout is None else session.clock.monotonic() + timeout


def pause(session: Session, until: float | None, left: str) -> None:
    """Wait a little for what is left. Raises GaveUpWaiting when the time is over."""
    if until is not None and session.clock.monotonic() >= until:
        raise GaveUpWaiting(f"the time is over: {left}", next_step="the same command goes on where this one stopped")
    session.clock.sleep(PAUSE)


def _waiting(jobs: list[str], running: Running) -> str:
    shown = ", ".join(jobs[:3]) + (", ..." if len(jobs) > 3 else "")
    what = {"wait": "end", "requeue": "go back to the queue", "terminate": "be ended"}[running]
    return f"waiting for the running tasks of {counted(len(jobs), 'job')} to {what}: {shown}"
