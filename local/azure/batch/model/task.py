"""A task: its definition, where and how often it ran, and how it ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from local.azure.batch.durations import UNLIMITED, limit_seconds, stamp
from local.azure.batch.model.stamped import Stamped
from local.azure.batch.states import TASK, TaskEvent, TaskState
from local.node.contract import ContainerInfo, FailureInfo


class Ending(StrEnum):
    """Why the service ends a run: decides what becomes of the task when the node reports the end."""

    TERMINATE = "terminate"
    REQUEUE = "requeue"
    WALL_CLOCK = "wallclock"


@dataclass(kw_only=True)
class Task(Stamped):
    """`run_id` names the attempt on `node_id`; `ending` is set while the service waits for that attempt to stop."""

    job_id: str
    number: int
    state: TaskState = TaskState.ACTIVE
    started: datetime | None = None
    ended: datetime | None = None
    exit_code: int | None = None
    result: str | None = None
    failure: dict[str, Any] | None = None
    container: dict[str, Any] | None = None
    retries: int = 0
    last_retry: datetime | None = None
    requeues: int = 0
    last_requeue: datetime | None = None
    pool_id: str | None = None
    node_id: str | None = None
    run_id: str | None = None
    ending: Ending | None = None
    deleting: bool = False

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
        """Its folder below the node root (facts 4: workitems/JOB/job-1/TASK)."""
        return f"workitems/{self.job_id}/job-1/{self.id}"

    def forget_run(self) -> None:
        """Clear what the last attempt left: exit code, failure, container and times."""
        self.started = self.ended = self.exit_code = self.result = self.failure = self.container = None
        self.run_id = self.ending = None

    def finish(
        self, now: datetime, exit_code: int | None, failure: FailureInfo | None, container: ContainerInfo | None
    ) -> None:
        """Record the final end."""
        self.ended, self.exit_code = now, exit_code
        self.failure = None if failure is None else asdict(failure)
        self.container = None if container is None else asdict(container)
        self.result = "success" if exit_code == 0 and failure is None else "failure"
        self.ending = None
        self.happen(TaskEvent.END, now)

    def execution(self) -> dict[str, Any]:
        """`executionInfo` on the wire."""
        shown: dict[str, Any] = {"retryCount": self.retries, "requeueCount": self.requeues}
        times = {
            "startTime": self.started,
            "endTime": self.ended,
            "lastRetryTime": self.last_retry,
            "lastRequeueTime": self.last_requeue,
        }
        shown |= {name: stamp(value) for name, value in times.items() if value is not None}
        if self.exit_code is not None:
            shown["exitCode"] = self.exit_code
        if self.result is not None:
            shown["result"] = self.result
        if self.failure is not None:
            shown["failureInfo"] = failure_view(self.failure)
        if self.container is not None:
            shown["containerInfo"] = container_view(self.container)
        return shown

    def view(self, base_url: str) -> dict[str, Any]:
        """The task on the wire. Registry passwords are not shown [guess]."""
        url = f"{base_url}/jobs/{self.job_id}/tasks/{self.id}"
        shown = {**self.body, "url": url, "state": self.state.value, **self.stamps(), "executionInfo": self.execution()}
        settings = shown.get("containerSettings")
        if settings and "registry" in settings:
            registry = {key: value for key, value in settings["registry"].items() if key != "password"}
            shown["containerSettings"] = {**settings, "registry": registry}
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


def failure_view(failure: dict[str, Any]) -> dict[str, Any]:
    """A stored FailureInfo on the wire."""
    details = [{"name": name, "value": value} for name, value in failure["details"]]
    return {"category": failure["category"], "code": failure["code"], "message": failure["message"], "details": details}


def container_view(container: dict[str, Any]) -> dict[str, Any]:
    """A stored ContainerInfo on the wire."""
    return {"containerId": container["container_id"], "state": container["state"], "error": container["error"]}


def with_defaults(body: dict[str, Any], job_retries: int) -> dict[str, Any]:
    """The definition with what the service fills in (azure-cli's recordings)."""
    constraints = {
        "maxWallClockTime": UNLIMITED,
        "retentionTime": "P7D",
        "maxTaskRetryCount": job_retries,
        **body.get("constraints", {}),
    }
    identity = body.get("userIdentity") or {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}}
    if "autoUser" in identity:
        identity = {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin", **identity["autoUser"]}}
    return {"requiredSlots": 1, **body, "userIdentity": identity, "constraints": constraints}
