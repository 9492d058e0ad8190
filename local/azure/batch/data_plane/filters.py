"""`$filter`: the OData subset of Batch as a predicate over a resource.

A resource is its wire form, or a `Row` whose wire form is made only when a filter asks for something that its record
cannot say directly: a list is filtered on records.

`and`, `or`, `not`, parentheses, eq/ne/gt/ge/lt/le, startswith(property, 'text'), strings, numbers, true/false, null and
DateTime'...'; text compares without case. An unknown property is an error, as it is on Azure
(docs/azure-facts.md#forms-on-the-wire).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.azure.batch.errors import InvalidQueryParameterValue
from local.azure.batch.model.durations import parse_stamp

Path = tuple[str, ...]
Fields = Mapping[Path, Callable[[Any], Any]]
"""What is read from a record without making its wire form: the property's path -> its value there."""


class Row:
    """A resource in a list: its record, and how its wire form is made."""

    __slots__ = ("_view", "_wire", "record")

    def __init__(self, record: Any, view: Callable[[], dict[str, Any]]) -> None:
        self.record = record
        self._view = view
        self._wire: dict[str, Any] | None = None

    def wire(self) -> dict[str, Any]:
        """The wire form, made once."""
        if self._wire is None:
            self._wire = self._view()
        return self._wire


Item = dict[str, Any] | Row
Predicate = Callable[[Item], bool]


@dataclass(frozen=True)
class Filter:
    """A filter. `certain`: what holds of every resource that it keeps, by property: (operator, value)."""

    keeps: Predicate
    certain: Mapping[Path, tuple[str, Any]] = field(default_factory=dict)

    def __call__(self, item: Item) -> bool:
        return self.keeps(item)


_TOKEN = re.compile(
    r"\s*(?:(?P<open>\()|(?P<close>\))|(?P<comma>,)|(?P<time>datetime'(?P<when>[^']*)')|(?P<text>'(?:[^']|'')*')"
    r"|(?P<number>-?\d+(?:\.\d+)?)(?![\w/])|(?P<word>[A-Za-z_][\w./]*))",
    re.IGNORECASE | re.ASCII,
)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
}
_MISSING = object()


def parse_filter(text: str, properties: Collection[str], fields: Fields | None = None) -> Filter:
    """The filter, or InvalidQueryParameterValue. `properties` are the top-level names that may be asked for, `fields`
    how some are read from a row's record."""
    return _Parser(text, properties, fields or {}).parse()


