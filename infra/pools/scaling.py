"""How many nodes a pool has: from a scenario's limits to Batch's scale settings. Pure functions of settings.

A scenario other than `fixed` becomes an autoscale formula, which Batch evaluates every five minutes. Formulas are made
to be read: a comment says the scenario and its limits, and every line has one thought. What they rely on
(learn.microsoft.com/azure/batch/batch-automatic-scaling):

- `$PendingTasks` are waiting and running tasks, so a pool does not shrink under the work that it has.
- A pool is new, or Batch was slow, when fewer than 70 % of the samples are there: then only the newest one counts.
- `weekday` is 0 on Sunday; all times are UTC.
- With `taskcompletion` a node leaves when its tasks are done. It takes no new ones meanwhile.

A number of nodes is a fraction (tasks / slots). Whether Batch cuts it off or rounds it is not documented: `+ slots - 1`
gives enough nodes in both cases, and at most one too many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from infra.settings.pools import (
    PendingTasksScale,
    Scale,
    SpotWithDedicatedFloorScale,
    WorkingHoursScale,
    ZeroAtNightScale,
)

EVALUATION_INTERVAL: Final = "PT5M"
"""The shortest that Batch allows."""
RESIZE_TIMEOUT: Final = "PT15M"
SAMPLES: Final = "TimeInterval_Minute * 10"
"""How far back waiting tasks count: a pool grows at once and shrinks when ten minutes were quieter."""

_KEEP_TASKS: Final = "$NodeDeallocationOption = taskcompletion;"


@dataclass(frozen=True)
class FixedSize:
    """A size that only the stack file changes."""

    dedicated_nodes: int
    spot_nodes: int


@dataclass(frozen=True)
class AutoScale:
    """A size that Batch computes."""

    formula: str


def scale_of(scale: Scale, slots: int) -> FixedSize | AutoScale:
    """Batch's scale settings for nodes that take `slots` tasks each."""
    if scale.fixed is not None:
        return FixedSize(scale.fixed.dedicated_nodes, scale.fixed.spot_nodes)
    if scale.pending_tasks is not None:
        return AutoScale(_pending_tasks(scale.pending_tasks, slots))
    if scale.working_hours is not None:
        return AutoScale(_working_hours(scale.working_hours))
    if scale.zero_at_night is not None:
        return AutoScale(_zero_at_night(scale.zero_at_night, slots))
    assert scale.spot_with_dedicated_floor is not None  # the settings have exactly one scenario
    return AutoScale(_spot_with_dedicated_floor(scale.spot_with_dedicated_floor, slots))


def _pending_tasks(settings: PendingTasksScale, slots: int) -> str:
    kind = "spot" if settings.spot else "dedicated"
    wanted, other = ("LowPriority", "Dedicated") if settings.spot else ("Dedicated", "LowPriority")
    return _lines(
        f"// pending_tasks: {settings.min_nodes} to {settings.max_nodes} {kind} nodes, {_each(slots)}",
        *_needed(slots),
        f"$Target{wanted}Nodes = max({settings.min_nodes}, min({settings.max_nodes}, needed));",
        f"$Target{other}Nodes = 0;",
        _KEEP_TASKS,
    )


def _working_hours(settings: WorkingHoursScale) -> str:
    return _lines(
        f"// working_hours: {settings.nodes} nodes Monday to Friday {settings.from_hour}:00 to"
        f" {settings.to_hour}:00 UTC, else {settings.other_nodes}",
        "now = time();",
        "isWorkday = now.weekday >= 1 && now.weekday <= 5;",
        f"isWorkingHour = now.hour >= {settings.from_hour} && now.hour < {settings.to_hour};",
        f"$TargetDedicatedNodes = isWorkday && isWorkingHour ? {settings.nodes} : {settings.other_nodes};",
        "$TargetLowPriorityNodes = 0;",
        _KEEP_TASKS,
    )


def _zero_at_night(settings: ZeroAtNightScale, slots: int) -> str:
    begin, end = settings.night_from_hour, settings.night_to_hour
    both = "||" if begin > end else "&&"  # a night over midnight is two ends of a day
    return _lines(
        f"// zero_at_night: {settings.min_nodes} to {settings.max_nodes} dedicated nodes, {_each(slots)};"
        f" none from {begin}:00 to {end}:00 UTC",
        *_needed(slots),
        "now = time();",
        f"isNight = now.hour >= {begin} {both} now.hour < {end};",
        f"$TargetDedicatedNodes = isNight ? 0 : max({settings.min_nodes}, min({settings.max_nodes}, needed));",
        "$TargetLowPriorityNodes = 0;",
        _KEEP_TASKS,
    )


def _spot_with_dedicated_floor(settings: SpotWithDedicatedFloorScale, slots: int) -> str:
    floor, most = settings.dedicated_nodes, settings.max_spot_nodes
    return _lines(
        f"// spot_with_dedicated_floor: {floor} dedicated nodes always, 0 to {most} spot nodes for what they cannot"
        f" take, {_each(slots)}",
        *_needed(slots),
        f"$TargetDedicatedNodes = {floor};",
        f"$TargetLowPriorityNodes = max(0, min({most}, needed - {floor}));",
        _KEEP_TASKS,
    )


def _each(slots: int) -> str:
    return f"one for each {slots} tasks" if slots > 1 else "one for each task"


def _needed(slots: int) -> tuple[str, ...]:
    """Lines that compute `needed`: the nodes that the present tasks fill."""
    return (
        f"known = $PendingTasks.GetSamplePercent({SAMPLES});",
        "newest = max(0, $PendingTasks.GetSample(1));",
        f"tasks = known < 70 ? newest : max(newest, avg($PendingTasks.GetSample({SAMPLES})));",
        f"needed = (tasks + {slots - 1}) / {slots};" if slots > 1 else "needed = tasks;",
    )


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"
