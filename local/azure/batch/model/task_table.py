"""One job's tasks, with the indexes that make a page, a count and a choice cheap however many there are.

Owns order (lists come in the order of ids), what each task counts as, which ones wait for nothing but a node, and which
wait for others. Decides nothing; which run is on which node is the account's (`account_state.py`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Collection, Iterator
from enum import StrEnum
from heapq import merge

from local.azure.batch.model.dependencies import Dependencies
from local.azure.batch.model.states import TaskState
from local.azure.batch.model.task import Task

_LONGEST_CHUNK = 1_000


class Standing(StrEnum):
    """What a task counts as: the names of `taskCounts`. RUNNING: it is on a node, also while that prepares it."""

    ACTIVE = "active"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


def standing_of(task: Task) -> Standing:
    """What a task counts as now."""
    if task.state is TaskState.ACTIVE:
        return Standing.ACTIVE
    if task.state is not TaskState.COMPLETED:
        return Standing.RUNNING
    return Standing.SUCCEEDED if task.result == "success" else Standing.FAILED


class SortedKeys:
    """Texts in order, in chunks, so that adding, removing and finding one costs the same among ten and a million."""

    def __init__(self) -> None:
        self._chunks: list[list[str]] = []
        self._greatest: list[str] = []  # of each chunk

    def add(self, key: str) -> None:
        """A key that is not there."""
        if not self._chunks:
            self._chunks.append([key])
            self._greatest.append(key)
            return
        at = min(bisect_left(self._greatest, key), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, key)
        self._greatest[at] = chunk[-1]
        if len(chunk) > _LONGEST_CHUNK:
            half = len(chunk) // 2 if chunk[-1] != key else len(chunk) - 1  # keys that come in order fill their chunks
            self._chunks[at : at + 1] = [chunk[:half], chunk[half:]]
            self._greatest[at : at + 1] = [chunk[half - 1], chunk[-1]]

    def remove(self, key: str) -> None:
        """A key that is there."""
        at = bisect_left(self._greatest, key)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, key)]
        if chunk:
            self._greatest[at] = chunk[-1]
        else:
            del self._chunks[at], self._greatest[at]

    def after(self, key: str, start: str = "") -> Iterator[str]:
        """The keys greater than `key` and not less than `start`. Change nothing while this is read."""
        find, place = (bisect_right, key) if key >= start else (bisect_left, start)
        at = find(self._greatest, place)
        if at < len(self._chunks):
            chunk = self._chunks[at]
            yield from chunk[find(chunk, place) :]
            for chunk in self._chunks[at + 1 :]:
                yield from chunk


class TaskTable:
    """The tasks of one job by lower-case id."""

    def __init__(self) -> None:
        self.records: dict[str, Task] = {}
        # In order: a plain dict is slow to give its first item once many before it were removed.
        self.waiting: OrderedDict[str, Task] = OrderedDict()
        self.dependencies = Dependencies()
        self.satisfied_for_good: set[str] = set()
        """Deleted tasks that others may depend on, also when a task of the same id was added later."""
        self.counts: dict[Standing, int] = dict.fromkeys(Standing, 0)
        self.slots: dict[Standing, int] = dict.fromkeys(Standing, 0)
        self._standings: dict[str, Standing] = {}
        self._keys = {standing: SortedKeys() for standing in Standing}

    @property
    def unfinished(self) -> int:
        """How many are not completed."""
        return self.counts[Standing.ACTIVE] + self.counts[Standing.RUNNING]

    def in_order(
        self, after: str, prefix: str = "", standings: Collection[Standing] = tuple(Standing)
    ) -> Iterator[Task]:
        """The tasks behind the id `after`, in the order of their ids; only those whose id begins with `prefix`, and
        that count as one of `standings`."""
        keys = [self._keys[standing].after(after, prefix) for standing in standings]
        for key in merge(*keys) if len(keys) > 1 else (key for one in keys for key in one):
            if not key.startswith(prefix):
                return
            yield self.records[key]

    def put(self, task: Task, *, uses_dependencies: bool) -> None:
        """Take a new or changed task."""
        key = task.key
        before = self._standings.get(key)
        if before is None and (task.parents or task.parent_ranges):
            self.dependencies.add(key, task.parents, task.parent_ranges)
        now = standing_of(task)
        if before is not now:
            if before is not None:
                self._leave(key, before, task)
            self._standings[key] = now
            self._keys[now].add(key)
            self.counts[now] += 1
            self.slots[now] += task.slots
        self.records[key] = task
        if self._may_run(task):
            if now is not before:
                self.waiting[key] = task
        else:
            self.waiting.pop(key, None)
        if task.satisfies and uses_dependencies:
            for met in self.dependencies.satisfy(key):
                if self._may_run(self.records[met]):
                    self.waiting[met] = self.records[met]

    def remove(self, task: Task) -> None:
        """Forget a task; harmless when it is not there."""
        key = task.key
        before = self._standings.pop(key, None)
        if before is not None:
            self._leave(key, before, task)
        self.records.pop(key, None)
        self.waiting.pop(key, None)
        self.dependencies.forget(key)

    def _leave(self, key: str, standing: Standing, task: Task) -> None:
        self._keys[standing].remove(key)
        self.counts[standing] -= 1
        self.slots[standing] -= task.slots

    def _may_run(self, task: Task) -> bool:
        """Whether it waits for a node only."""
        return task.state is TaskState.ACTIVE and not task.deleting and not self.dependencies.waits(task.key)
