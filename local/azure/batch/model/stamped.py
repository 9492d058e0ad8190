"""What every resource of the data plane carries: creation, state with its history of one, last change and etag."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from local.azure.batch.model.durations import stamp
from local.azure.batch.model.record import Record

_etags = itertools.count(time.time_ns() // 1000)


def new_etag() -> str:
    """An etag no other state of any resource had, in the service's form."""
    return f"0x{next(_etags):X}"


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
    etag: str = field(default_factory=new_etag)

    def touch(self, now: datetime) -> None:
        """Count as changed: new etag and last-modified."""
        self.changed = now
        self.etag = new_etag()

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
