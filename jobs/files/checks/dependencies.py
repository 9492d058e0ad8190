"""`depends_on`: whether tasks wait only for tasks that are there, and none, by a circle, for itself.

A stream of tasks goes by once; what is remembered is only of tasks that depend on others. Ids are compared without
case, as Batch does. In a range leading zeros do not count (learn.microsoft.com/azure/batch/batch-task-dependencies:
of tasks 4 and 04 the first that completes would satisfy it), so a number may be the id of one task only.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import lt
from typing import Final, Generic, TypeVar

from ..model.job import LAST_NUMBER, IdRange, Task

MOST_CHARACTERS: Final = 64_000  # azure-batch 15.1, `BatchTaskDependencies.task_ids`: all ids together
_CHAIN: Final = 10  # ids of a circle that are told

Span = tuple[int, int]
Where = TypeVar("Where")


def parents(task: Task) -> tuple[list[str], list[Span]]:
    """The ids and the ranges that a task waits for. A text is any number of ids, parted by blanks: a placeholder may
    give none. Raises `ValueError` for a range that is none."""
    ids = [task_id for entry in task.depends_on if isinstance(entry, str) for task_id in entry.split()]
    found = (entry.numbers() for entry in task.depends_on if isinstance(entry, IdRange))
    return ids, [span for span in found if span is not None]


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Where]):
    where: Where
    id: str
    ids: tuple[str, ...]  # in lower case
    spans: tuple[Span, ...]


class Dependencies(Generic[Where]):
    """Who waits for whom, gathered while the tasks go by. `where` is given back with a problem."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting[Where]] = {}

    def note(self, where: Where, task: Task) -> str:
        """Remember a task; what is wrong with its own entries, empty when nothing is."""
        try:
            ids, spans = parents(task)
        except ValueError as error:
            return str(error)
        if (length := sum(map(len, ids))) > MOST_CHARACTERS:
            return (
                f"{len(ids)} ids with {length} characters together; Batch takes {MOST_CHARACTERS}. "
                "Use numbers as ids and {range: [first, last]}"
            )
        name = task.id.lower()
        folded = tuple(task_id.lower() for task_id in ids)
        if name in folded or (name.isdecimal() and any(first <= int(name) <= last for first, last in spans)):
            return "the task depends on itself, so it would never run; take it out"
        if ids or spans:
            self._waiting[name] = _Waiting(where, task.id, folded, tuple(spans))
        return ""

    def problems(self, ids: Iterable[str]) -> Iterator[tuple[Where, str, str]]:
        """(where, task id, what is wrong), once all ids (in lower case) are known."""
        if not self._waiting:
            return
        missing = {parent for one in self._waiting.values() for parent in one.ids}
        numbers = _Numbers(one for waiting in self._waiting.values() for one in waiting.spans)
        for task_id in ids:
            missing.discard(task_id)
            if task_id.isdecimal():
                numbers.note(int(task_id))
        numbers.end()
        wrong = False
        for one in self._waiting.values():
            for what in chain(
                (
                    f"no task has the id {parent!r}; correct it, or add that task"
                    for parent in one.ids
                    if parent in missing
                ),
                (said for span in one.spans if (said := numbers.wrong(span))),
            ):
                wrong = True
                yield one.where, one.id, what
        if not wrong and (circle := self._circle()):
            first = self._waiting[circle[0]]
            names = [self._waiting[name].id for name in circle[:_CHAIN]]
            more = [] if len(circle) <= _CHAIN else ["..."]
            told = " -> ".join([*names, *more, names[0]])
            yield (
                first.where,
                first.id,
                f"a circle, so none of its tasks would ever run: {told}; take one dependency out",
            )

    def _circle(self) -> list[str]:
        """Ids of tasks each of which depends on the next, and the last on the first."""
        numbered = sorted((int(name), name) for name in self._waiting if name.isdecimal())
        done: set[str] = set()
        for start in self._waiting:
            path = {} if start in done else {start: self._waiting_parents(start, numbered)}
            while path:
                name = next(reversed(path))
                for parent in path[name]:
                    if parent in path:
                        whole = list(path)
                        return whole[whole.index(parent) :]
                    if parent not in done:
                        path[parent] = self._waiting_parents(parent, numbered)
                        break
                else:
                    done.add(name)
                    del path[name]
        return []

    def _waiting_parents(self, name: str, numbered: Sequence[tuple[int, str]]) -> Iterator[str]:
        """The parents that depend on others themselves: only they can be in a circle."""
        one = self._waiting[name]
        yield from (parent for parent in one.ids if parent in self._waiting)
        for first, last in one.spans:
            start, end = bisect_left(numbered, (first, "")), bisect_right(numbered, (last, "~"))
            yield from (numbered[place][1] for place in range(start, end))


class _Numbers:
    """Which numbers of all ranges are ids: four bytes for each that is one."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans: list[Span] = []  # in order, and none touches the next
        for first, last in sorted(set(spans)):
            if self._spans and first <= self._spans[-1][1] + 1:
                self._spans[-1] = self._spans[-1][0], max(last, self._spans[-1][1])
            else:
                self._spans.append((first, last))
        self._ids = array("I")
        self._rising = True  # every number is above the one before: then none is there twice either

    def note(self, number: int) -> None:
        place = bisect_right(self._spans, (number, LAST_NUMBER)) - 1
        if place >= 0 and number <= self._spans[place][1]:
            self._rising = self._rising and (not self._ids or number > self._ids[-1])
            self._ids.append(number)

    def end(self) -> None:
        """All ids were noted."""
        if not self._rising:
            self._ids = array("I", sorted(self._ids))
            self._rising = all(map(lt, self._ids, islice(self._ids, 1, None)))

    def wrong(self, span: Span) -> str:
        """What is wrong with a range; empty when each of its numbers is the id of one task."""
        first, last = span
        start, end = bisect_left(self._ids, first), bisect_right(self._ids, last)
        if self._rising and end - start == last - first + 1:
            return ""
        found = self._ids[start:end]
        number = next((first + place for place, one in enumerate(found) if one != first + place), first + len(found))
        if found.count(number - 1) > 1:
            return (
                f"two tasks have the number {number - 1} of the range {first} to {last} as id (zeros before it do not "
                "count); rename one"
            )
        if number > last:
            return ""
        return f"no task has the id '{number}' of the range {first} to {last}; correct the range, or add that task"
