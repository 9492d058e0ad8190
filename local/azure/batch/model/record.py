"""What the store keeps of every resource, and what became of a command on a node.

A record is plain data with a form for the store; dates and enumerations have their text there. Tasks of every kind
have an `Execution`: their attempts, and how the last one ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, Self, get_type_hints

from local.azure.batch.model.durations import dotnet_ticks, stamp
from local.node.contract import ContainerInfo, FailureInfo

_Read = Callable[[Any], Any]
_moment = lru_cache(4096)(datetime.fromisoformat)
"""One object for the times of a record that are the same."""


@dataclass(kw_only=True)
class Record:
    """What the store keeps."""

    def to_json(self) -> dict[str, Any]:
        """The record for the store; what is None by default is left out."""
        times, optional = _form(type(self))[:2]
        values = {name: value for name, value in self.__dict__.items() if value is not None or name not in optional}
        for name in times:
            when = values.get(name)
            if when is not None:
                values[name] = when.isoformat()
        return values

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
    hints, items = get_type_hints(cls), fields(cls)
    readers = {item.name: read for item in items if (read := _reader(hints[item.name])) is not None}
    times = tuple(name for name, read in readers.items() if read is _moment)
    optional = frozenset(item.name for item in items if item.default is None)
    return times, optional, frozenset(item.name for item in items), tuple(readers.items())


def _reader(hint: Any) -> _Read | None:
    for option in (one for one in getattr(hint, "__args__", (hint,)) if isinstance(one, type)):
        if issubclass(option, datetime):
            return _moment
        if issubclass(option, StrEnum):
            return option
    return None


@dataclass(kw_only=True)
class Stamped(Record):
    """A resource: creation, state with its history of one, last change and etag. `body` is the definition as the
    client gave it, with defaults filled in."""

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
        self.previous_state = state.value
        self.previous_state_since = self.state_since
        self.state_since = now


def _etag(ticks: int) -> str:
    return f"0x{ticks:X}"


class Ending(StrEnum):
    """Why the service ends a run: decides what becomes of the task when the node reports the end."""

    TERMINATE = "terminate"
    REQUEUE = "requeue"
    WALL_CLOCK = "wallclock"


@dataclass(kw_only=True)
class Execution(Record):
    """`run_id` names the attempt; `ending` is set while the service waits for that attempt to stop."""

    started: datetime | None = None
    ended: datetime | None = None
    exit_code: int | None = None
    result: str | None = None
    failure: dict[str, Any] | None = None
    container: dict[str, Any] | None = None
    retries: int = 0
    last_retry: datetime | None = None
    run_id: str | None = None
    ending: Ending | None = None

    def forget_run(self) -> None:
        """Clear what the last attempt left: exit code, failure, container and times."""
        self.started = self.ended = self.exit_code = self.result = self.failure = self.container = None
        self.run_id = self.ending = None

    def end(
        self, now: datetime, exit_code: int | None, failure: FailureInfo | None, container: ContainerInfo | None
    ) -> None:
        """Record the final end."""
        self.ended = now
        self.exit_code = exit_code
        self.failure = None if failure is None else asdict(failure)
        self.container = None if container is None else asdict(container)
        self.result = "success" if exit_code == 0 and failure is None else "failure"
        self.ending = None

    def outcome(self) -> dict[str, Any]:
        """What `executionInfo` tells of every kind of task: times, exit code, result, failure and container."""
        times = {"startTime": self.started, "endTime": self.ended, "lastRetryTime": self.last_retry}
        shown: dict[str, Any] = {name: stamp(value) for name, value in times.items() if value is not None}
        if self.exit_code is not None:
            shown["exitCode"] = self.exit_code
        if self.result is not None:
            shown["result"] = self.result
        if self.failure is not None:
            shown["failureInfo"] = failure_view(self.failure)
        if self.container is not None:
            shown["containerInfo"] = container_view(self.container)
        return shown


_CATEGORIES = {"usererror": "UserError", "servererror": "ServerError"}


def failure_view(failure: dict[str, Any]) -> dict[str, Any]:
    """A stored FailureInfo on the wire; the category as recorded, not in the case of the SDK's enumeration."""
    category = _CATEGORIES.get(failure["category"], failure["category"])
    details = [{"name": name, "value": value} for name, value in failure["details"]]
    return {"category": category, "code": failure["code"], "message": failure["message"], "details": details}


def container_view(container: dict[str, Any]) -> dict[str, Any]:
    """A stored ContainerInfo on the wire."""
    return {"containerId": container["container_id"], "state": container["state"], "error": container["error"]}
