"""Which tasks of a job are run again, and what they depend on then. Decides only: `verbs/retry.py` does it.

Tasks that wait for ever for a failed one cannot be edited either: they are run again behind it. In the same job a
dependency on a task that is run again becomes one on its new run; every other is kept. In a new job there are only the
tasks that are run again: a dependency on one of them is kept, another is left out if it was satisfied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from . import waiting
from .errors import UsageError
from .ids import Presence
from .jobfile.fields import ID
from .service.batch import TaskState

RUN: Final = re.compile(r"^(?P<base>.*?)(?:-r(?P<number>\d+))?$")


def split(pattern: re.Pattern[str], name: str) -> tuple[str, int]:
    """`a-r2` as `a` and 2; a first run has 0."""
    match = pattern.match(name)
    assert match is not None
    return match["base"], int(match["number"] or 0)


def next_run(task_id: str) -> str:
    """The id of the next run in the same job."""
    base, number = split(RUN, task_id)
    result = f"{base}-r{number + 1}"
    if not ID.fullmatch(result):
        raise UsageError(f"task id {result!r} would be longer than 64 characters. Use --new-job, which keeps ids")
    return result


@dataclass
class Tasks:
    """A job's tasks, as far as they matter here: those that succeeded and block nobody are only known to be there.

    Everything is by id in lower case.
    """

    states: dict[str, TaskState] = field(default_factory=dict)
    there: Presence = field(default_factory=Presence)

    @classmethod
    def of(cls, tasks: Iterable[TaskState]) -> Tasks:
        found = cls()
        for task in tasks:
            found.there.note(task.id)
            if not task.succeeded or task.blocks:
                found.states[task.id.lower()] = task
        return found

    def failed(self) -> dict[str, TaskState]:
        """Those that failed, without the older runs of one that failed again."""
        every = {name: task for name, task in self.states.items() if task.completed and not task.succeeded}
        latest: dict[str, int] = {}
        for name in every:
            base, number = split(RUN, name)
            latest[base] = max(number, latest.get(base, 0))
        return {name: task for name, task in every.items() if latest[split(RUN, name)[0]] == split(RUN, name)[1]}

    def behind(self, wanted: Mapping[str, TaskState]) -> dict[str, TaskState]:
        """Those that wait for ever, and only for the wanted ones (or for one another)."""
        held = waiting.blocked(self.states.values())
        holding = {name for name, task in self.states.items() if task.blocks} | set(held)
        found: dict[str, TaskState] = {}
        before = -1
        while len(found) != before:
            before = len(found)
            for name, one in held.items():
                if name not in found and all(
                    parent in wanted or parent in found for parent in _among(one.task, holding)
                ):
                    found[name] = one.task
        return found

    def before(self, wanted: Mapping[str, TaskState]) -> dict[str, TaskState]:
        """Those that never ended and that the wanted ones depend on, directly or not."""
        unended = {name for name, task in self.states.items() if not task.completed}
        found: dict[str, TaskState] = {}
        queue = list(wanted.values())
        while queue:
            for name in _among(queue.pop(), unended):
                if name not in wanted and name not in found:
                    found[name] = self.states[name]
                    queue.append(found[name])
        return found

    def depends_on(self, task: TaskState, wanted: Mapping[str, TaskState], *, new_job: bool) -> dict[str, Any]:
        """The new run's `dependsOn`. Raises `UsageError` for a dependency that a new job could not keep."""
        ids: list[str] = []
        for parent in task.parents:
            if parent.lower() in wanted:
                ids.append(parent if new_job else next_run(wanted[parent.lower()].id))
            elif not new_job:
                ids.append(parent)
            else:
                self._check_satisfied(task, parent)
        spans: list[tuple[int, int]] = []
        for first, last in task.parent_ranges:
            again = sorted((int(name), name) for name in wanted if name.isdecimal() and first <= int(name) <= last)
            ids += [wanted[name].id if new_job else next_run(wanted[name].id) for _, name in again]
            if new_job:
                for name in self.states:
                    if name not in wanted and name.isdecimal() and first <= int(name) <= last:
                        self._check_satisfied(task, name)
            else:
                spans += _without((first, last), [number for number, _ in again])
        found: dict[str, Any] = {"taskIds": ids} if ids else {}
        if spans:
            found["taskIdRanges"] = [{"start": first, "end": last} for first, last in spans]
        return found

    def _check_satisfied(self, task: TaskState, parent: str) -> None:
        state = self.states.get(parent.lower())
        if state is None and parent in self.there:
            return
        if state is not None and state.completed and not state.blocks:
            return
        told = f"is {state.state}" if state is not None else "is not in the job"
        raise UsageError(
            f"task {task.id} depends on {parent}, which {told} and would not be in the new job. "
            "Wait for it, run the tasks again in the same job, or submit the file again"
        )


def _among(task: TaskState, names: set[str]) -> Iterator[str]:
    """The task's parents of these."""
    yield from (parent.lower() for parent in task.parents if parent.lower() in names)
    for first, last in task.parent_ranges:
        yield from (name for name in names if name.isdecimal() and first <= int(name) <= last)


def _without(span: tuple[int, int], numbers: Iterable[int]) -> list[tuple[int, int]]:
    """The range in pieces, without some numbers (which go up)."""
    first, last = span
    pieces = []
    for number in numbers:
        if number > first:
            pieces.append((first, number - 1))
        first = number + 1
    return [*pieces, (first, last)] if first <= last else pieces
