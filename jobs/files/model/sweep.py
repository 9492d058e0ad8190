"""`sweep`: lists, ranges and dates whose product is the tasks; those under `zip` go together."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from math import prod
from typing import Annotated, Any, Final, Self, overload

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from ..document import Plain
from .fields import Section, Text, Whole

ZIP: Final = "zip"  # in a sweep: not a placeholder, but values that go together
MOST_SWEPT: Final = 10_000_000  # tasks of a sweep: more are a typing error
_RANGE_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Listing(Sequence[str]):
    """The values of a range, made when they are asked for: a million of them take no memory."""

    def __init__(self, count: int, value: Callable[[int], str]) -> None:
        self._count = count
        self._value = value

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self._value(one) for one in range(self._count)[place]]
        return self._value(range(self._count)[place])


def _range_number(value: str) -> str:
    if not _RANGE_NUMBER.fullmatch(value):
        raise ValueError(f"expected a whole number, got {Plain(value)!r}")
    return value


class Range(Section):
    """`{range: [first, last]}`, both included; a third number is the step.

    With zeros before the first number all have its width: `[01, 12]` gives 01, 02, ... 12.
    """

    range: list[Annotated[Text, AfterValidator(_range_number)]] = Field(min_length=2, max_length=3)

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        first, last, step = self._numbers
        written = f"[{', '.join(self.range)}]"
        if step < 1 or last < first:
            raise ValueError(f"expected [first, last] or [first, last, step] going up, got {written}")
        if self._width and len(self.range[1]) != self._width:
            raise ValueError(
                f"with zeros before the first number, expected both equally wide, like [001, 100], got {written}"
            )
        return self

    @property
    def _numbers(self) -> tuple[int, int, int]:
        first, last, *step = map(int, self.range)
        return first, last, step[0] if step else 1

    @property
    def _width(self) -> int:
        """Digits of each value; 0 for as many as it needs."""
        return next((len(end) for end in self.range[:2] if len(end) > 1 and end.lstrip("-").startswith("0")), 0)

    def values(self) -> Sequence[str]:
        first, last, step = self._numbers
        width = self._width
        return Listing((last - first) // step + 1, lambda place: f"{first + place * step:0{width}d}")


def _day(value: Any) -> date:
    """A date as 2026-01-31 only: other forms, and numbers that are times of a clock, are no dates of a sweep."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    if isinstance(value, date):
        return value
    raise ValueError(f"expected a date like 2026-01-31, got {value!r}")


Day = Annotated[date, BeforeValidator(_day)]


class Dates(Section):
    """`{dates: [2026-01-01, 2026-01-31]}`, both included; a third number is the step in days."""

    dates: list[Day | Whole] = Field(min_length=2, max_length=3)

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        first, last, step = *self.dates[:2], [*self.dates, 1][2]
        good = isinstance(first, date) and isinstance(last, date) and first <= last
        if not good or not isinstance(step, int) or step < 1:
            raise ValueError("expected [first, last] or [first, last, days] going up, like [2026-01-01, 2026-01-31]")
        return self

    def values(self) -> Sequence[str]:
        first, last, step = *self.dates[:2], [*self.dates, 1][2]
        assert isinstance(first, date)
        assert isinstance(last, date)
        assert isinstance(step, int)
        return Listing(
            (last - first).days // step + 1, lambda place: (first + timedelta(days=place * step)).isoformat()
        )


def _kind(value: Any) -> str | None:
    """Which of the forms of a sweep's values this is; None is told as an error."""
    if isinstance(value, list | Range | Dates):
        return {list: "list", Range: "range", Dates: "dates"}[type(value)]
    if isinstance(value, dict):
        return next((name for name in ("range", "dates") if name in value), "zip")
    return None


_FORMS: Final = "expected a list of values, {range: [1, 31]} or {dates: [2026-01-01, 2026-01-31]}"
Listed = Annotated[list[Text], Tag("list")]
Ranged = Annotated[Range, Tag("range")]
Dated = Annotated[Dates, Tag("dates")]
_Told = Discriminator(_kind, custom_error_type="sweep_values", custom_error_message=_FORMS)
Values = Annotated[Listed | Ranged | Dated, _Told]
SweepValues = Annotated[Listed | Ranged | Dated | Annotated[dict[str, Values], Tag("zip")], _Told]


def check(sweep: Mapping[str, Any]) -> None:
    """Raises `ValueError` for an entry without values, columns that do not go together, and too many tasks."""
    for name, values in sweep.items():
        if values == [] or values == {}:
            raise ValueError(f"sweep.{name} has no values; give it one or more")
        if isinstance(values, dict):
            _check_zip(name, values)
    _check_names(sweep)
    count = prod(len(listed(values)) for values in _axes(sweep))
    if count > MOST_SWEPT:
        raise ValueError(f"sweep: {count} tasks; a sweep gives at most {MOST_SWEPT}. Write rows into a file")


def _check_zip(name: str, columns: dict[str, Any]) -> None:
    """A mapping in a sweep is only `zip`, and its columns are equally long."""
    if name != ZIP:
        raise ValueError(f"sweep.{name}: {_FORMS}; values that go together are under `zip`")
    lengths = {column: len(listed(values)) for column, values in columns.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        told = ", ".join(f"{column} has {length}" for column, length in lengths.items())
        raise ValueError(f"sweep.zip: values that go together are equally many and not none; {told}")


def _check_names(sweep: Mapping[str, Any]) -> None:
    """No placeholder is both under `zip` and beside it."""
    together = sweep.get(ZIP)
    doubled = [name for name in together if name in sweep] if isinstance(together, dict) else []
    if doubled:
        raise ValueError(f"sweep.zip.{doubled[0]} is there twice: also as sweep.{doubled[0]}; rename one")


def listed(values: Any) -> Sequence[str]:
    """The values of one sweep entry."""
    return values if isinstance(values, list) else values.values()


def _axes(sweep: Mapping[str, Any]) -> list[Any]:
    """The values of every axis of the product: of those that go together the first, for all are equally many."""
    return [next(iter(values.values())) if isinstance(values, dict) else values for values in sweep.values()]
