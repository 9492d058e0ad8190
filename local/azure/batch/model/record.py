"""A record's JSON form for the store: times as ISO texts, words of an enumeration as they are.

What a field may be is read from its type once for each class: a start with a million tasks reads a million records.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Self, get_type_hints

_Read = Callable[[Any], Any]


@dataclass(kw_only=True)
class Record:
    """What the store keeps."""

    def to_json(self) -> dict[str, Any]:
        """The record for the store; what is None by default is left out."""
        times, optional = _form(type(self))[:2]
        found = {
            name: value for name, value in self.__dict__.items() if value is not None or name not in optional
        }  # fmt: skip
        for name in times:
            if name in found:
                found[name] = found[name].isoformat()
        return found

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The record from the store; names that are not known any more are dropped."""
        _, _, names, readers = _form(cls)
        for name, read in readers:
            value = data.get(name)
            if value is not None:
                data[name] = read(value)
        if not names.issuperset(data):
            data = {name: value for name, value in data.items() if name in names}
        return cls(**data)


@cache
def _form(cls: type[Record]) -> tuple[tuple[str, ...], frozenset[str], frozenset[str], tuple[tuple[str, _Read], ...]]:
    """(fields that are times, fields that are None unless given, all fields, how those are read that JSON changes)."""
    hints, known = get_type_hints(cls), fields(cls)
    readers = {item.name: read for item in known if (read := _reader(hints[item.name])) is not None}
    times = tuple(name for name, read in readers.items() if read == datetime.fromisoformat)
    optional = frozenset(item.name for item in known if item.default is None)
    return times, optional, frozenset(item.name for item in known), tuple(readers.items())


def _reader(hint: Any) -> _Read | None:
    for option in (one for one in getattr(hint, "__args__", (hint,)) if isinstance(one, type)):
        if issubclass(option, datetime):
            return datetime.fromisoformat
        if issubclass(option, StrEnum):
            return option
    return None
