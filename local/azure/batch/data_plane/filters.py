"""`$filter`: the OData subset of Batch as a predicate over a resource's wire form.

`and`, `or`, `not`, parentheses, eq/ne/gt/ge/lt/le, startswith(property, 'text'), strings, numbers, true/false, null and
DateTime'...'; text compares without case. An unknown property is an error, as it is on Azure
(docs/azure-facts.md#forms-on-the-wire).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from local.azure.batch.errors import InvalidQueryParameterValue
from local.azure.batch.model.durations import parse_stamp

Predicate = Callable[[dict[str, Any]], bool]

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


def parse_filter(text: str, properties: Collection[str]) -> Predicate:
    """The predicate, or InvalidQueryParameterValue. `properties` are the top-level names that may be asked for."""
    return _Parser(text, properties).parse()


class _Parser:
    def __init__(self, text: str, properties: Collection[str]) -> None:
        self._text, self._properties = text, {name.lower(): name for name in properties}
        self._tokens = list(self._scan())
        self._at = 0

    def parse(self) -> Predicate:
        predicate = self._or()
        if self._at < len(self._tokens):
            raise self._error(f"unexpected {self._tokens[self._at][1]!r}")
        return predicate

    def _scan(self) -> Any:
        position = 0
        while self._text[position:].strip():
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise self._error(f"cannot read {self._text[position:]!r}")
            kind = match.lastgroup if match.lastgroup != "when" else "time"
            yield kind, match.group(str(kind)), match
            position = match.end()

    def _or(self) -> Predicate:
        left = self._and()
        while self._word("or"):
            left = _either(left, self._and())
        return left

    def _and(self) -> Predicate:
        left = self._not()
        while self._word("and"):
            left = _both(left, self._not())
        return left

    def _not(self) -> Predicate:
        if self._word("not"):
            inner = self._not()
            return lambda item: not inner(item)
        if self._take("open"):
            inner = self._or()
            self._expect("close")
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        if self._word("startswith"):
            self._expect("open")
            path = self._property()
            self._expect("comma")
            prefix = self._value()
            self._expect("close")
            return lambda item: str(_dig(item, path, "")).lower().startswith(str(prefix).lower())
        path = self._property()
        operator = self._expect("word").lower()
        value = self._value()
        if operator == "eq":
            return lambda item: _same(_dig(item, path), value)
        if operator == "ne":
            return lambda item: not _same(_dig(item, path), value)
        if operator not in _ORDER:
            raise self._error(f"unknown operator {operator!r}; known: eq, ne, gt, ge, lt, le")
        return lambda item: _ordered(_dig(item, path), value, _ORDER[operator])

    def _property(self) -> list[str]:
        path = self._expect("word").split("/")
        known = self._properties.get(path[0].lower())
        if known is None:
            raise self._error(f"unknown property {path[0]!r}; known: {', '.join(sorted(self._properties.values()))}")
        return [known, *path[1:]]

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


def _dig(item: dict[str, Any], path: list[str], default: Any = _MISSING) -> Any:
    found: Any = item
    for name in path:
        if not isinstance(found, dict) or name not in found:
            return default
        found = found[name]
    return found


def _same(found: Any, value: Any) -> bool:
    if found is _MISSING or found is None:
        return value is None
    if isinstance(value, datetime):
        return isinstance(found, str) and parse_stamp(found) == value
    if isinstance(found, str) and isinstance(value, str):
        return found.lower() == value.lower()
    if isinstance(found, bool) != isinstance(value, bool):
        return False
    return found == value


def _ordered(found: Any, value: Any, compare: Callable[[Any, Any], bool]) -> bool:
    if found is _MISSING or found is None or value is None:
        return False
    if isinstance(value, datetime) and isinstance(found, str):
        return compare(parse_stamp(found), value)
    if isinstance(found, str) and isinstance(value, str):
        return compare(found.lower(), value.lower())
    if isinstance(found, int | float) and isinstance(value, int | float):
        return compare(found, value)
    return False
