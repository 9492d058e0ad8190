"""Metrics: the service-defined variables that a formula reads, and the methods that read their history.

The service takes a sample of every metric each 30 s (documented). An interval given to a method is counted back from
now; of two of them the order does not matter, as in the document's examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from local.azure.batch.autoscale.values import Interval, Value, ValueProblem, kind

PERIOD: Final = timedelta(seconds=30)
METRICS: Final = (
    "$ActiveTasks",
    "$RunningTasks",
    "$PendingTasks",
    "$SucceededTasks",
    "$FailedTasks",
    "$TaskSlotsPerNode",
    "$CurrentDedicatedNodes",
    "$CurrentLowPriorityNodes",
    "$UsableNodeCount",
    "$PreemptedNodeCount",
    "$SampleNodeCount",
)
"""What the local Azure measures."""

UNMEASURED: Final = (
    "$CPUPercent",
    "$WallClockSeconds",
    "$MemoryBytes",
    "$DiskBytes",
    "$DiskReadBytes",
    "$DiskWriteBytes",
    "$DiskReadOps",
    "$DiskWriteOps",
    "$NetworkInBytes",
    "$NetworkOutBytes",
)
"""Documented metrics of what nodes use: the local Azure does not measure them. With samples given they work."""


class TooFewSamples(Exception):
    """A formula wanted more of a time's samples than there are."""


@dataclass(frozen=True)
class Metric:
    """One variable: what it is now, and its samples, the oldest first."""

    name: str
    value: float
    samples: Sequence[tuple[datetime, float]] = ()


def _instant(value: Value, now: datetime) -> datetime:
    if isinstance(value, Interval):
        return now - value.span
    if isinstance(value, datetime):
        return value
    raise ValueProblem(f"expected a timestamp or timeinterval, got a {kind(value)}")


def _window(arguments: Sequence[Value], now: datetime) -> tuple[datetime, datetime]:
    try:
        ends = sorted([_instant(value, now) for value in arguments] + ([now] if len(arguments) == 1 else []))
    except OverflowError as error:
        raise ValueProblem("the time lies before the calendar begins") from error
    return ends[0], ends[1]


def _within(metric: Metric, begin: datetime, end: datetime) -> tuple[float, ...]:
    return tuple(value for at, value in metric.samples if begin < at <= end)


def _percent(metric: Metric, begin: datetime, end: datetime) -> float:
    expected = max(1, math.floor((end - begin) / PERIOD))
    return min(100.0, 100 * len(_within(metric, begin, end)) / expected)


def _get_sample(metric: Metric, arguments: Sequence[Value], now: datetime) -> Value:
    match arguments:
        case [float(count)]:
            if count < 1:
                raise ValueProblem(f"GetSample takes 1 or more samples, not {count:g}")
            return tuple(value for _, value in metric.samples[-int(count) :])
        case [_] | [_, _] | [_, _, float()]:
            least = arguments[-1] if isinstance(arguments[-1], float) else 0.0
            times = [value for value in arguments if not isinstance(value, float)]
            if not times:
                raise ValueProblem("GetSample takes a number of samples alone, or times")
            begin, end = _window(times, now)
            if (percent := _percent(metric, begin, end)) < least:
                raise TooFewSamples(
                    f"Insufficient data from data set: {metric.name} wanted {least:.6g}%, received {percent:.6g}%"
                )
            return _within(metric, begin, end)
    raise ValueProblem(
        "GetSample takes a number of samples, or a start time, an end time and a percentage; "
        f"not {', '.join(map(kind, arguments)) or 'nothing'}"
    )


def _get_sample_percent(metric: Metric, arguments: Sequence[Value], now: datetime) -> Value:
    if not 1 <= len(arguments) <= 2:
        raise ValueProblem(f"GetSamplePercent takes a start time and an end time, got {len(arguments)} values")
    return _percent(metric, *_window(arguments, now))


def _history_begin(metric: Metric, arguments: Sequence[Value], now: datetime) -> Value:
    return metric.samples[0][0] if metric.samples else now  # without samples: [guess]


_METHODS: Final[Mapping[str, Callable[[Metric, Sequence[Value], datetime], Value]]] = {
    "GetSample": _get_sample,
    "GetSamplePercent": _get_sample_percent,
    "GetSamplePeriod": lambda metric, arguments, now: Interval(PERIOD // timedelta(microseconds=1) * 10),
    "HistoryBeginTime": _history_begin,
    "Count": lambda metric, arguments, now: float(len(metric.samples)),
}
METHODS: Final = frozenset(_METHODS)
_WITHOUT_ARGUMENTS: Final = ("GetSamplePeriod", "HistoryBeginTime", "Count")


def call(metric: Metric, name: str, arguments: Sequence[Value], now: datetime) -> Value:
    """The method's value. Raises ValueProblem and TooFewSamples."""
    if name in _WITHOUT_ARGUMENTS and arguments:
        raise ValueProblem(f"{name} takes no values, got {len(arguments)}")
    return _METHODS[name](metric, arguments, now)
