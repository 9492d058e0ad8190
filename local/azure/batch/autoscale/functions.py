"""The functions of the formula language: name -> what it takes and gives.

A "doubleVecList" (the document's word) is any number of doubles and lists of doubles, taken as one list.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from local.azure.batch.autoscale.values import Value, ValueProblem, finite, kind, timestamp

Function = Callable[[Sequence[Value]], Value]


def _doubles(name: str, arguments: Sequence[Value]) -> list[float]:
    numbers: list[float] = []
    for value in arguments:
        if isinstance(value, float):
            numbers.append(value)
        elif isinstance(value, tuple):
            numbers += value
        else:
            raise ValueProblem(f"Function {name} takes doubles and lists of doubles, not a {kind(value)}")
    return numbers


def _of_list(name: str, compute: Callable[[list[float]], float], *, least: int = 1) -> Function:
    """A function of a doubleVecList that gives a double; what it gives for no number is not documented: refused."""

    def function(arguments: Sequence[Value]) -> Value:
        numbers = _doubles(name, arguments)
        if len(numbers) < least:
            raise ValueProblem(f"Function {name} got no number")
        return finite(float(compute(numbers)))

    return function


def _componentwise(name: str, compute: Callable[[float], float]) -> Function:
    """One double gives a double; a list, or several values, give a list."""

    def one(value: float) -> float:
        try:
            return float(compute(value))
        except (ValueError, OverflowError) as error:
            raise ValueProblem(f"Function {name} has no value for {value:g}") from error

    def function(arguments: Sequence[Value]) -> Value:
        numbers = tuple(one(value) for value in _doubles(name, arguments))
        if not arguments:
            raise ValueProblem(f"Function {name} takes a double or a list of doubles")
        return numbers[0] if len(arguments) == 1 and isinstance(arguments[0], float) else numbers

    return function


def _rounded(value: float) -> float:
    """The nearest integer; half of one goes away from zero."""
    return math.copysign(math.floor(abs(value) + 0.5), value)


def _deviation(numbers: list[float]) -> float:
    """The sample standard deviation; 0 of one number [guess]."""
    return statistics.stdev(numbers) if len(numbers) > 1 else 0.0


def _vector(name: str, arguments: Sequence[Value]) -> tuple[tuple[float, ...], float]:
    if len(arguments) == 2 and isinstance(arguments[0], tuple) and isinstance(arguments[1], float):
        return arguments[0], arguments[1]
    given = ", ".join(map(kind, arguments)) or "nothing"
    raise ValueProblem(f"Function {name} takes a doubleVec and a double, not {given}")


def _value(arguments: Sequence[Value]) -> Value:
    vector, index = _vector("val", arguments)
    if not 0 <= index < len(vector):
        raise ValueProblem(f"Function val: there is no element {index:g} in a list of {len(vector)}")
    return vector[int(index)]


def _percentile(arguments: Sequence[Value]) -> Value:
    """The element at that rank (nearest rank) [guess: the document says "the percentile element"]."""
    vector, percent = _vector("percentile", arguments)
    if not 0 <= percent <= 100:
        raise ValueProblem(f"Function percentile takes 0 to 100, not {percent:g}")
    if not vector:
        raise ValueProblem("Function percentile got no number")
    return sorted(vector)[max(0, math.ceil(percent / 100 * len(vector)) - 1)]


def _vec(arguments: Sequence[Value]) -> Value:
    return tuple(_doubles("vec", arguments))


OF_VALUES: Final[Mapping[str, Function]] = {
    "avg": _of_list("avg", statistics.fmean),
    "ceil": _componentwise("ceil", math.ceil),
    "floor": _componentwise("floor", math.floor),
    "len": _of_list("len", len, least=0),
    "lg": _componentwise("lg", math.log2),
    "ln": _componentwise("ln", math.log),
    "log": _componentwise("log", math.log10),
    "max": _of_list("max", max),
    "min": _of_list("min", min),
    "norm": _of_list("norm", lambda numbers: math.hypot(*numbers), least=0),
    "percentile": _percentile,
    "range": _of_list("range", lambda numbers: max(numbers) - min(numbers)),
    "round": _componentwise("round", _rounded),
    "std": _of_list("std", _deviation),
    "sum": _of_list("sum", math.fsum, least=0),
    "val": _value,
    "vec": _vec,
}
"""Functions of their arguments alone."""

OF_THE_MOMENT: Final = ("rand", "stop", "time")
"""The others: `evaluation.py` has them."""

FUNCTIONS: Final = frozenset((*OF_VALUES, *OF_THE_MOMENT))


def moment(arguments: Sequence[Value], now: datetime) -> Value:
    """`time()`: now; `time("...")`: the time that the text names."""
    match arguments:
        case []:
            return now
        case [str(text)]:
            return timestamp(text) if text else now
        case _:
            raise ValueProblem(f"Function time takes one string or nothing, not {', '.join(map(kind, arguments))}")
