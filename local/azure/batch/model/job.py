"""A job: what it holds together and how its tasks are limited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.azure.batch.model.durations import UNLIMITED, limit_seconds, stamp
from local.azure.batch.model.stamped import Stamped
from local.azure.batch.model.states import JOB, JobEvent, JobState
from local.azure.batch.model.task import constraints_with_defaults, identity, without_passwords

_SPECIAL_TASKS: dict[str, dict[str, Any]] = {
    "jobPreparationTask": {"id": "jobpreparation", "waitForSuccess": True, "rerunOnNodeRebootAfterSuccess": True},
    "jobReleaseTask": {"id": "jobrelease", "maxWallClockTime": "PT15M", "retentionTime": "P7D"},
}
"""The tasks that are part of a job's definition, with their documented defaults."""


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
    def uses_dependencies(self) -> bool:
        """Whether its tasks may depend on one another."""
        return self.body["usesTaskDependencies"]

    @property
    def performs_exit_options(self) -> bool:
        """`onTaskFailure`: performexitoptionsjobaction."""
        return self.body["onTaskFailure"] == "performexitoptionsjobaction"

    @property
    def preparation(self) -> dict[str, Any] | None:
        """The definition of its preparation task, with all defaults."""
        return self.body.get("jobPreparationTask")

    @property
    def release(self) -> dict[str, Any] | None:
        """The definition of its release task, with all defaults."""
        return self.body.get("jobReleaseTask")

    @property
    def preparation_directory(self) -> str:
        """Where its preparation task has its folder below the node root; empty without one."""
        return f"workitems/{self.id}/job-1/{self.preparation['id']}" if self.preparation else ""

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
        special = {name: without_passwords(self.body[name]) for name in _SPECIAL_TASKS if name in self.body}
        shown = {**self.body, **special, "url": f"{base_url}/jobs/{self.id}", "state": self.state.value}
        return {**shown, **self.stamps(), "executionInfo": execution}


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
    full = {**defaults, **body, "constraints": constraints}
    for name, special in _SPECIAL_TASKS.items():
        if name in body:
            full[name] = {**special, **body[name], "userIdentity": identity(body[name])}
    if "jobPreparationTask" in full:
        full["jobPreparationTask"]["constraints"] = constraints_with_defaults(full["jobPreparationTask"], 0)
    return full
