"""A job schedule: which jobs it makes, when it made the last one, and when the next is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.azure.batch.model.durations import parse_duration, parse_stamp, stamp
from local.azure.batch.model.job import shown_specification, with_defaults
from local.azure.batch.model.record import Stamped
from local.azure.batch.model.recurrence import Recurrence
from local.azure.batch.model.states import JOB_SCHEDULE, JobScheduleEvent, JobScheduleState


@dataclass(kw_only=True)
class JobSchedule(Stamped):
    """`next_run` is the time of the next job, None when there will be none; `jobs_made` numbers its jobs."""

    number: int
    state: JobScheduleState = JobScheduleState.ACTIVE
    next_run: datetime | None = None
    jobs_made: int = 0
    recent_job: str | None = None
    ended: datetime | None = None
    auto_pool_id: str | None = None  # the pool that all of its jobs share (poolLifetimeOption jobschedule)

    def happen(self, event: JobScheduleEvent, now: datetime) -> None:
        """Go to the next state; IllegalTransition when there is none."""
        JOB_SCHEDULE.advance(self, event, now)

    @property
    def key(self) -> str:
        """How it is found: ids compare without case."""
        return self.id.lower()

    @property
    def recurrence(self) -> Recurrence:
        """When it makes jobs."""
        given = self.body["schedule"]
        return Recurrence(
            until=parse_stamp(given["doNotRunUntil"]) if "doNotRunUntil" in given else None,
            after=parse_stamp(given["doNotRunAfter"]) if "doNotRunAfter" in given else None,
            window=parse_duration(given["startWindow"]) if "startWindow" in given else None,
            interval=parse_duration(given["recurrenceInterval"]) if "recurrenceInterval" in given else None,
        )

    @property
    def specification(self) -> dict[str, Any]:
        """The definition of its jobs, with all defaults."""
        return self.body["jobSpecification"]

    def view(self, base_url: str) -> dict[str, Any]:
        """The job schedule on the wire."""
        execution: dict[str, Any] = {}
        if self.next_run is not None:
            execution["nextRunTime"] = stamp(self.next_run)
        if self.recent_job is not None:
            execution["recentJob"] = {"id": self.recent_job, "url": f"{base_url}/jobs/{self.recent_job}"}
        if self.ended is not None:
            execution["endTime"] = stamp(self.ended)
        return {
            **self.body,
            "jobSpecification": shown_specification(self.specification),
            "url": f"{base_url}/jobschedules/{self.id}",
            "state": self.state.value,
            **self.stamps(),
            "executionInfo": execution,
        }


def schedule_with_defaults(body: dict[str, Any]) -> dict[str, Any]:
    """The definition with what the service fills in: that of its jobs (recorded)."""
    return {**body, "jobSpecification": with_defaults(body["jobSpecification"])}
