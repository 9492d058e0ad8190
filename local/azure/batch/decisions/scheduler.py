"""Scheduling decisions, pure: state in, decisions out. No clock, no store, no executor; `scheduling/` acts.

Rules (learn.microsoft.com/azure/batch: batch-parallel-node-tasks, jobs-and-tasks): a node runs tasks until their
required slots fill it; `spread` takes the emptiest node, `pack` the fullest that still has room; jobs are served by
priority, then by age; `maxParallelTasks` limits a job; a task that does not fit yet does not hold back smaller ones
[guess]. Tasks of jobs that allow preemption give way to those of jobs with a higher priority.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from local.azure.batch.decisions import failures
from local.azure.batch.model import Ending, JobTask, Node, Task
from local.azure.batch.model.node import PendingVerb
from local.azure.batch.model.states import JobState, JobTaskEvent, TaskEvent
from local.node.contract import FailureInfo, RunEnded


@dataclass(frozen=True)
class Waiting:
    """A task that wants a node; `affinity` names the one it would like best.

    `whole`: it wants whole nodes, `nodes` of them at once (0: it can never run here). `dedicated`: no spot node.
    """

    task_id: str
    slots: int = 1
    affinity: str | None = None
    whole: bool = False
    nodes: int = 1
    dedicated: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it wants nothing but slots."""
        return not self.whole and self.nodes == 1 and not self.dedicated


@dataclass(frozen=True)
class Line:
    """A job's queue. `limit` None: as many at once as there is room for. `barred`: nodes that could not be prepared."""

    job_id: str
    waiting: Iterable[Waiting]
    priority: int = 0
    number: int = 0
    limit: int | None = None
    running: int = 0
    barred: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Room:
    """A node that takes tasks."""

    node_id: str
    slots: int
    used: int = 0
    dedicated: bool = True


@dataclass(frozen=True)
class Assignment:
    """This task goes to this node; a multi-instance task to others, too."""

    job_id: str
    task_id: str
    node_id: str
    other_nodes: tuple[str, ...] = ()


def assign(lines: Sequence[Line], rooms: Sequence[Room], *, pack: bool = False) -> list[Assignment]:
    """Fill the nodes of one pool."""
    free = Free({room.node_id: room.slots - room.used for room in rooms if room.slots > room.used}, pack)
    by_id = {room.node_id: room for room in rooms}
    assignments: list[Assignment] = []
    for line in in_order(lines):
        left = None if line.limit is None else line.limit - line.running
        for task in line.waiting:
            if not free.slots or (left is not None and left <= 0) or line.barred.issuperset(free.slots):
                break
            if task.is_plain and not line.barred:
                node = free.choose(task)
                nodes = () if node is None else (node,)
            else:
                usable = {node: slots for node, slots in free.slots.items() if node not in line.barred}
                usable = {node: slots for node, slots in usable.items() if _suits(task, by_id[node], slots)}
                nodes = _choose(task, usable, pack)
            if not nodes:
                continue
            assignments.append(Assignment(line.job_id, task.task_id, nodes[0], nodes[1:]))
            for node in nodes:
                free.set(node, 0 if task.whole else free.slots[node] - task.slots)
            left = None if left is None else left - 1
    return assignments


class Free:
    """The nodes of a pool that have free slots, found by how many: a choice costs the same among ten and a thousand."""

    def __init__(self, slots: dict[str, int], pack: bool) -> None:
        self.slots = slots
        self._pack = pack
        self._order = {node: place for place, node in enumerate(slots)}
        self._with: dict[int, list[tuple[int, str]]] = {}  # free slots -> heap of nodes that have, or had, so many
        for node, count in slots.items():
            self._with.setdefault(count, []).append((self._order[node], node))

    def choose(self, task: Waiting) -> str | None:
        """The node for a task that wants nothing but slots; of equal ones the first."""
        if task.affinity is not None and self.slots.get(task.affinity, 0) >= task.slots:
            return task.affinity
        for count in sorted(self._with, reverse=not self._pack):
            if count >= task.slots:
                heap = self._with[count]
                while heap and self.slots.get(heap[0][1]) != count:
                    heapq.heappop(heap)
                if heap:
                    return heap[0][1]
                del self._with[count]
        return None

    def set(self, node: str, count: int) -> None:
        """The node has so many left."""
        if count:
            self.slots[node] = count
            heapq.heappush(self._with.setdefault(count, []), (self._order[node], node))
        else:
            del self.slots[node]


def in_order(lines: Iterable[Line]) -> list[Line]:
    """Jobs as they are served: by priority, then by age."""
    return sorted(lines, key=lambda one: (-one.priority, one.number))


def _suits(task: Waiting, room: Room, free: int) -> bool:
    return (room.dedicated or not task.dedicated) and (free == room.slots or not task.whole)


def _choose(task: Waiting, free: dict[str, int], pack: bool) -> tuple[str, ...]:
    """The nodes for a task; none when there is no room for it."""
    if task.nodes != 1:
        return tuple(free)[: task.nodes] if 0 < task.nodes <= len(free) else ()
    if task.affinity is not None and free.get(task.affinity, 0) >= task.slots:
        return (task.affinity,)
    fitting = [(slots, node) for node, slots in free.items() if slots >= task.slots]
    if not fitting:
        return ()
    best = (min if pack else max)(slots for slots, _ in fitting)
    return (next(node for slots, node in fitting if slots == best),)


