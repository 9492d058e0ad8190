"""What a job's tasks say about it: waits, run times, exit codes, use of nodes. Pure: tasks in, figures out.

What the service keeps of a task is its latest run: a task that was retried or went back to the queue has the start and
the end of that run (azure-batch 15.1, `BatchTaskExecutionInfo.start_time`). So its wait contains its earlier runs, and
those are neither in the run times nor in the use of nodes. A wait also contains the time for which a task waited for
tasks that it depends on.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from ..plan.rerun import run_of
from ..service.batch import JobState, NodeState, TaskState
from ..state import failure_texts
from ..terminal.wording import MODULE, NAME, pasteable

BARS: Final = 20  # of a histogram
LONG_TAIL: Final = 12  # times the median: a longest value beyond it makes the histogram's steps grow
MOST_TEMPLATES: Final = 24
SLOWEST: Final = 10
OTHER: Final = "(others)"


@dataclass(frozen=True)
class Bar:
    """So many values from `low` (included) to `high` (not included, except in the last bar), in seconds."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Spread:
    """How durations are spread, in seconds. Without a value all are None."""

    count: int = 0
    median: float | None = None
    p95: float | None = None
    longest: float | None = None
    histogram: tuple[Bar, ...] = ()

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        every = sorted(values)
        if not every:
            return cls()
        return cls(len(every), quantile(every, 0.5), quantile(every, 0.95), every[-1], histogram(every))


@dataclass(frozen=True, kw_only=True)
class TemplateFigures:
    """Tasks whose ids differ in their numbers only: those of one template of the job file, mostly."""

    name: str
    tasks: int
    failed: int
    wait: Spread
    run: Spread


@dataclass(frozen=True, kw_only=True)
class Ending:
    """An exit code (None: the task had none) with the cause in words, and how often it was."""

    exit_code: int | None
    succeeded: bool
    why: str
    tasks: int
    first: str


@dataclass(frozen=True, kw_only=True)
class NodeUse:
    """A node from the start of its first task of the job to the end of its last. `dedicated` None: it is not in the
    pool any more, so its kind is not known. `used`: the share of its slots' time in which tasks of the job ran."""

    id: str
    dedicated: bool | None
    tasks: int
    failed: int
    hours: float
    used: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All figures of one job at one time."""

    job: JobState
    at: datetime
    total: int
    succeeded: int
    failed: int
    running: int
    waiting: int
    first_start: datetime | None
    last_end: datetime | None
    wait: Spread
    run: Spread
    templates: tuple[TemplateFigures, ...]
    endings: tuple[Ending, ...]
    retries: int
    retried: int
    requeues: int
    requeued: int
    nodes: tuple[NodeUse, ...]
    slots_of_a_node: int
    hours: Mapping[str, float]  # dedicated, spot, unknown: node hours
    slowest: tuple[TaskState, ...]
    images: Mapping[str, int] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        from dataclasses import asdict

        slowest = [
            {
                "task": task.id,
                "node": task.node_id,
                "seconds": seconds(task, self.at),
                "exit_code": task.exit_code,
                "logs": logs_command(self.job.id, task.id),
            }
            for task in self.slowest
        ]
        return {**asdict(self), "hours": dict(self.hours), "images": dict(self.images), "slowest": slowest}


def compute(
    job: JobState, tasks: Sequence[TaskState], nodes: Iterable[NodeState], *, slots: int, now: datetime
) -> Figures:
    """The figures. `nodes` are those of the pool now, `slots` its task slots for each node."""
    ended = [task for task in tasks if task.completed]
    failed = [task for task in ended if not task.succeeded]
    running = sum(task.state == "running" for task in tasks)
    starts = [task.started for task in tasks if task.started]
    ends = [task.ended for task in ended if task.started and task.ended]
    used = _nodes(tasks, {node.id: node.dedicated for node in nodes}, slots, now)
    hours: dict[str, float] = {"dedicated": 0.0, "spot": 0.0, "unknown": 0.0}
    for one in used:
        hours["unknown" if one.dedicated is None else "dedicated" if one.dedicated else "spot"] += one.hours
    timed = [task for task in tasks if seconds(task, now) is not None]
    return Figures(
        job=job,
        at=now,
        total=len(tasks),
        succeeded=len(ended) - len(failed),
        failed=len(failed),
        running=running,
        waiting=len(tasks) - len(ended) - running,
        first_start=min(starts, default=None),
        last_end=max(ends, default=None),
        wait=Spread.of(_waits(tasks)),
        run=Spread.of(_runs(tasks)),
        templates=_templates(tasks),
        endings=_endings(ended),
        retries=sum(task.retries for task in tasks),
        retried=sum(task.retries > 0 for task in tasks),
        requeues=sum(task.requeues for task in tasks),
        requeued=sum(task.requeues > 0 for task in tasks),
        nodes=used,
        slots_of_a_node=slots,
        hours=hours,
        slowest=tuple(sorted(timed, key=lambda task: (-(seconds(task, now) or 0.0), task.id))[:SLOWEST]),
        images=dict(Counter(task.image for task in tasks if task.image).most_common()),
    )


def seconds(task: TaskState, now: datetime) -> float | None:
    """How long the task's latest run took, or takes until now; None when it did not run."""
    if task.started is None:
        return None
    end = task.ended if task.completed else now
    return None if end is None else max(0.0, (end - task.started).total_seconds())


