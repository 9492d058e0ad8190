"""Job schedules: a part of `client.AzureBatch`, with the client of azure-batch that it made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from .schedules import ScheduleState

GONE = ("completed", "deleting", "terminating")  # states of a schedule that makes no job any more


class ScheduleCalls(ABC):
    """What `AzureBatch` does about job schedules. The abstract methods are those of its other calls."""

    _client: Any  # azure-batch's

    @abstractmethod
    def _translated(self, what: str) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _begin(self, method: str, path: str, what: str, body: Mapping[str, Any] | None = None) -> None: ...

    def create_schedule(self, definition: Mapping[str, Any]) -> None:
        self._begin("POST", "/jobschedules", f"job schedule {definition['id']}", definition)

    def schedule(self, schedule_id: str) -> ScheduleState:
        with self._translated(f"job schedule {schedule_id}"):
            return ScheduleState.parse(self._client.get_job_schedule(schedule_id).as_dict())

    def schedules(self) -> Iterator[ScheduleState]:
        with self._translated("the job schedules"):
            for schedule in self._client.list_job_schedules():
                yield ScheduleState.parse(schedule.as_dict())

    def schedules_on(self, pool_id: str) -> list[str]:
        """The ids of the job schedules whose jobs run on the pool."""
        found = list(self.schedules())
        return [one.id for one in found if one.pool_id.lower() == pool_id.lower() and one.state not in GONE]

    def disable_schedule(self, schedule_id: str) -> None:
        with self._translated(f"job schedule {schedule_id}"):
            self._client.disable_job_schedule(schedule_id)

    def enable_schedule(self, schedule_id: str) -> None:
        with self._translated(f"job schedule {schedule_id}"):
            self._client.enable_job_schedule(schedule_id)

    def terminate_schedule(self, schedule_id: str) -> None:
        self._begin("POST", f"/jobschedules/{schedule_id}/terminate", f"job schedule {schedule_id}")

    def delete_schedule(self, schedule_id: str) -> None:
        self._begin("DELETE", f"/jobschedules/{schedule_id}", f"job schedule {schedule_id}")
