"""A task: its definition, where and how often it ran, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.azure.batch.model.durations import UNLIMITED, limit_seconds, stamp
from local.azure.batch.model.execution import Execution
from local.azure.batch.model.stamped import Stamped
from local.azure.batch.model.states import TASK, TaskEvent, TaskState
from local.node.contract import ContainerInfo, FailureInfo


@dataclass(kw_only=True)
class Task(Stamped, Execution):
    """`satisfies`: whether tasks that depend on it may run; once so, it stays so (`dependencies.py`)."""

    job_id: str
    number: int
    state: TaskState = TaskState.ACTIVE
    requeues: int = 0
    last_requeue: datetime | None = None
    pool_id: str | None = None
    node_id: str | None = None
    deleting: bool = False
    satisfies: bool = False

    def happen(self, event: TaskEvent, now: datetime) -> None:
        """Go to the next state; IllegalTransition when there is none."""
        after = TASK.next(self.state, event)
        if after is not self.state:
            before, self.state = self.state, after
            self.moved(before, now)

    @property
    def key(self) -> str:
        """How it is found in its job: ids compare without case."""
        return self.id.lower()

    @property
    def slots(self) -> int:
        """Task slots it needs on its node."""
        return self.body["requiredSlots"]

    @property
    def on_node(self) -> bool:
        """Whether an attempt is under way."""
        return self.state in (TaskState.PREPARING, TaskState.RUNNING)

    @property
    def max_retries(self) -> int:
        """-1: no limit."""
        return self.body["constraints"]["maxTaskRetryCount"]

    @property
    def max_seconds(self) -> float | None:
        """The wall-clock limit of one run."""
        return limit_seconds(self.body["constraints"].get("maxWallClockTime"))

    @property
    def directory(self) -> str:
        """Its folder below the node root: workitems/JOB/job-1/TASK (docs/azure-facts.md#folders-of-a-node)."""
        return f"workitems/{self.job_id}/job-1/{self.id}"

    @property
    def parents(self) -> list[str]:
        """The ids it depends on."""
        return self.body.get("dependsOn", {}).get("taskIds", [])

    @property
    def parent_ranges(self) -> list[tuple[int, int]]:
        """The ranges of ids it depends on: (first, last)."""
        return [(one["start"], one["end"]) for one in self.body.get("dependsOn", {}).get("taskIdRanges", ())]

    def finish(
        self, now: datetime, exit_code: int | None, failure: FailureInfo | None, container: ContainerInfo | None
    ) -> None:
        """Be completed."""
        self.end(now, exit_code, failure, container)
        self.happen(TaskEvent.END, now)

    def execution(self) -> dict[str, Any]:
        """`executionInfo` on the wire."""
        requeued = {} if self.last_requeue is None else {"lastRequeueTime": stamp(self.last_requeue)}
        return {"retryCount": self.retries, "requeueCount": self.requeues, **requeued, **self.outcome()}

    def view(self, base_url: str) -> dict[str, Any]:
        """The task on the wire."""
        url = f"{base_url}/jobs/{self.job_id}/tasks/{self.id}"
        shown = {**without_passwords(self.body), "url": url, "state": self.state.value, **self.stamps()}
        shown["executionInfo"] = self.execution()
        if self.node_id is not None and self.pool_id is not None:
            node_url = f"{base_url}/pools/{self.pool_id}/nodes/{self.node_id}"
            shown["nodeInfo"] = {
                "affinityId": f"TVM:{self.node_id}",
                "nodeUrl": node_url,
                "poolId": self.pool_id,
                "nodeId": self.node_id,
                "taskRootDirectory": self.directory,
                "taskRootDirectoryUrl": f"{node_url}/files/{self.directory}",
            }
        return shown


def without_passwords(definition: dict[str, Any]) -> dict[str, Any]:
    """A task's definition as it is shown: registry passwords are not [guess]."""
    settings = definition.get("containerSettings") or {}
    if "registry" not in settings:
        return definition
    registry = {key: value for key, value in settings["registry"].items() if key != "password"}
    return {**definition, "containerSettings": {**settings, "registry": registry}}


def with_defaults(body: dict[str, Any], job_retries: int) -> dict[str, Any]:
    """The definition with what the service fills in (azure-cli's recordings)."""
    constraints = constraints_with_defaults(body, job_retries)
    return {"requiredSlots": 1, **body, "userIdentity": identity(body), "constraints": constraints}


def constraints_with_defaults(body: dict[str, Any], retries: int) -> dict[str, Any]:
    """A definition's constraints, with those it leaves open."""
    defaults = {"maxWallClockTime": UNLIMITED, "retentionTime": "P7D", "maxTaskRetryCount": retries}
    return {**defaults, **body.get("constraints", {})}


def identity(body: dict[str, Any]) -> dict[str, Any]:
    """A definition's user identity; without one, the pool's auto-user."""
    given = body.get("userIdentity") or {"autoUser": {}}
    if "autoUser" not in given:
        return given
    return {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin", **given["autoUser"]}}
