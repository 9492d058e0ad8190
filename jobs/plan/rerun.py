"""Which tasks of a job are run again, and what they depend on then. Decides only: `verbs/submit/retry.py` does it.

Tasks that wait for ever for a failed one cannot be edited either: they are run again behind it. In the same job a
dependency on a task that is run again becomes one on its new run; every other is kept. In a new job there are only the
tasks that are run again: a dependency on one of them is kept, another is left out if it was satisfied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import UsageError
from ..ids import Presence
from ..service.batch import TaskState
from ..state import blocked

LONGEST_ID: Final = 64  # characters; `files/model/fields.py` has it, too, and takes long to load
RUN_NAME: Final = "run {number} of {task} (python -m jobs retry)"
_RUN_NAME: Final = re.compile(r"run (?P<number>[1-9]\d{0,8}) of (?P<task>[A-Za-z0-9_-]{1,64}) \(python -m jobs retry\)")


def run_of(task: TaskState) -> tuple[str, int]:
    """The id of the task that was submitted, and how often it was run again: 0 for itself.

    A later run says so in its display name, which no job file can set. Its id says nothing: `sim-r1` may be anybody's.
    """
    match = _RUN_NAME.fullmatch(task.display_name)
    return (task.id, 0) if match is None else (match["task"], int(match["number"]))


def next_run(task_id: str, number: int = 1) -> str:
    """The id of a task's later run in the same job. A long one is cut, so that it stays an id."""
    suffix = f"-r{number}"
    return task_id[: LONGEST_ID - len(suffix)] + suffix


@dataclass(frozen=True, slots=True)
class NewRun:
    """Under which id a task is run again, and what its display name says of it."""

    id: str
    display_name: str = ""


@dataclass
class Tasks:
    """A job's tasks, as far as they matter here: those that succeeded and block nobody are only known to be there.

    Everything is by id in lower case. `newest` has the latest run of each task that was run again.
    """

    states: dict[str, TaskState] = field(default_factory=dict)
    there: Presence = field(default_factory=Presence)
    newest: dict[str, tuple[int, TaskState]] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: Iterable[TaskState]) -> Tasks:
        found = cls()
        for task in tasks:
            found.there.note(task.id)
            if not task.succeeded or task.blocks:
                found.states[task.id.lower()] = task
            origin, number = run_of(task)
            if number > found.newest.get(origin.lower(), (0, task))[0]:
                found.newest[origin.lower()] = number, task
        return found

    def failed(self) -> dict[str, TaskState]:
        """Those that failed, without those that were run again since."""
        every = {name: task for name, task in self.states.items() if task.completed and not task.succeeded}
        return {name: task for name, task in every.items() if self.later_run(task) is None}

    def run_again(self) -> list[TaskState]:
        """Failed tasks that were run again since."""
        failed = (task for task in self.states.values() if task.completed and not task.succeeded)
        return [task for task in failed if self.later_run(task) is not None]

    def later_run(self, task: TaskState) -> TaskState | None:
        """The newest run of the same task, when it is a later one than this."""
        origin, number = run_of(task)
        latest, state = self.newest.get(origin.lower(), (0, task))
        return state if latest > number else None

    def new_runs(self, wanted: Mapping[str, TaskState], *, new_job: bool) -> dict[str, NewRun]:
        """The runs to make of the wanted tasks. In a new job ids stay; in the same job each is nobody else's."""
        if new_job:
            return {name: NewRun(task.id) for name, task in wanted.items()}
        found: dict[str, NewRun] = {}
        given: set[str] = set()
        for name, task in wanted.items():
            origin, _ = run_of(task)
            number = self.newest.get(origin.lower(), (0, task))[0] + 1
            suffix = number
            while (new_id := next_run(origin, suffix)) in self.there or new_id.lower() in given:
                suffix += 1
            given.add(new_id.lower())
            found[name] = NewRun(new_id, RUN_NAME.format(number=number, task=origin))
        return found

    def behind(self, wanted: Mapping[str, TaskState]) -> dict[str, TaskState]:
        """Those that wait for ever, and only for the wanted ones (or for one another)."""
        held = blocked.blocked_tasks(self.states.values())
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

    def depends_on(self, task: TaskState, runs: Mapping[str, NewRun], *, new_job: bool) -> dict[str, Any]:
        """The new run's `dependsOn`, given all runs that are made. Raises `UsageError` for a dependency that a new job
        could not keep."""
        ids: list[str] = []
        for parent in task.parents:
            if parent.lower() in runs:
                ids.append(parent if new_job else runs[parent.lower()].id)
            elif not new_job:
                ids.append(parent)
            else:
                self._check_satisfied(task, parent)
        spans: list[tuple[int, int]] = []
        for first, last in task.parent_ranges:
            again = sorted((int(name), name) for name in runs if name.isdecimal() and first <= int(name) <= last)
            ids += [runs[name].id for _, name in again]
            if new_job:
                for name in self.states:
                    if name not in runs and name.isdecimal() and first <= int(name) <= last:
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
            f"task {task.id} depends on {parent}, which {told} and would not be in the new job",
            next_step="wait for it, run the tasks again in the same job, or submit the file again",
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