class _Parser:
    def __init__(self, text: str, properties: Collection[str], fields: Fields) -> None:
        self._text = text
        self._properties = {name.lower(): name for name in properties}
        self._fields = fields
        self._tokens = list(self._scan())
        self._at = 0

    def parse(self) -> Filter:
        parsed = self._or()
        if self._at < len(self._tokens):
            raise self._error(f"unexpected {self._tokens[self._at][1]!r}")
        return parsed

    def _scan(self) -> Any:
        position = 0
        while self._text[position:].strip():
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise self._error(f"cannot read {self._text[position:]!r}")
            kind = match.lastgroup if match.lastgroup != "when" else "time"
            yield kind, match.group(str(kind)), match
            position = match.end()

    def _or(self) -> Filter:
        left = self._and()
        while self._word("or"):
            left = Filter(_either(left.keeps, self._and().keeps))
        return left

    def _and(self) -> Filter:
        left = self._not()
        while self._word("and"):
            right = self._not()
            left = Filter(_both(left.keeps, right.keeps), {**left.certain, **right.certain})
        return left

    def _not(self) -> Filter:
        if self._word("not"):
            inner = self._not().keeps
            return Filter(lambda item: not inner(item))
        if self._take("open"):
            inner = self._or()
            self._expect("close")
            return inner
        return self._comparison()

    def _comparison(self) -> Filter:
        if self._word("startswith"):
            self._expect("open")
            path = self._property()
            self._expect("comma")
            prefix, read = str(self._value()).lower(), self._reader(path)
            self._expect("close")
            return Filter(lambda item: _text(read(item)).lower().startswith(prefix), {path: ("startswith", prefix)})
        path = self._property()
        operator = self._expect("word").lower()
        value, read = self._value(), self._reader(path)
        if operator == "eq":
            return Filter(lambda item: _same(read(item), value), {path: ("eq", value)})
        if operator == "ne":
            return Filter(lambda item: not _same(read(item), value))
        if operator not in _ORDER:
            raise self._error(f"unknown operator {operator!r}; known: eq, ne, gt, ge, lt, le")
        return Filter(lambda item: _ordered(read(item), value, _ORDER[operator]))

    def _reader(self, path: Path) -> Callable[[Item], Any]:
        of_record = self._fields.get(path)
        if of_record is None:
            return lambda item: _dig(item.wire() if isinstance(item, Row) else item, path)
        return lambda item: of_record(item.record) if isinstance(item, Row) else _dig(item, path)

    def _property(self) -> Path:
        path = self._expect("word").split("/")
        name = self._properties.get(path[0].lower())
        if name is None:
            raise self._error(f"unknown property {path[0]!r}; known: {', '.join(sorted(self._properties.values()))}")
        return (name, *path[1:])

    def _value(self) -> Any:
        if self._at >= len(self._tokens):
            raise self._error("a value is missing at the end")
        kind, text, match = self._tokens[self._at]
        self._at += 1
        if kind == "time":
            try:
                return parse_stamp(match.group("when"))
            except ValueError as error:
                raise self._error(str(error)) from error
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text)
        if kind == "word" and text.lower() in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text.lower()]
        raise self._error(f"expected a value, got {text!r}")

    def _word(self, wanted: str) -> bool:
        if self._at < len(self._tokens):
            kind, text, _ = self._tokens[self._at]
            if kind == "word" and text.lower() == wanted:
                self._at += 1
                return True
        return False

    def _take(self, wanted: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == wanted:
            self._at += 1
            return True
        return False

    def _expect(self, wanted: str) -> str:
        if self._at >= len(self._tokens):
            raise self._error(f"expected a {wanted} at the end")
        kind, text, _ = self._tokens[self._at]
        if kind != wanted:
            raise self._error(f"expected a {wanted}, got {text!r}")
        self._at += 1
        return text

    def _error(self, reason: str) -> InvalidQueryParameterValue:
        details = [("QueryParameterName", "$filter"), ("QueryParameterValue", self._text), ("Reason", reason)]
        return InvalidQueryParameterValue(details=details)


def _both(left: Predicate, right: Predicate) -> Predicate:
    return lambda item: left(item) and right(item)


def _either(left: Predicate, right: Predicate) -> Predicate:
    return lambda item: left(item) or right(item)


def _dig(item: dict[str, Any], path: Path) -> Any:
    value: Any = item
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return value


def _text(found: Any) -> str:
    return "" if found is _MISSING or found is None else str(found)


def _same(found: Any, value: Any) -> bool:
    if found is _MISSING or found is None:
        return value is None
    if isinstance(value, datetime):
        return _time(found) == value
    if isinstance(found, str) and isinstance(value, str):
        return found.lower() == value.lower()
    if isinstance(found, bool) != isinstance(value, bool):
        return False
    return found == value


def _time(found: Any) -> datetime | None:
    """A time in a record, or on the wire."""
    if isinstance(found, str):
        return parse_stamp(found)
    return found if isinstance(found, datetime) else None


def _ordered(found: Any, value: Any, compare: Callable[[Any, Any], bool]) -> bool:
    if found is _MISSING or found is None or value is None:
        return False
    if isinstance(value, datetime):
        when = _time(found)
        return when is not None and compare(when, value)
    if isinstance(found, str) and isinstance(value, str):
        return compare(found.lower(), value.lower())
    if isinstance(found, int | float) and isinstance(value, int | float):
        return compare(found, value)
    return False