@dataclass(frozen=True)
class Preemptible:
    """A task on a node that gives way: whose priority it has, and how many slots it leaves."""

    run_id: str
    node_id: str
    slots: int
    priority: int


def preempt(lines: Sequence[Line], rooms: Sequence[Room], running: Sequence[Preemptible]) -> list[str]:
    """The runs to requeue so that tasks of a higher priority, for which there was no room, get some.

    Of a node's runs those of the lowest priority go first [guess]; a task that has no room even then moves nobody.
    """
    chosen: list[str] = []
    free = {room.node_id: room.slots - room.used for room in rooms}
    left = sorted(running, key=lambda one: one.priority)
    for line in in_order(lines):
        allowed = None if line.limit is None else line.limit - line.running
        for task in line.waiting:
            if not left or (allowed is not None and allowed <= 0) or left[0].priority >= line.priority:
                break
            for node in [node for node in free if task.is_plain and node not in line.barred]:
                victims, slots = [], free[node]
                for one in left:
                    if slots < task.slots and one.node_id == node and one.priority < line.priority:
                        victims.append(one)
                        slots += one.slots
                if slots >= task.slots:
                    free[node] = slots - task.slots
                    chosen += [one.run_id for one in victims]
                    left = [one for one in left if one not in victims]
                    allowed = None if allowed is None else allowed - 1
                    break
            else:
                break
    return chosen


@dataclass(frozen=True)
class Outcome:
    """What an ended run means for its task: END (with the failure to show), RETRY or REQUEUE."""

    event: TaskEvent
    failure: FailureInfo | None = None


_NO_MORE_RUNS = frozenset({JobState.TERMINATING, JobState.COMPLETED, JobState.DELETING})


def judge(task: Task, job_state: JobState, ended: RunEnded) -> Outcome:
    """Decide about an ended run.

    Lost with its node: run again, not counted as a retry. A non-zero exit code is retried; a run that never started
    (pre-processing error) and a failed upload are not. A run over its wall-clock limit counts as failed and is retried
    like one [guess: the documentation gives the limit per run].
    """
    over = task.ending is Ending.TERMINATE or task.deleting or job_state in _NO_MORE_RUNS
    succeeded = ended.exit_code == 0 and ended.failure is None and not ended.lost
    if over:
        natural = succeeded and task.ending is None
        return Outcome(TaskEvent.END, None if natural else failures.ENDED_BY_USER)
    if task.ending is Ending.REQUEUE:
        return Outcome(TaskEvent.REQUEUE)
    if ended.lost:
        return Outcome(TaskEvent.REQUEUE)
    if succeeded and task.ending is None:
        return Outcome(TaskEvent.END)
    failure = failures.WALL_CLOCK if task.ending is Ending.WALL_CLOCK else ended.failure or failures.EXIT_CODE
    retryable = task.ending is Ending.WALL_CLOCK or (ended.exit_code is not None and ended.exit_code != 0)
    if retryable and (task.max_retries < 0 or task.retries < task.max_retries):
        return Outcome(TaskEvent.RETRY)
    return Outcome(TaskEvent.END, failure)


def judge_job_task(one: JobTask, max_retries: int, ended: RunEnded) -> tuple[JobTaskEvent, FailureInfo | None]:
    """Decide about an ended run of a preparation or release task by the rules of tasks; a lost one runs again."""
    if ended.lost and one.ending is None:
        return JobTaskEvent.LOSE, None
    if one.ending is Ending.TERMINATE or ended.lost:
        return JobTaskEvent.END, failures.ENDED_BY_USER
    if one.ending is None and ended.exit_code == 0 and ended.failure is None:
        return JobTaskEvent.END, None
    retryable = one.ending is Ending.WALL_CLOCK or ended.exit_code not in (None, 0)
    if retryable and (max_retries < 0 or one.retries < max_retries):
        return JobTaskEvent.RETRY, None
    return JobTaskEvent.END, failures.WALL_CLOCK if one.ending else ended.failure or failures.EXIT_CODE


class NodeStep(StrEnum):
    """What is next for a node whose runs are over."""

    NOTHING = "nothing"
    DELETE = "delete"
    REBOOT = "reboot"
    REMAKE = "remake"


_PENDING_STEPS = {
    PendingVerb.REBOOT: NodeStep.REBOOT,
    PendingVerb.REIMAGE: NodeStep.REMAKE,
    PendingVerb.DEALLOCATE: NodeStep.REMAKE,
}


def node_step(node: Node, runs: int) -> NodeStep:
    """The next step of a node with so many runs: it leaves its pool before anything else is done to it."""
    if runs:
        return NodeStep.NOTHING
    if node.leaving:
        return NodeStep.DELETE
    return NodeStep.NOTHING if node.pending is None else _PENDING_STEPS[node.pending]


def container_failure(task: Task, pool_has_containers: bool) -> FailureInfo | None:
    """Why the task cannot run on this kind of pool: it then fails without running, and is not retried."""
    has_settings = bool(task.body.get("containerSettings"))
    if has_settings == pool_has_containers:
        return None
    return failures.NO_CONTAINER_SETTINGS if pool_has_containers else failures.NO_CONTAINER_POOL


def nodes_to_remove(candidates: Sequence[tuple[str, int]], count: int) -> list[str]:
    """Which (node id, running tasks) leave when a pool shrinks: those with least to do, newest first [guess]."""
    order = sorted(enumerate(candidates), key=lambda item: (item[1][1], -item[0]))
    return [node_id for _, (node_id, _) in order[:count]]
