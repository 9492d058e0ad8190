"""What every resource of the data plane carries: creation, state with its history of one, last change and etag."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from local.azure.batch.model.durations import dotnet_ticks, stamp
from local.azure.batch.model.record import Record


@dataclass(kw_only=True)
class Stamped(Record):
    """The common part; `body` is the definition as the client gave it, with defaults filled in."""

    id: str
    body: dict[str, Any]
    created: datetime
    state_since: datetime
    previous_state: str | None = None
    previous_state_since: datetime | None = None
    changed: datetime
    etag: str = ""

    def __post_init__(self) -> None:
        self.etag = self.etag or _etag(dotnet_ticks(self.changed))

    def touch(self, now: datetime) -> None:
        """Count as changed by a client: new etag and last-modified.

        What the service does by itself (a task that runs, a pool that gets steady) leaves both alone, so that a client
        can use `If-Match` with what it read before (recorded). The etag is the time of the change in .NET's ticks
        (recorded); two changes of one moment get different ones.
        """
        self.changed = now
        self.etag = _etag(max(dotnet_ticks(now), int(self.etag, 16) + 1))

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


def _etag(ticks: int) -> str:
    return f"0x{ticks:X}"
