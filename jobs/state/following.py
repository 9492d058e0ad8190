"""Tasks' outputs as they grow: one task as bytes, a whole job as lines, each with its task.

What was printed is counted: the change from the file on the node to the blob in the container loses and doubles
nothing. A run that begins again (a retry, or another node after the first was lost) writes its files anew: that is
told, and then they are shown from their start.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ..errors import NotFound, ServiceError, Throttled, Unreachable
from ..service.batch import COMPLETED, JobState, TaskState
from ..session import Session
from . import progress, task_output

PAUSE: Final = 0.4  # seconds between two ranged reads of a growing file: a line is shown within a second
OUTAGE: Final = 60.0  # seconds for which service or node may not answer while following
READING: Final = 8  # tasks that are read at a time
MOST_RUNNING: Final = 100  # tasks of a large job that are followed at a time
LONGEST_LINE: Final = 65536  # characters; a longer line is shown in pieces


def last_lines(data: Iterator[bytes], count: int | None) -> Iterator[bytes]:
    """All of it, or its last lines: no more of it is kept than they are long."""
    if count is None:
        yield from data
        return
    kept: deque[bytes] = deque(maxlen=count + 1)  # one more: the last may be an unfinished line, or none
    rest = b""
    for piece in data:
        *whole, rest = (rest + piece).split(b"\n")
        kept.extend(line + b"\n" for line in whole)
    if rest:
        kept.append(rest)
    yield from list(kept)[-count:] if count else []


def end_of(data: Iterator[bytes], size: int) -> bytes:
    """Its last bytes, at most `size`; no more of it is kept at a time than that and one piece."""
    end = b""
    for piece in data:
        end = (end + piece)[-size:]
    return end


@dataclass
class TaskTail:
    """How far one task's file was printed."""

    id: str
    printed: int = 0
    run: tuple[int, int] | None = None
    over: bool = False
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("backslashreplace")
    )
    _rest: str = ""

    def began_again(self, task: TaskState) -> bool:
        """Note which run it is; whether it is another than the one that was printed."""
        this_run = (task.retries, task.requeues)
        other = self.run not in (None, this_run) and self.printed > 0
        self.run = this_run
        if other:
            self.printed = 0
            self._rest = ""
            self._decoder.reset()
        return other

    def read(self, session: Session, job: JobState, name: str, *, ended: bool) -> bytes:
        """What is new in the file; after the task's end also from the container, when its node is gone."""
        found = task_output.from_node(session, job, self.id, name, self.printed)
        if found is not None:
            data = b"".join(found.data)
        elif ended and (kept := task_output.from_blob(session, job, self.id, name)) is not None:
            data = b"".join(kept.data)[self.printed :]
        else:
            return b""
        self.printed += len(data)
        return data

    def lines(self, data: bytes, *, last: bool) -> list[str]:
        """The whole lines of new data; at the end also one without an end."""
        self._rest += self._decoder.decode(data, last)
        *whole, self._rest = self._rest.split("\n")
        if len(self._rest) > LONGEST_LINE or (last and self._rest):
            whole.append(self._rest)
            self._rest = ""
        return [line.removesuffix("\r") for line in whole]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line that a task wrote, and when it was read. `told`: it is ours, about the task."""

    task: str
    text: str
    at: datetime
    told: bool = False


def follow_job(
    session: Session,
    job_id: str,
    name: str,
    *,
    only: str | None = None,
    tail: int | None = None,
    since: datetime | None = None,
) -> Iterator[Line]:
    """Every line of every task that runs from now on, or ran since; ends with the job.

    `only`: this task alone, and the end is the task's. `tail`: of what a task wrote before it is first read, only so
    many lines.
    """
    if only is not None:
        session.batch.task(job_id, only)  # one that does not exist is told
    watched = progress.Progress(session.batch, job_id, session.clock)
    tails: dict[str, TaskTail] = {}
    last_answer = session.clock.monotonic()
    with ThreadPoolExecutor(READING) as reading:
        while True:
            try:
                look = watched.look()
                last_answer = session.clock.monotonic()
            except (Unreachable, Throttled):
                if session.clock.monotonic() - last_answer >= OUTAGE:
                    raise
                session.clock.sleep(PAUSE)
                continue
            tasks = _to_read(session, look, tails, since, only)
            jobs = [reading.submit(_read, session, look.job, name, tails[task.id], task, tail) for task in tasks]
            for one in jobs:
                yield from one.result()
            if look.over or (only in tails and tails[only].over):
                return
            session.clock.sleep(PAUSE)


def _to_read(
    session: Session, look: progress.Look, tails: dict[str, TaskTail], since: datetime | None, only: str | None
) -> list[TaskState]:
    """The tasks that run or that ended since they were read, each with its tail."""
    if only is not None:
        found = {only: session.batch.task(look.job.id, only)}
    elif look.large:
        found = {task.id: task for task in session.batch.some_tasks(look.job.id, "running", MOST_RUNNING)}
        for name, one in tails.items():
            if not one.over and name not in found:  # it ended, or waits for another node
                try:
                    found[name] = session.batch.task(look.job.id, name)
                except ServiceError:
                    continue
        found |= {task.id: task for task in look.changed}
    else:
        found = look.states
    chosen = []
    for task in found.values():
        tail = tails.get(task.id)
        if tail is None:
            too_old = since is not None and task.ended is not None and task.ended < since
            if task.state not in ("running", COMPLETED) or too_old:
                continue
            tail = tails[task.id] = TaskTail(task.id)
        if not tail.over or tail.run != (task.retries, task.requeues):
            chosen.append(task)
    return chosen


def _read(session: Session, job: JobState, name: str, tail: TaskTail, task: TaskState, count: int | None) -> list[Line]:
    at = session.clock.now()
    found = []
    first = tail.run is None
    if tail.began_again(task):
        text = f"began again (retry {task.retries}, requeue {task.requeues})"
        found.append(Line(task=task.id, text=text, at=at, told=True))
    ended = task.completed  # known before reading: what is read after the end is all there is
    try:
        data = tail.read(session, job, name, ended=ended)
    except (Unreachable, Throttled):
        return found  # read again at the next look
    except NotFound:
        data = b""
    lines = tail.lines(data, last=ended)
    if first and count is not None:
        lines = lines[-count:] if count else []
    tail.over = ended
    return [*found, *(Line(task=task.id, text=line, at=at) for line in lines)]
