"""Adding tasks to a job so that none is lost silently: chunks, a verdict for every task id, bounded retries.

"No error" is never taken for "done": only a task whose own verdict is success, or that exists already, counts as added.
A chunk whose answer was lost is sent again with the same ids, so `TaskExists` is as good as success.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .batch import Batch, Verdict
from .errors import RequestTooLarge, ServiceError, Throttled, Unreachable

MAX_TASKS: Final = 100  # the service's limit for a collection
MAX_BYTES: Final = 1_000_000  # below its 1 MiB (1048576) for a request's body
ATTEMPTS: Final = 6  # for one chunk; with the pauses below about half a minute
FIRST_PAUSE: Final = 0.5  # seconds, doubled each time

Definition = Mapping[str, Any]


@dataclass
class Tally:
    """What became of the tasks. `added` has those that existed too."""

    added: int = 0
    existed: int = 0
    failed: list[Verdict] = field(default_factory=list)


def chunks(
    tasks: Iterable[Definition], *, max_tasks: int = MAX_TASKS, max_bytes: int = MAX_BYTES
) -> Iterator[list[Definition]]:
    """Groups within both limits, in order. A single task above the byte limit is a group of its own."""
    group: list[Definition] = []
    size = 0
    for task in tasks:
        length = len(json.dumps(task).encode()) + 2
        if group and (len(group) == max_tasks or size + length > max_bytes):
            yield group
            group, size = [], 0
        group.append(task)
        size += length
    if group:
        yield group


def add_all(
    batch: Batch,
    job_id: str,
    tasks: Iterable[Definition],
    *,
    sleep: Callable[[float], None],
    progress: Callable[[Tally], None],
) -> Tally:
    """Add every task. Raises what the service said when going on makes no sense, noting how many were added."""
    tally = Tally()
    for group in chunks(tasks):
        try:
            _add_group(batch, job_id, group, tally, sleep)
        except ServiceError as error:
            error.add_note(f"{tally.added} tasks were added before that; job {job_id} has them and stays active")
            raise
        progress(tally)
    return tally


def _add_group(
    batch: Batch, job_id: str, group: list[Definition], tally: Tally, sleep: Callable[[float], None]
) -> None:
    waiting: deque[list[Definition]] = deque([group])
    attempt = 0
    while waiting:
        part = waiting.popleft()
        try:
            verdicts = batch.add_collection(job_id, part)
        except RequestTooLarge as error:
            if len(part) == 1:
                tally.failed.append(
                    Verdict(task_id=part[0]["id"], status="clienterror", code=error.code, message=str(error))
                )
            else:
                waiting.extendleft([part[len(part) // 2 :], part[: len(part) // 2]])
            continue
        except (Throttled, Unreachable) as error:
            attempt += 1
            if attempt >= ATTEMPTS:
                raise
            sleep(getattr(error, "retry_after", None) or _pause(attempt))
            waiting.appendleft(part)
            continue
        if again := _judge(part, verdicts, tally):
            attempt += 1
            if attempt >= ATTEMPTS:
                tally.failed.extend(verdict for _, verdict in again)
            else:
                sleep(_pause(attempt))
                waiting.appendleft([task for task, _ in again])


def _judge(part: list[Definition], verdicts: list[Verdict], tally: Tally) -> list[tuple[Definition, Verdict]]:
    """Count each task by its own verdict; returns those to send again, with the ones the answer does not name."""
    by_id = {verdict.task_id.casefold(): verdict for verdict in verdicts}
    again: list[tuple[Definition, Verdict]] = []
    for task in part:
        verdict = by_id.get(task["id"].casefold()) or Verdict(
            task_id=task["id"],
            status="servererror",
            code="NoVerdict",
            message="the service's answer does not name this task",
        )
        if verdict.code == "TaskExists":
            tally.added += 1
            tally.existed += 1
        elif verdict.status == "success" and not verdict.code:
            tally.added += 1
        elif verdict.status == "clienterror":
            tally.failed.append(verdict)
        else:
            again.append((task, verdict))
    return again


def _pause(attempt: int) -> float:
    """Doubling, with jitter so that several submitters do not come back together."""
    return FIRST_PAUSE * 2 ** (attempt - 1) * (0.5 + random.random())  # noqa: S311 - not for secrets
