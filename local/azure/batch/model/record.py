"""A record's JSON form for the store: times as ISO texts, words of an enumeration as they are."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, get_type_hints


@dataclass(kw_only=True)
class Record:
    """What the store keeps."""

    def to_json(self) -> dict[str, Any]:
        """The record for the store."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in found.items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The record from the store; names that are not known any more are dropped."""
        hints = get_type_hints(cls)
        return cls(
            **{item.name: _revive(hints[item.name], data[item.name]) for item in fields(cls) if item.name in data}
        )


def _revive(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    options = [one for one in getattr(hint, "__args__", (hint,)) if isinstance(one, type)]
    for option in options:
        if issubclass(option, datetime):
            return datetime.fromisoformat(value)
        if issubclass(option, StrEnum):
            return option(value)
    return value
