"""The types of the formula language, what their operators give, and how a value is written in results.

The table of operations is the document's own: a pair that it does not list is refused with both types.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

_TICKS_PER_SECOND: Final = 10_000_000


class ValueProblem(Exception):
    """A value that an operation cannot work with; the caller knows where in the formula it stands."""


@dataclass(frozen=True, order=True)
class Interval:
    """A `timeinterval`, in ticks of 100 nanoseconds."""

    ticks: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.ticks / _TICKS_PER_SECOND

    @property
    def span(self) -> timedelta:
        """Its length; OverflowError beyond a million years."""
        return timedelta(microseconds=self.ticks / 10)


@dataclass(frozen=True)
class Option:
    """What happens to tasks on nodes that leave: a word that `$NodeDeallocationOption` takes."""

    name: str


Value = float | tuple[float, ...] | str | datetime | Interval | Option

OPTIONS: Final = ("requeue", "terminate", "taskcompletion", "retaineddata")
_INTERVALS: Final[Mapping[str, int]] = {
    "Zero": 0,
    "100ns": 1,
    "Microsecond": 10,
    "Millisecond": 10_000,
    "Second": _TICKS_PER_SECOND,
    "Minute": 60 * _TICKS_PER_SECOND,
    "Hour": 3600 * _TICKS_PER_SECOND,
    "Day": 86_400 * _TICKS_PER_SECOND,
    "Week": 7 * 86_400 * _TICKS_PER_SECOND,
    "Year": 365 * 86_400 * _TICKS_PER_SECOND,
}
CONSTANTS: Final[Mapping[str, Value]] = {
    **{f"TimeInterval_{name}": Interval(ticks) for name, ticks in _INTERVALS.items()},
    **{name: Option(name) for name in OPTIONS},
}
"""Names that stand for a value everywhere. A year has 365 days [guess]."""

_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (float, "double"),
    (tuple, "doubleVec"),
    (str, "string"),
    (datetime, "timestamp"),
    (Interval, "timeinterval"),
    (Option, "node deallocation option"),
)
_MEMBERS: Final[Mapping[str, Callable[[datetime], int]]] = {
    **{name: operator.attrgetter(name) for name in ("year", "month", "day", "hour", "minute", "second")},
    "weekday": lambda when: when.isoweekday() % 7,  # 1 is Monday (documented), 0 is Sunday [guess]
}


def kind(value: Value) -> str:
    """The type's name in the document."""
    return next(name for type_, name in _KINDS if isinstance(value, type_))


def member(value: Value, name: str) -> float:
    """A part of a timestamp, in UTC."""
    if not isinstance(value, datetime):
        raise ValueProblem(f"A {kind(value)} has no member {name}")
    if name not in _MEMBERS:
        raise ValueProblem(f"A timestamp has no member {name}: it has {', '.join(_MEMBERS)}")
    return float(_MEMBERS[name](value.astimezone(UTC)))


def negate(sign: str, value: Value) -> Value:
    """`-` and `!` before a value."""
    if sign == "-" and isinstance(value, Interval):
        return Interval(-value.ticks)
    if not isinstance(value, float):
        raise ValueProblem(f"Operator {sign} does not take a {kind(value)}")
    return -value if sign == "-" else float(not value)


def truth(value: Value) -> bool:
    """A double in a test: all but zero is true."""
    if not isinstance(value, float):
        raise ValueProblem(f"A test takes a double, not a {kind(value)}")
    return value != 0


def _divide(left: float, right: float) -> float:
    if right == 0:
        raise ValueProblem("Division by zero")  # [guess]
    return left / right


_ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
}
_COMPARISON: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
    "!=": operator.ne,
}


def _times(interval: Interval, factor: float) -> Interval:
    return Interval(round(interval.ticks * factor))


def _componentwise(sign: str, left: tuple[float, ...], right: tuple[float, ...]) -> tuple[float, ...]:
    if len(left) != len(right):
        raise ValueProblem(f"Operator {sign} takes lists of one length, got {len(left)} and {len(right)} numbers")
    return tuple(_ARITHMETIC[sign](one, other) for one, other in zip(left, right, strict=True))


_RULES: Final[Mapping[tuple[str, str, str], Callable[[Any, Any], Value]]] = {
    **{("double", sign, "double"): apply for sign, apply in _ARITHMETIC.items()},
    **{
        ("doubleVec", sign, "double"): lambda vec, one, apply=apply: tuple(apply(part, one) for part in vec)
        for sign, apply in _ARITHMETIC.items()
    },
    **{
        ("doubleVec", sign, "doubleVec"): lambda left, right, sign=sign: _componentwise(sign, left, right)
        for sign in _ARITHMETIC
    },
    ("double", "*", "timeinterval"): lambda factor, interval: _times(interval, factor),
    ("timeinterval", "*", "double"): _times,
    ("timeinterval", "/", "double"): lambda interval, part: _times(interval, _divide(1.0, part)),
    ("timeinterval", "+", "timeinterval"): lambda left, right: Interval(left.ticks + right.ticks),
    ("timeinterval", "-", "timeinterval"): lambda left, right: Interval(left.ticks - right.ticks),
    ("timeinterval", "+", "timestamp"): lambda interval, when: when + interval.span,
    ("timestamp", "+", "timeinterval"): lambda when, interval: when + interval.span,
    ("timestamp", "-", "timestamp"): lambda left, right: Interval((left - right) // timedelta(microseconds=1) * 10),
    **{
        (type_, sign, type_): lambda left, right, compare=compare: float(compare(left, right))
        for type_ in ("double", "string", "timestamp", "timeinterval")
        for sign, compare in _COMPARISON.items()
    },
}


def combine(left: Value, sign: str, right: Value) -> Value:
    """The value of a binary operator other than && and ||."""
    rule: Callable[[Any, Any], Value] | None = _RULES.get((kind(left), sign, kind(right)))
    if rule is None:
        raise ValueProblem(f"Operator {sign} does not take a {kind(left)} and a {kind(right)}")
    pair: tuple[Any, Any] = left, right  # of the types that the rule is for
    try:
        return rule(*pair)
    except (OverflowError, ValueError) as error:
        raise ValueProblem(f"Operator {sign} gives a value that is too large") from error


def timestamp(text: str) -> datetime:
    """A W3C-DTF or RFC 1123 text as a time; without a zone it is UTC [guess]."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            value = read(text.strip())
        except (ValueError, TypeError):
            continue
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    raise ValueProblem(f'"{text}" is no time such as 2026-01-31T12:00:00Z or Sat, 31 Jan 2026 12:00:00 GMT')


def written(value: Value) -> str:
    """A value as results have it: six significant digits (recorded), times with milliseconds (documented).

    Lists in brackets are documented; the form of intervals is .NET's [guess].
    """
    match value:
        case float():
            return f"{value:.6g}"
        case tuple():
            return f"[{','.join(f'{part:.6g}' for part in value)}]"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
        case Interval():
            return _written_interval(value)
        case Option():
            return value.name
        case _:
            return str(value)


def _written_interval(value: Interval) -> str:
    seconds, ticks = divmod(abs(value.ticks), _TICKS_PER_SECOND)
    days, seconds = divmod(seconds, 86_400)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{'-' if value.ticks < 0 else ''}{f'{days}.' if days else ''}{clock}{f'.{ticks:07d}' if ticks else ''}"


def finite(value: float) -> float:
    """The number, unless it is none."""
    if not math.isfinite(value):
        raise ValueProblem("The value is not a finite number")
    return value