def quantile(every: Sequence[float], share: float) -> float:
    """The value below which that share of the sorted values lies, between two neighbours in proportion."""
    place = share * (len(every) - 1)
    low = math.floor(place)
    high = min(low + 1, len(every) - 1)
    return every[low] + (every[high] - every[low]) * (place - low)


def histogram(every: Sequence[float]) -> tuple[Bar, ...]:
    """Bars over the sorted values: steps of one size, or, when a few values are far beyond the others, growing ones."""
    longest, middle = every[-1], quantile(every, 0.5)
    if longest <= 0:
        return (Bar(0.0, 1.0, len(every)),)
    if longest > LONG_TAIL * middle > 0:
        first = max(min(value for value in every if value > 0), longest / 1e6)
        growth = (longest / first) ** (1 / (BARS - 1)) if longest > first else 2.0
        edges = [0.0, *(first * growth**step for step in range(BARS - 1)), longest]
    else:
        step = nice(longest / BARS)
        edges = [step * number for number in range(math.ceil(longest / step) + 1)]
        if edges[-1] < longest or len(edges) == 1:
            edges.append(edges[-1] + step)
    counts = [0] * (len(edges) - 1)
    bar = 0
    for value in every:
        while bar < len(counts) - 1 and value >= edges[bar + 1]:
            bar += 1
        counts[bar] += 1
    return tuple(Bar(low, high, count) for low, high, count in zip(edges, edges[1:], counts, strict=False))


def nice(step: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... (and their tenths) that is not below."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def template_of(task: TaskState) -> str:
    """The task's id with `#` for each number; a later run counts to the task that it is a run of."""
    return re.sub(r"\d+", "#", run_of(task)[0])


def _waits(tasks: Iterable[TaskState]) -> list[float]:
    return [max(0.0, (task.started - task.created).total_seconds()) for task in tasks if task.created and task.started]


def _runs(tasks: Iterable[TaskState]) -> list[float]:
    """Of tasks that ended."""
    return [
        max(0.0, (task.ended - task.started).total_seconds())
        for task in tasks
        if task.completed and task.started and task.ended
    ]


def _templates(tasks: Sequence[TaskState]) -> tuple[TemplateFigures, ...]:
    """The most frequent ones by name; the rest of a job without templates are together."""
    groups: dict[str, list[TaskState]] = defaultdict(list)
    for task in tasks:
        groups[template_of(task)].append(task)
    if len(groups) > MOST_TEMPLATES:
        kept = sorted(groups, key=lambda name: (-len(groups[name]), name))[: MOST_TEMPLATES - 1]
        rest = [task for name, group in groups.items() if name not in set(kept) for task in group]
        groups = {**{name: groups[name] for name in kept}, OTHER: rest}
    return tuple(
        TemplateFigures(
            name=name,
            tasks=len(group),
            failed=sum(task.completed and not task.succeeded for task in group),
            wait=Spread.of(_waits(group)),
            run=Spread.of(_runs(group)),
        )
        for name, group in sorted(groups.items(), key=lambda item: (item[0] == OTHER, item[0]))
    )


def _endings(ended: Iterable[TaskState]) -> tuple[Ending, ...]:
    """Failures first, the most frequent first."""
    found: dict[tuple[int | None, bool, str], list[str]] = defaultdict(list)
    for task in ended:
        why = "" if task.succeeded else failure_texts.in_short(task.exit_code, task.failure)
        if not why and not task.succeeded:
            why = "it never started, or was ended before it had a code" if task.exit_code is None else failure_texts.OWN
        found[task.exit_code, task.succeeded, why].append(task.id)
    endings = (
        Ending(exit_code=code, succeeded=good, why=why, tasks=len(ids), first=min(ids))
        for (code, good, why), ids in found.items()
    )
    return tuple(sorted(endings, key=lambda one: (one.succeeded, -one.tasks, one.exit_code or 0, one.why)))


def _nodes(tasks: Iterable[TaskState], kinds: Mapping[str, bool], slots: int, now: datetime) -> tuple[NodeUse, ...]:
    groups: dict[str, list[TaskState]] = defaultdict(list)
    for task in tasks:
        if task.node_id and seconds(task, now) is not None:
            groups[task.node_id].append(task)
    found = []
    for node_id, group in sorted(groups.items()):
        begin = min(task.started for task in group if task.started)
        lasted = max(
            (task.started - begin).total_seconds() + (seconds(task, now) or 0.0) for task in group if task.started
        )
        busy = sum((seconds(task, now) or 0.0) * task.slots for task in group)
        found.append(
            NodeUse(
                id=node_id,
                dedicated=kinds.get(node_id),
                tasks=len(group),
                failed=sum(task.completed and not task.succeeded for task in group),
                hours=lasted / 3600,
                used=min(1.0, busy / (lasted * slots)) if lasted > 0 else 0.0,
            )
        )
    return tuple(found)


def logs_command(job_id: str, task: str) -> str:
    """The command that prints what a task wrote. Reports are passed on, so no path of this machine is in it."""
    return pasteable(f"{MODULE} logs {job_id} {task}", NAME)
