"""Job schedules: a plain record, and what the verbs need of the service. `azure_schedules.py` is the real one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, Self

from ..times import instant, span


@dataclass(frozen=True, kw_only=True)
class ScheduleState:
    """A job schedule: its times, the pool of its jobs, the job it made last, and when the next one is due."""

    id: str
    state: str
    pool_id: str = ""
    interval: timedelta | None = None
    until: datetime | None = None
    after: datetime | None = None
    window: timedelta | None = None
    next_run: datetime | None = None
    recent_job: str = ""
    created: datetime | None = None
    ended: datetime | None = None
    family: str = ""
    command: str = ""

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        times: Mapping[str, Any] = wire.get("schedule") or {}
        jobs: Mapping[str, Any] = wire.get("jobSpecification") or {}
        execution: Mapping[str, Any] = wire.get("executionInfo") or {}
        metadata = {item["name"]: item["value"] for item in jobs.get("metadata") or ()}
        return cls(
            id=wire["id"],
            state=str(wire.get("state", "")).casefold(),
            pool_id=(jobs.get("poolInfo") or {}).get("poolId") or "",
            interval=span(times.get("recurrenceInterval")),
            until=instant(times.get("doNotRunUntil")),
            after=instant(times.get("doNotRunAfter")),
            window=span(times.get("startWindow")),
            next_run=instant(execution.get("nextRunTime")),
            recent_job=(execution.get("recentJob") or {}).get("id") or "",
            created=instant(wire.get("creationTime")),
            ended=instant(execution.get("endTime")),
            family=metadata.get("family", ""),
            command=(jobs.get("jobManagerTask") or {}).get("commandLine") or "",
        )


class Schedules(Protocol):
    """A part of the Batch data plane. Every method raises `errors.ServiceError` only."""

    def create_schedule(self, definition: Mapping[str, Any]) -> None: ...
    def schedule(self, schedule_id: str) -> ScheduleState: ...
    def schedules(self) -> Iterator[ScheduleState]: ...
    def schedules_on(self, pool_id: str) -> list[str]: ...
    def disable_schedule(self, schedule_id: str) -> None: ...
    def enable_schedule(self, schedule_id: str) -> None: ...
    def terminate_schedule(self, schedule_id: str) -> None: ...
    def delete_schedule(self, schedule_id: str) -> None: ...
