"""What every resource of the data plane carries: creation, state with its history of one, last change and etag."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, get_type_hints

from local.azure.batch.durations import stamp

_etags = itertools.count(time.time_ns() // 1000)


def new_etag() -> str:
    """An etag no other state of any resource had, in the service's form."""
    return f"0x{next(_etags):X}"


@dataclass(kw_only=True)
class Stamped:
    """The common part; `body` is the definition as the client gave it, with defaults filled in."""

    id: str
    body: dict[str, Any]
    created: datetime
    state_since: datetime
    previous_state: str | None = None
    previous_state_since: datetime | None = None
    changed: datetime
    etag: str = field(default_factory=new_etag)

    def touch(self, now: datetime) -> None:
        """Count as changed: new etag and last-modified."""
        self.changed = now
        self.etag = new_etag()

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

    def stamps(self) -> dict[str, Any]:
        """The common properties on the wire."""
        shown: dict[str, Any] = {
            "eTag": self.etag,
            "lastModified": stamp(self.changed),
            "creationTime": stamp(self.created),
            "stateTransitionTime": stamp(self.state_since),
        }
        if self.previous_state is not None and self.previous_state_since is not None:
            shown["previousState"] = self.previous_state
            shown["previousStateTransitionTime"] = stamp(self.previous_state_since)
        return shown

    def moved(self, state: StrEnum, now: datetime) -> None:
        """Remember `state`, which is being left, as the previous one."""
        self.previous_state, self.previous_state_since = state.value, self.state_since
        self.state_since = now
        self.touch(now)


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
