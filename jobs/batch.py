"""What the verbs need of the Batch service: a Protocol and plain records. `client.py` is the real one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from .submission.lane import Lane

COMPLETED = "completed"
SUCCESS = "success"


def _time(value: str | None) -> datetime | None:
    """The service writes seven digits of a second; Python 3.11 reads them and keeps six."""
    return datetime.fromisoformat(value) if value else None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a task or start task failed, in the service's words."""

    category: str
    code: str
    message: str
    details: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, wire: Mapping[str, Any] | None) -> Self | None:
        if not wire:
            return None
        details = tuple((item.get("name", ""), item.get("value", "")) for item in wire.get("details") or ())
        return cls(
            category=wire.get("category", ""),
            code=wire.get("code") or "",
            message=wire.get("message") or "",
            details=details,
        )

    def words(self) -> str:
        """One line."""
        tail = "; ".join(f"{name}: {value}" if name else value for name, value in self.details)
        return f"{self.code}: {self.message}" + (f" ({tail})" if tail else "")


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """A task as the service sees it. `result` and `exit_code` are None until it completed (or never started)."""

    id: str
    state: str
    changed: datetime | None = None
    result: str | None = None
    exit_code: int | None = None
    failure: Failure | None = None
    node_id: str | None = None
    retries: int = 0
    requeues: int = 0

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        execution: Mapping[str, Any] = wire.get("executionInfo") or {}
        result = execution.get("result")
        return cls(
            id=wire["id"],
            state=str(wire.get("state", "")).casefold(),
            changed=_time(wire.get("stateTransitionTime")),
            result=str(result).casefold() if result else None,
            exit_code=execution.get("exitCode"),
            failure=Failure.parse(execution.get("failureInfo")),
            node_id=(wire.get("nodeInfo") or {}).get("nodeId"),
            retries=execution.get("retryCount") or 0,
            requeues=execution.get("requeueCount") or 0,
        )

    @property
    def completed(self) -> bool:
        return self.state == COMPLETED

    @property
    def succeeded(self) -> bool:
        return self.completed and (
            self.result == SUCCESS if self.result else self.exit_code == 0 and self.failure is None
        )


@dataclass(frozen=True, kw_only=True)
class JobState:
    """A job. `family` and `container` are what `submit` left in its metadata."""

    id: str
    state: str
    pool_id: str = ""
    created: datetime | None = None
    terminate_reason: str = ""
    on_all_tasks_complete: str = ""
    family: str = ""
    container: str = ""

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        metadata = {item["name"]: item["value"] for item in wire.get("metadata") or ()}
        execution = wire.get("executionInfo") or {}
        return cls(
            id=wire["id"],
            state=str(wire.get("state", "")).casefold(),
            pool_id=(wire.get("poolInfo") or {}).get("poolId") or execution.get("poolId") or "",
            created=_time(wire.get("creationTime")),
            terminate_reason=execution.get("terminateReason") or "",
            on_all_tasks_complete=str(wire.get("onAllTasksComplete") or "").casefold(),
            family=metadata.get("family", ""),
            container=metadata.get("container", ""),
        )


@dataclass(frozen=True, kw_only=True)
class NodeState:
    """A compute node, with what is wrong with it."""

    id: str
    state: str
    running_tasks: int = 0
    errors: tuple[str, ...] = ()
    start_task_exit_code: int | None = None
    start_task_failure: Failure | None = None

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        start: Mapping[str, Any] = wire.get("startTaskInfo") or {}
        errors = wire.get("errors") or ()
        return cls(
            id=wire["id"],
            state=str(wire.get("state", "")).casefold(),
            running_tasks=wire.get("runningTasksCount") or 0,
            errors=tuple(f"{error.get('code', '')}: {error.get('message', '')}" for error in errors),
            start_task_exit_code=start.get("exitCode"),
            start_task_failure=Failure.parse(start.get("failureInfo")),
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the service said of one task of a collection. `status`, case-folded: success, clienterror, servererror."""

    task_id: str
    status: str
    code: str = ""
    message: str = ""


class Batch(Protocol):
    """The Batch data plane. Every method raises `errors.ServiceError` only."""

    def create_job(self, definition: Mapping[str, Any]) -> None: ...
    def lane(self, *, timeout: float) -> Lane: ...
    def end_when_done(self, job_id: str) -> None: ...
    def delete_job(self, job_id: str) -> None: ...
    def job(self, job_id: str) -> JobState: ...
    def jobs(self, prefix: str) -> Iterator[JobState]: ...
    def task(self, job_id: str, task_id: str) -> TaskState: ...
    def tasks(self, job_id: str, changed_since: datetime | None = None) -> Iterator[TaskState]: ...
    def pool_state(self, pool_id: str) -> str: ...
    def nodes(self, pool_id: str) -> Iterator[NodeState]: ...
    def read_task_file(self, job_id: str, task_id: str, path: str, start: int = 0) -> Iterator[bytes]: ...
    def read_node_file(self, pool_id: str, node_id: str, path: str) -> Iterator[bytes]: ...
