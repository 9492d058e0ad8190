"""Which tasks of one job wait for which others. Pure: keys of tasks in, keys of those that may run now out.

Rules (learn.microsoft.com/azure/batch/batch-task-dependencies): a task may run once every task it names has satisfied
it. A range stands for every integer from its start to its end; ids count by their value there ("04" is 4), and the
first task of that value will do. A parent that the job does not have (yet) is waited for [guess: undocumented]. What
satisfied once does so for good, also when the task is run again or deleted [guess: undocumented].

Cheap however many wait for however much: a range waits at its first integer that is not satisfied. When that one is,
all that wait there move on together, past the satisfied ones (union-find) to the next (a heap by the ranges' ends,
merged the smaller into the larger), so that n tasks and ranges cost n log² n whatever the order of the ends.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

_INTEGER = re.compile(r"-?[0-9]+")


@dataclass
class _Waiter:
    """A task with the number of parents and ranges it still waits for."""

    key: str
    missing: int = 0


class Dependencies:
    """The dependencies of one job. Keys are lower-case ids."""

    def __init__(self) -> None:
        self._satisfied: set[str] = set()
        self._waiters: dict[str, _Waiter] = {}
        self._children: defaultdict[str, list[_Waiter]] = defaultdict(list)
        self._at: dict[int, list[tuple[int, int, _Waiter]]] = {}  # integer -> heap of (end, tie, waiter)
        self._after: dict[int, int] = {}  # satisfied integer -> a later one: the union-find
        self._ties = itertools.count()

    def add(self, key: str, parents: Iterable[str], ranges: Iterable[tuple[int, int]]) -> None:
        """Have a task wait for its parents and ranges, as far as they are not satisfied yet."""
        waiter = _Waiter(key)
        for parent in {parent.lower() for parent in parents} - self._satisfied:
            self._children[parent].append(waiter)
            waiter.missing += 1
        for start, end in ranges:
            first = self._first_open(start)
            if first <= end:
                heapq.heappush(self._at.setdefault(first, []), (end, next(self._ties), waiter))
                waiter.missing += 1
        if waiter.missing:
            self._waiters[key] = waiter

    @property
    def satisfied(self) -> frozenset[str]:
        """The tasks that satisfied their dependents, deleted ones too."""
        return frozenset(self._satisfied)

    def waits(self, key: str) -> bool:
        """Whether the task still waits for another."""
        return key in self._waiters

    def forget(self, key: str) -> None:
        """The task is gone: it waits for nothing any more."""
        self._waiters.pop(key, None)

    def satisfy(self, key: str) -> list[str]:
        """This task satisfies its dependents; those that wait for nothing else now."""
        if key in self._satisfied:
            return []
        self._satisfied.add(key)
        met = self._children.pop(key, [])
        if _INTEGER.fullmatch(key) and int(key) not in self._after:
            met += self._move_on(int(key))
        return [waiter.key for waiter in met if self._is_ready(waiter)]

    def _is_ready(self, waiter: _Waiter) -> bool:
        waiter.missing -= 1
        if waiter.missing or self._waiters.get(waiter.key) is not waiter:
            return False  # the latter: the task was deleted, perhaps made again
        del self._waiters[waiter.key]
        return True

    def _move_on(self, number: int) -> list[_Waiter]:
        """Ranges that waited for this integer: those that end before the next open one are met."""
        self._after[number] = number + 1
        heap, met = self._at.pop(number, []), []
        first = self._first_open(number)
        while heap and heap[0][0] < first:
            met.append(heapq.heappop(heap)[2])
        if heap:
            other = self._at.get(first, [])
            larger, smaller = (heap, other) if len(heap) > len(other) else (other, heap)
            for item in smaller:
                heapq.heappush(larger, item)
            self._at[first] = larger
        return met

    def _first_open(self, number: int) -> int:
        """The first integer from this one on that is not satisfied; shortens the way for the next who asks."""
        passed = []
        while number in self._after:
            passed.append(number)
            number = self._after[number]
        for one in passed:
            self._after[one] = number
        return number
