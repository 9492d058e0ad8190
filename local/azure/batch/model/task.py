"""A task: its definition, where and how often it ran, and how it ended."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Self

from local.azure.batch.model.durations import UNLIMITED, limit_seconds, stamp
from local.azure.batch.model.record import Execution, Stamped, failure_view
from local.azure.batch.model.states import TASK, TaskEvent, TaskState
from local.node.contract import ContainerInfo, FailureInfo

_POOL_USER: Final = {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}}


@dataclass(frozen=True)
class Instance:
    """One node's part of a multi-instance task: its coordination run. Number 0 is the primary's, the others are the
    task's subtasks. `failure`: a stored FailureInfo."""

    number: int
    node_id: str
    run_id: str
    started: datetime
    ended: datetime | None = None
    exit_code: int | None = None
    failure: dict[str, Any] | None = None

    @property
    def over(self) -> bool:
        """Whether its coordination command ended."""
        return self.ended is not None

    def finish(self, now: datetime, exit_code: int | None, failure: FailureInfo | None) -> Instance:
        """The same, ended."""
        return replace(self, ended=now, exit_code=exit_code, failure=None if failure is None else asdict(failure))

    def to_json(self) -> dict[str, Any]:
        """For the store."""
        fields = asdict(self)
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Instance:
        """From the store."""
        times = {name: datetime.fromisoformat(data[name]) for name in ("started", "ended") if data[name] is not None}
        return cls(**{**data, **times})


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
    files_erased: datetime | None = None  # when its retention time was over
    instances: list[dict[str, Any]] = field(default_factory=list)  # of a multi-instance task on its nodes

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The record from the store; what many tasks have alike they share in memory."""
        for name in ("job_id", "pool_id", "node_id"):
            if data.get(name) is not None:
                data[name] = sys.intern(data[name])
        body = data["body"]
        body["id"] = data["id"]
        body["userIdentity"] = identity(body)
        for name in ("constraints", "containerSettings"):
            if name in body:
                body[name] = _shared(body[name])
        return super().from_json(data)

    def happen(self, event: TaskEvent, now: datetime) -> None:
        """Go to the next state; IllegalTransition when there is none."""
        TASK.advance(self, event, now)

    @property
    def key(self) -> str:
        """How it is found in its job: ids compare without case. One text in memory where both are the same."""
        key = self.id.lower()
        return self.id if key == self.id else key

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
        return f"{job_directory(self.job_id)}/{self.id}"

    @property
    def retention_seconds(self) -> float | None:
        """How long its folder is kept on the node after its end; None: as long as the node."""
        return limit_seconds(self.body["constraints"].get("retentionTime"))

    @property
    def multi_instance(self) -> dict[str, Any] | None:
        """The settings of a multi-instance task."""
        return self.body.get("multiInstanceSettings")

    @property
    def parents(self) -> list[str]:
        """The ids it depends on."""
        return self.body.get("dependsOn", {}).get("taskIds", [])

    @property
    def parent_ranges(self) -> list[tuple[int, int]]:
        """The ranges of ids it depends on: (first, last)."""
        return [(one["start"], one["end"]) for one in self.body.get("dependsOn", {}).get("taskIdRanges", ())]

    def forget_run(self) -> None:
        """Clear what the last attempt left, the parts of a multi-instance task too."""
        super().forget_run()
        self.instances = []
        self.files_erased = None

    @property
    def instance_records(self) -> Iterator[Instance]:
        """The parts of a multi-instance task that is, or was last, on nodes."""
        return (Instance.from_json(one) for one in list(self.instances))

    @property
    def is_coordinated(self) -> bool:
        """Whether nothing holds back the task's own command: every coordination command ended well."""
        return all(one["ended"] is not None and one["failure"] is None for one in self.instances)

    def keep_instance(self, one: Instance) -> None:
        """Replace the record of one part."""
        self.instances = [one.to_json() if at == one.number else kept for at, kept in enumerate(self.instances)]

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


def subtask_view(task: Task, one: Instance, base_url: str) -> dict[str, Any]:
    """A subtask on the wire."""
    state, since = ("completed", one.ended) if one.ended else ("running", one.started)
    node_url = f"{base_url}/pools/{task.pool_id}/nodes/{one.node_id}"
    directory = f"{task.directory}/{one.number}"
    shown: dict[str, Any] = {
        "id": one.number,
        "nodeInfo": {
            "affinityId": f"TVM:{one.node_id}",
            "nodeUrl": node_url,
            "poolId": task.pool_id,
            "nodeId": one.node_id,
            "taskRootDirectory": directory,
            "taskRootDirectoryUrl": f"{node_url}/files/{directory}",
        },
        "startTime": stamp(one.started),
        "state": state,
        "stateTransitionTime": stamp(since),
    }
    if one.ended is not None:
        shown["endTime"] = stamp(one.ended)
        shown["previousState"], shown["previousStateTransitionTime"] = "running", stamp(one.started)
        shown["result"] = "success" if one.failure is None else "failure"
    if one.exit_code is not None:
        shown["exitCode"] = one.exit_code
    if one.failure is not None:
        shown["failureInfo"] = failure_view(one.failure)
    return shown


def job_directory(job_id: str) -> str:
    """A job's folder below the node root. The jobs of a schedule are SCHEDULE:job-N and lie in SCHEDULE/job-N."""
    work_item, _, job = job_id.partition(":")
    return f"workitems/{work_item}/{job or 'job-1'}"


def without_passwords(definition: dict[str, Any]) -> dict[str, Any]:
    """A task's definition as it is shown: registry passwords are not [guess]."""
    settings = definition.get("containerSettings") or {}
    if "registry" not in settings:
        return definition
    registry = {key: value for key, value in settings["registry"].items() if key != "password"}
    return {**definition, "containerSettings": {**settings, "registry": registry}}


def with_defaults(body: dict[str, Any], job_retries: int) -> dict[str, Any]:
    """The definition with what the service fills in (azure-cli's recordings)."""
    constraints = _shared(constraints_with_defaults(body, job_retries))
    full = {"requiredSlots": 1, **body, "userIdentity": identity(body), "constraints": constraints}
    if "containerSettings" in full:
        full["containerSettings"] = _shared(full["containerSettings"])
    return full


def _shared(part: dict[str, Any]) -> dict[str, Any]:
    """The same part of a definition, as one object for all tasks that have it alike. Parts are replaced, not changed.

    Lists and objects in it are left as they are."""
    try:
        return _one_of(tuple(part.items()))
    except TypeError:
        return part


@lru_cache(4096)
def _one_of(items: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return dict(items)


def constraints_with_defaults(body: dict[str, Any], retries: int) -> dict[str, Any]:
    """A definition's constraints, with those it leaves open."""
    defaults = {"maxWallClockTime": UNLIMITED, "retentionTime": "P7D", "maxTaskRetryCount": retries}
    return {**defaults, **body.get("constraints", {})}


def identity(body: dict[str, Any]) -> dict[str, Any]:
    """A definition's user identity; without one, the pool's auto-user."""
    given = body.get("userIdentity") or _POOL_USER
    if "autoUser" not in given:
        return given
    full = {"autoUser": {**_POOL_USER["autoUser"], **given["autoUser"]}}
    return _POOL_USER if full == _POOL_USER else full
