"""A job: what it holds together and how its tasks are limited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.azure.batch.model.durations import UNLIMITED, limit_seconds, stamp
from local.azure.batch.model.pool import shown_definition, specification_with_defaults, take_secrets
from local.azure.batch.model.record import Stamped
from local.azure.batch.model.states import JOB, JobEvent, JobState
from local.azure.batch.model.task import (
    Task,
    constraints_with_defaults,
    identity,
    job_directory,
    without_passwords,
)

_SPECIAL_TASKS: dict[str, dict[str, Any]] = {
    "jobManagerTask": {
        "requiredSlots": 1,
        "killJobOnCompletion": True,
        "runExclusive": True,
        "allowLowPriorityNode": True,
    },
    "jobPreparationTask": {"id": "jobpreparation", "waitForSuccess": True, "rerunOnNodeRebootAfterSuccess": True},
    "jobReleaseTask": {"id": "jobrelease", "maxWallClockTime": "PT15M", "retentionTime": "P7D"},
}
"""The tasks that are part of a job's definition, with their documented defaults."""
AUTO_POOL = "autoPoolSpecification"


@dataclass(kw_only=True)
class Job(Stamped):
    """`body` holds the definition; `number` orders jobs by creation."""

    number: int
    state: JobState = JobState.ACTIVE
    ended: datetime | None = None
    terminate_reason: str | None = None
    schedule_id: str | None = None  # the job schedule that made it
    auto_pool_id: str | None = None  # the pool that was made for it

    def happen(self, event: JobEvent, now: datetime) -> None:
        """Go to the next state; IllegalTransition when there is none."""
        JOB.advance(self, event, now)

    @property
    def pool_id(self) -> str:
        """The pool its tasks run on; empty while an auto pool is not made yet."""
        return self.auto_pool_id or self.body["poolInfo"].get("poolId", "")

    @property
    def auto_pool(self) -> dict[str, Any] | None:
        """The specification of the pool that is made for it, with all defaults."""
        return self.body["poolInfo"].get(AUTO_POOL)

    @property
    def may_be_preempted(self) -> bool:
        """Whether its tasks give way to those of jobs with a higher priority."""
        return self.body["allowTaskPreemption"]

    @property
    def manager(self) -> dict[str, Any] | None:
        """The definition of its job manager task, with all defaults."""
        return self.body.get("jobManagerTask")

    def is_manager(self, task: Task) -> bool:
        """Whether a task of this job is its job manager."""
        return self.manager is not None and self.manager["id"].lower() == task.key

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
        return f"{job_directory(self.id)}/{self.preparation['id']}" if self.preparation else ""

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
        shown = {
            **shown_specification(self.body),
            "id": self.id,
            "url": f"{base_url}/jobs/{self.id}",
            "state": self.state.value,
        }
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
    if "jobManagerTask" in full:
        retries = constraints[
            "maxTaskRetryCount"
        ]  # of the job as it is made; recorded: it stays when the job's changes
        full["jobManagerTask"]["constraints"] = constraints_with_defaults(full["jobManagerTask"], retries)
    if AUTO_POOL in full.get("poolInfo", {}):
        full["poolInfo"] = {**full["poolInfo"], AUTO_POOL: _auto_pool_with_defaults(full["poolInfo"][AUTO_POOL])}
    return full


def _auto_pool_with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    return {"keepAlive": False, **given, "pool": specification_with_defaults(given["pool"])}


def shown_specification(body: dict[str, Any]) -> dict[str, Any]:
    """A job's definition as clients see it: no passwords, neither of its tasks nor of its auto pool."""
    shown = {**body, **{name: without_passwords(body[name]) for name in _SPECIAL_TASKS if name in body}}
    auto_pool = body.get("poolInfo", {}).get(AUTO_POOL)
    if auto_pool is not None:
        pool, _ = take_secrets(auto_pool["pool"])
        shown["poolInfo"] = {AUTO_POOL: {**auto_pool, "pool": shown_definition(pool)}}
    return shown
