"""Which tasks of a job wait for ever for others, and why, in words.

A task whose parent ended in a way that blocks stays active: the service never runs it and never ends it (azure-batch
15.1, `BatchTaskCreateOptions.depends_on`), so the job never has "all tasks complete" and does not end by itself.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..service.batch import Batch, JobState, TaskState
from .progress import describe

MOST_UNENDED: Final = 1000  # of a large job: tasks without an end that are looked at, which is one page
MOST_FAILED: Final = 1000  # and failed ones that may block them
TOLD: Final = 10


@dataclass(frozen=True)
class Blocked:
    """A task that never runs: for which parent it waits, and what is with that."""

    task: TaskState
    parent: str
    why: str

    def explain(self) -> str:
        return f"{self.task.id} waits for {self.parent}, which {self.why}"


@dataclass(frozen=True)
class Waiting:
    """Tasks that wait for ever, by id in lower case. `stuck`: nothing is left that could run."""

    blocked: Mapping[str, Blocked]
    stuck: bool

    def lines(self) -> Iterator[str]:
        for one in itertools.islice(self.blocked.values(), TOLD):
            yield one.explain()
        if len(self.blocked) > TOLD:
            yield f"and {len(self.blocked) - TOLD} more"


def blocked_tasks(tasks: Iterable[TaskState], *, all_there: bool = False) -> dict[str, Blocked]:
    """Those of these tasks that never run: a parent blocks, never runs itself, or (when these are all) is not there."""
    ended: dict[str, TaskState] = {}
    there: set[str] = set()
    children: dict[str, list[TaskState]] = {}
    ranged: list[TaskState] = []
    for task in tasks:
        there.add(task.id.lower())
        if task.completed:
            if task.blocks:
                ended[task.id.lower()] = task
            continue
        for parent in task.parents:
            children.setdefault(parent.lower(), []).append(task)
        if task.parent_ranges:
            ranged.append(task)
    found: dict[str, Blocked] = {}
    queue = deque([*ended, *(parent for parent in children if all_there and parent not in there)])
    while queue:
        parent = queue.popleft()
        for child in (*children.get(parent, ()), *(task for task in ranged if task.parent_among((parent,)))):
            name = child.id.lower()
            if name not in found:
                found[name] = Blocked(child, *_why(parent, ended, found))
                queue.append(name)
    return found


def _why(parent: str, ended: Mapping[str, TaskState], found: Mapping[str, Blocked]) -> tuple[str, str]:
    if parent in ended:
        return ended[parent].id, describe(ended[parent])
    if parent in found:
        return found[parent].task.id, "never runs"
    return parent, "is not in the job"


def of_job(batch: Batch, job: JobState, states: Mapping[str, TaskState] | None) -> Waiting:
    """`states` are all tasks, of a small job. Of a large one (None) one page of tasks without an end is looked at, and
    one of failed ones: the cost does not grow with the job."""
    if not job.uses_dependencies:
        return Waiting({}, stuck=False)
    if states is None:
        unended = batch.some_tasks(job.id, "unended", MOST_UNENDED)
        found = blocked_tasks([*unended, *batch.some_tasks(job.id, "failed", MOST_FAILED)])
    else:
        unended = [task for task in states.values() if not task.completed]
        # `terminatejob` is set after the last task was added: before that a parent may only not be there yet.
        found = blocked_tasks(states.values(), all_there=job.on_all_tasks_complete == "terminatejob")
    every_one = states is not None or len(unended) < MOST_UNENDED
    stuck = bool(unended) and every_one and all(task.id.lower() in found for task in unended)
    return Waiting(found, stuck)
