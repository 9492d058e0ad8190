"""A job: what it holds together and how its tasks are limited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.azure.batch.durations import UNLIMITED, limit_seconds, stamp
from local.azure.batch.model.stamped import Stamped
from local.azure.batch.states import JOB, JobEvent, JobState


@dataclass(kw_only=True)
class Job(Stamped):
    """`body` holds the definition; `number` orders jobs by creation."""

    number: int
    state: JobState = JobState.ACTIVE
    ended: datetime | None = None
    terminate_reason: str | None = None

    def happen(self, event: JobEvent, now: datetime) -> None:
        """Go to the next state; IllegalTransition when there is none."""
        after = JOB.next(self.state, event)
        if after is not self.state:
            before, self.state = self.state, after
            self.moved(before, now)

    @property
    def pool_id(self) -> str:
        """The pool its tasks run on."""
        return self.body["poolInfo"]["poolId"]

    @property
    def priority(self) -> int:
        """-1000 to 1000, higher first."""
        return self.body["priority"]

    @property
    def max_parallel(self) -> int | None:
        """How many of its tasks may run at once; None: no limit."""
        limit = self.body["maxParallelTasks"]
        return None if limit < 0 else limit

    @property
    def ends_when_all_complete(self) -> bool:
        """`onAllTasksComplete`: terminatejob."""
        return self.body["onAllTasksComplete"] == "terminatejob"

    @property
    def max_seconds(self) -> float | None:
        """Its wall-clock limit."""
        return limit_seconds(self.body["constraints"].get("maxWallClockTime"))

    def view(self, base_url: str) -> dict[str, Any]:
        """The job on the wire."""
        execution: dict[str, Any] = {"startTime": stamp(self.created), "poolId": self.pool_id}
        if self.ended is not None:
            execution["endTime"] = stamp(self.ended)
        if self.terminate_reason is not None:
            execution["terminateReason"] = self.terminate_reason
        shown = {**self.body, "url": f"{base_url}/jobs/{self.id}", "state": self.state.value, **self.stamps()}
        return {**shown, "executionInfo": execution}


def with_defaults(body: dict[str, Any]) -> dict[str, Any]:
    """The definition with what the service fills in (azure-cli's recordings)."""
    constraints = {"maxWallClockTime": UNLIMITED, "maxTaskRetryCount": 0, **body.get("constraints", {})}
    defaults: dict[str, Any] = {
        "priority": 0,
        "maxParallelTasks": -1,
        "usesTaskDependencies": False,
        "allowTaskPreemption": False,
        "onAllTasksComplete": "noaction",
        "onTaskFailure": "noaction",
    }
    return {**defaults, **body, "constraints": constraints}
