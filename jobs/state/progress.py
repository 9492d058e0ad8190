"""What a job's tasks do, asked for so that the cost of a look does not grow with the job.

Up to `SMALL` tasks every task is known, and after the first look only those whose state changed since are read. Above
that a look reads the job, its counts, and when the count of failures rose one page of the failures since the last look.

A look reads the job before its tasks: a job that is over has tasks that do not change any more, so what is read after
it is final, and the last look reads every task again. The other way round a task could end, and its job with it,
between the two reads, and would be told as one that never did. A list of tasks is no picture of one moment either: a
task that was listed early can change before one that was listed late. So the next look asks from the last change that
the look before the latest one saw: what is earlier, the latest one has read.
The counts lag behind on the real service (by minutes), so the end is judged by the job's state and by what one page
of failed and of unended tasks says, never by the counts alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ..clock import Clock
from ..service.batch import Batch, Counts, JobState, TaskState
from ..terminal import wording
from . import failure_texts

SMALL: Final = 200  # tasks up to which each change is told
MOST_FAILURES: Final = 50  # a look tells at most so many
LARGE_PAUSE: Final = 2.0  # seconds between two looks at a large job
WINDOW: Final = 60.0  # seconds over which the rate is taken
SKEW: Final = timedelta(seconds=30)  # by which our clock and the service's may differ


@dataclass
class Look:
    """What one look found. `changed`: tasks whose state is new; `counted`: the counts are."""

    job: JobState
    counts: Counts
    large: bool
    changed: list[TaskState]
    states: dict[str, TaskState]
    over: bool
    counted: bool = False
    quiet: bool = False
    reason: str = ""  # when it is quiet, why
    rate: float = 0.0  # tasks a second that complete

    @property
    def left(self) -> int:
        return self.counts.active + self.counts.running

    def summary(self) -> str:
        counts = self.counts
        return (
            f"{counts.active} waiting, {counts.running} running, {counts.succeeded} succeeded, {counts.failed} failed"
        )

    def pace(self) -> str:
        """Rate and time left, when there is a rate."""
        if not self.rate or not self.left:
            return ""
        left = wording.remaining(self.left / self.rate)
        return f"; {self.rate:.1f} a second" + (f", {left}" if left else "")


@dataclass(frozen=True)
class Ending:
    succeeded: int
    failed: int
    unended: int
    first_failed: TaskState | None


@dataclass
class Progress:
    """Looks at one job again and again."""

    batch: Batch
    job_id: str
    clock: Clock
    _states: dict[str, TaskState] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _since: datetime | None = None  # changes from here on may not have been read
    _latest: datetime | None = None  # the last change that was read
    _large: bool = False
    _counts: Counts | None = None
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def look(self) -> Look:
        """The job first: once it is over, what is read after it is final."""
        job = self.batch.job(self.job_id)
        counts = self.batch.counts(self.job_id)
        before, self._counts = self._counts, counts
        self._large = self._large or counts.total > SMALL
        some = self._since is not None  # not all tasks are asked for
        changed = self._failures(before, counts) if self._large else self._changes()
        if not self._large:
            if some and self._is_over(job, _count(self._states)):
                self._since = None
                changed += self._changes()
            counts = _count(self._states)  # these do not lag
        return Look(
            job=job,
            counts=counts,
            large=self._large,
            changed=changed,
            states=self._states,
            over=self._is_over(job, counts),
            counted=before is not None and before != self._counts,
            rate=self._rate(counts.completed),
        )

    def _changes(self) -> list[TaskState]:
        """Of a small job: the tasks that are new, or not in the state in which they were read before."""
        changed, seen = [], self._latest
        for task in self.batch.tasks(self.job_id, self._since):
            before = self._states.get(task.id)
            self._states[task.id] = task
            if before is None or _phase(before) != _phase(task):
                changed.append(task)
            if task.changed is not None:
                self._latest = max(self._latest, task.changed) if self._latest else task.changed
        self._since = seen - SKEW if seen else None
        return changed

    def _failures(self, before: Counts | None, counts: Counts) -> list[TaskState]:
        """Failures not told yet; asked for only when there are more than before."""
        if counts.failed <= (before.failed if before else 0):
            return []
        since = self._latest
        self._latest = self.clock.now() - SKEW
        found = self.batch.some_tasks(self.job_id, "failed", MOST_FAILURES, since)
        new = [task for task in found if task.id not in self._told]
        self._told = {task.id for task in found}  # all a later answer can repeat: bounded, too
        return new

    def _is_over(self, job: JobState, counts: Counts) -> bool:
        """A job that ends by itself is over when the service says so; any other once all its tasks completed."""
        if job.state in ("completed", "deleting"):
            return True
        if job.on_all_tasks_complete == "terminatejob" or not counts.total or counts.active or counts.running:
            return False
        return not self._large or not self.batch.some_tasks(self.job_id, "unended", 1)

    def _rate(self, completed: int) -> float:
        now = self.clock.monotonic()
        self._marks.append((now, completed))
        while now - self._marks[0][0] > WINDOW and len(self._marks) > 2:
            self._marks.popleft()
        span = now - self._marks[0][0]
        return (completed - self._marks[0][1]) / span if span > 0 else 0.0


def ending(batch: Batch, look: Look) -> Ending:
    """How the job ended: of a small one from its tasks, of a large one from the service's answers to two questions."""
    if not look.large:
        failed = [task for task in look.states.values() if task.completed and not task.succeeded]
        counts = look.counts
        return Ending(counts.succeeded, counts.failed, counts.active + counts.running, failed[0] if failed else None)
    counts = batch.counts(look.job.id)
    failures = batch.some_tasks(look.job.id, "failed", MOST_FAILURES)
    unended = batch.some_tasks(look.job.id, "unended", MOST_FAILURES)
    failed = max(len(failures), counts.failed)
    return Ending(
        succeeded=counts.succeeded if unended else max(0, counts.total - failed),  # the total does not lag behind
        failed=failed,
        unended=max(len(unended), counts.active + counts.running) if unended else 0,
        first_failed=failures[0] if failures else None,
    )


def describe(task: TaskState) -> str:
    """A task's state in words, with the cause of a failure."""
    again = f" (retry {task.retries})" if task.retries else ""
    again += f" (requeued {wording.counted(task.requeues, 'time')})" if task.requeues else ""
    if not task.completed:
        return f"{task.state}{again}" + (f" on {task.node_id}" if task.node_id and task.state == "running" else "")
    code = "never started" if task.exit_code is None else f"exit code {task.exit_code}"
    if task.succeeded:
        return f"succeeded, {code}{again}"
    return f"failed, {code}{again}" + (
        f": {short}" if (short := failure_texts.in_short(task.exit_code, task.failure)) else ""
    )


def _phase(task: TaskState) -> tuple[str, int, int]:
    return task.state, task.retries, task.requeues


def _count(states: dict[str, TaskState]) -> Counts:
    every = list(states.values())
    completed = sum(task.completed for task in every)
    succeeded = sum(task.succeeded for task in every)
    active = sum(task.state == "active" for task in every)
    return Counts(
        active=active,
        running=len(every) - completed - active,
        completed=completed,
        succeeded=succeeded,
        failed=completed - succeeded,
    )
