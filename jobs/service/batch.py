"""What the verbs need of the Batch service: a Protocol and plain records. `client.py` is the real one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from ..times import instant
from .exit_conditions import blocks
from .schedules import Schedules

if TYPE_CHECKING:
    from ..submission.transport import Transport

Choice = Literal["failed", "running", "unended", "changed"]
Shown = Literal["all", "active", "running", "succeeded", "failed"]  # which tasks a page of a listing has
Running = Literal["wait", "requeue", "terminate"]  # what becomes of the running tasks of a job that is disabled
COMPLETED = "completed"
OVER = (COMPLETED, "terminating", "deleting")  # states of a job that runs nothing any more
LEAVING = "leaving_pool"  # name in a job's metadata
SUCCESS = "success"
SSH = 22


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
        said = ": ".join(part for part in (self.code, self.message) if part)
        return said + (f" ({tail})" if tail else "")


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """A task as the service sees it. `result` and `exit_code` are None until it completed (or never started).

    `parents` and `parent_ranges` (first and last number) are what it depends on; `blocks`: it ended in a way that those
    which depend on it never run. `display_name`: `again.py` marks a later run of a task in it. `created`, `image` and
    `slots` are known where the service was asked for them (`Batch.task_records`).
    """

    id: str
    state: str
    display_name: str = ""
    changed: datetime | None = None
    result: str | None = None
    exit_code: int | None = None
    failure: Failure | None = None
    node_id: str | None = None
    retries: int = 0
    requeues: int = 0
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    parents: tuple[str, ...] = ()
    parent_ranges: tuple[tuple[int, int], ...] = ()
    blocks: bool = False
    image: str = ""
    slots: int = 1

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        execution: Mapping[str, Any] = wire.get("executionInfo") or {}
        depends_on: Mapping[str, Any] = wire.get("dependsOn") or {}
        result = execution.get("result")
        task = cls(
            id=wire["id"],
            state=str(wire.get("state", "")).casefold(),
            display_name=wire.get("displayName") or "",
            changed=instant(wire.get("stateTransitionTime")),
            result=str(result).casefold() if result else None,
            exit_code=execution.get("exitCode"),
            failure=Failure.parse(execution.get("failureInfo")),
            node_id=(wire.get("nodeInfo") or {}).get("nodeId"),
            retries=execution.get("retryCount") or 0,
            requeues=execution.get("requeueCount") or 0,
            created=instant(wire.get("creationTime")),
            started=instant(execution.get("startTime")),
            ended=instant(execution.get("endTime")),
            parents=tuple(depends_on.get("taskIds") or ()),
            parent_ranges=tuple((span["start"], span["end"]) for span in depends_on.get("taskIdRanges") or ()),
            image=(wire.get("containerSettings") or {}).get("imageName") or "",
            slots=wire.get("requiredSlots") or 1,
        )
        conditions = wire.get("exitConditions")
        return task if not task.completed else replace(task, blocks=task.blocking(conditions))

    def blocking(self, conditions: Mapping[str, Any] | None) -> bool:
        """What `blocks` is of a completed task with these exit conditions."""
        code = self.failure.code if self.failure else ""
        return blocks(conditions, succeeded=self.succeeded, exit_code=self.exit_code, failure_code=code)

    @property
    def depends(self) -> bool:
        return bool(self.parents or self.parent_ranges)

    def parent_among(self, ids: Collection[str]) -> str | None:
        """One of these ids (in lower case) that this task depends on."""
        for parent in self.parents:
            if parent.lower() in ids:
                return parent
        if not self.parent_ranges:
            return None
        numbers = (task_id for task_id in ids if task_id.isdecimal())
        return next((one for one in numbers if any(a <= int(one) <= b for a, b in self.parent_ranges)), None)

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
    """A job. `family` and `container` are what `submit` left in its metadata; `prepares`: it has a preparation."""

    id: str
    state: str
    pool_id: str = ""
    created: datetime | None = None
    ended: datetime | None = None
    priority: int = 0
    terminate_reason: str = ""
    on_all_tasks_complete: str = ""
    family: str = ""
    container: str = ""
    uses_dependencies: bool = False
    prepares: bool = False
    leaving: str = ""  # the pool that a move under way takes it from (`moves.py`)

    @property
    def folder(self) -> str:
        """Where its tasks' output is in its container. The jobs of a schedule (`nightly:job-7`) share one."""
        return self.id.partition(":")[0]

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        metadata = {item["name"]: item["value"] for item in wire.get("metadata") or ()}
        execution = wire.get("executionInfo") or {}
        return cls(
            id=wire["id"],
            state=str(wire.get("state", "")).casefold(),
            pool_id=(wire.get("poolInfo") or {}).get("poolId") or execution.get("poolId") or "",
            created=instant(wire.get("creationTime")),
            ended=instant(execution.get("endTime")),
            priority=wire.get("priority") or 0,
            terminate_reason=execution.get("terminateReason") or "",
            on_all_tasks_complete=str(wire.get("onAllTasksComplete") or "").casefold(),
            family=metadata.get("family", ""),
            container=metadata.get("container", ""),
            uses_dependencies=bool(wire.get("usesTaskDependencies")),
            prepares=wire.get("jobPreparationTask") is not None,
            leaving=metadata.get(LEAVING, ""),
        )


@dataclass(frozen=True, kw_only=True)
class PreparationState:
    """How a job's preparation or release went on one node. `folder` is its directory there, from the node's root."""

    node_id: str
    pool_id: str
    task: str  # preparation, release
    state: str
    result: str | None = None
    exit_code: int | None = None
    failure: Failure | None = None
    retries: int = 0
    folder: str = ""

    @classmethod
    def parse(cls, wire: Mapping[str, Any], job_id: str) -> list[Self]:
        """The preparation, and the release where it ran."""
        found = []
        for task, name in (("preparation", "jobPreparationTask"), ("release", "jobReleaseTask")):
            info = wire.get(f"{name}ExecutionInfo")
            if not info:
                continue
            # Absolute in some answers, from the node's root in others; the layout is documented.
            _, mark, below = str(info.get("taskRootDirectory") or "").partition("workitems/")
            result = info.get("result")
            found.append(
                cls(
                    node_id=wire["nodeId"],
                    pool_id=wire["poolId"],
                    task=task,
                    state=str(info.get("state", "")).casefold(),
                    result=str(result).casefold() if result else None,
                    exit_code=info.get("exitCode"),
                    failure=Failure.parse(info.get("failureInfo")),
                    retries=info.get("retryCount") or 0,
                    folder=mark + below.rstrip("/") if mark else f"workitems/{job_id}/job-1/job{task}",
                )
            )
        return found

    @property
    def failed(self) -> bool:
        """Also when its answer has no result: a failure is named then."""
        return self.state == COMPLETED and (self.result not in (None, SUCCESS) or self.failure is not None)


@dataclass(frozen=True, kw_only=True)
class RecentTask:
    """A task that runs on a node or ran there lately, as the node knows it."""

    job_id: str
    task_id: str
    state: str
    started: datetime | None = None
    ended: datetime | None = None
    exit_code: int | None = None

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        execution: Mapping[str, Any] = wire.get("executionInfo") or {}
        return cls(
            job_id=wire.get("jobId") or "",
            task_id=wire.get("taskId") or "",
            state=str(wire.get("taskState", "")).casefold(),
            started=instant(execution.get("startTime")),
            ended=instant(execution.get("endTime")),
            exit_code=execution.get("exitCode"),
        )


@dataclass(frozen=True, kw_only=True)
class NodeState:
    """A compute node, with what is wrong with it, its start task, and the tasks that it knows of."""

    id: str
    state: str
    running_tasks: int = 0
    scheduling: bool = True
    dedicated: bool = True
    since: datetime | None = None
    errors: tuple[str, ...] = ()
    start_task_exit_code: int | None = None
    start_task_failure: Failure | None = None
    start_task_command: str = ""
    start_task_state: str = ""
    start_task_started: datetime | None = None
    start_task_ended: datetime | None = None
    vm_size: str = ""
    ip_address: str = ""
    allocated: datetime | None = None
    booted: datetime | None = None
    slots_used: int = 0
    tasks_run: int = 0
    tasks_succeeded: int = 0
    recent_tasks: tuple[RecentTask, ...] = ()

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        start: Mapping[str, Any] = wire.get("startTaskInfo") or {}
        errors = wire.get("errors") or ()
        running = wire.get("runningTasksCount") or 0
        return cls(
            id=wire["id"],
            state=str(wire.get("state", "")).casefold(),
            running_tasks=running,
            scheduling=str(wire.get("schedulingState") or "enabled").casefold() == "enabled",
            dedicated=wire.get("isDedicated", True) is not False,
            since=instant(wire.get("stateTransitionTime")),
            errors=tuple(f"{error.get('code', '')}: {error.get('message', '')}" for error in errors),
            start_task_exit_code=start.get("exitCode"),
            start_task_failure=Failure.parse(start.get("failureInfo")),
            start_task_command=(wire.get("startTask") or {}).get("commandLine") or "",
            start_task_state=str(start.get("state") or "").casefold(),
            start_task_started=instant(start.get("startTime")),
            start_task_ended=instant(start.get("endTime")),
            vm_size=wire.get("vmSize") or "",
            ip_address=wire.get("ipAddress") or "",
            allocated=instant(wire.get("allocationTime")),
            booted=instant(wire.get("lastBootTime")),
            slots_used=wire.get("runningTaskSlotsCount") or running,
            tasks_run=wire.get("totalTasksRun") or 0,
            tasks_succeeded=wire.get("totalTasksSucceeded") or 0,
            recent_tasks=tuple(RecentTask.parse(one) for one in wire.get("recentTasks") or ()),
        )


@dataclass(frozen=True, kw_only=True)
class NodeFile:
    """A file or folder on a node. `name` is relative to the folder that was listed; a folder has no size."""

    name: str
    size: int = 0
    folder: bool = False
    modified: datetime | None = None

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        properties: Mapping[str, Any] = wire.get("properties") or {}
        return cls(
            name=wire["name"],
            size=int(properties.get("contentLength") or 0),
            folder=bool(wire.get("isDirectory")),
            modified=instant(properties.get("lastModified")),
        )


@dataclass(frozen=True)
class TaskPage:
    """One page of a listing. `following` is what asks for the next page, empty after the last; it is the service's and
    stays in this process, as it is an address that the client would send its token to."""

    tasks: tuple[TaskState, ...]
    following: str = ""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Tasks of a job by state. The service counts now and then: right after a change they may lag behind."""

    active: int = 0
    running: int = 0
    completed: int = 0
    succeeded: int = 0
    failed: int = 0

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        found = wire.get("taskCounts") or wire
        return cls(**{name: found.get(name) or 0 for name in ("active", "running", "completed", "succeeded", "failed")})

    @property
    def total(self) -> int:
        return self.active + self.running + self.completed


@dataclass(frozen=True, kw_only=True)
class PoolState:
    """A pool: how many nodes it has and wants, how it scales, and which images its nodes fetch first."""

    id: str
    state: str
    allocation: str = ""
    vm_size: str = ""
    dedicated: int = 0
    low_priority: int = 0
    target_dedicated: int = 0
    target_low_priority: int = 0
    task_slots: int = 1
    autoscale_formula: str = ""
    autoscale_at: datetime | None = None
    autoscale_results: str = ""
    autoscale_error: str = ""
    resize_errors: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    os_image: str = ""
    node_agent: str = ""
    maps_ssh: bool = False

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Self:
        run: Mapping[str, Any] = wire.get("autoScaleRun") or {}
        machine: Mapping[str, Any] = wire.get("virtualMachineConfiguration") or {}
        image: Mapping[str, Any] = machine.get("imageReference") or {}
        network: Mapping[str, Any] = wire.get("networkConfiguration") or {}
        endpoints: Mapping[str, Any] = network.get("endpointConfiguration") or {}
        return cls(
            id=wire["id"],
            state=str(wire.get("state", "")).casefold(),
            allocation=str(wire.get("allocationState", "")).casefold(),
            vm_size=wire.get("vmSize") or "",
            dedicated=wire.get("currentDedicatedNodes") or 0,
            low_priority=wire.get("currentLowPriorityNodes") or 0,
            target_dedicated=wire.get("targetDedicatedNodes") or 0,
            target_low_priority=wire.get("targetLowPriorityNodes") or 0,
            task_slots=wire.get("taskSlotsPerNode") or 1,
            autoscale_formula=(wire.get("autoScaleFormula") or "") if wire.get("enableAutoScale") else "",
            autoscale_at=instant(run.get("timestamp")),
            autoscale_results=run.get("results") or "",
            autoscale_error=autoscale_problem(run),
            resize_errors=tuple(f"{one.get('code')}: {one.get('message')}" for one in wire.get("resizeErrors") or ()),
            images=tuple((machine.get("containerConfiguration") or {}).get("containerImageNames") or ()),
            os_image=image.get("virtualMachineImageId")
            or ":".join(image.get(name) or "" for name in ("publisher", "offer", "sku")),
            node_agent=machine.get("nodeAgentSKUId") or "",
            maps_ssh=any(pool.get("backendPort") == SSH for pool in endpoints.get("inboundNATPools") or ()),
        )


def autoscale_problem(run: Mapping[str, Any]) -> str:
    """What was wrong with an evaluation of a formula, with its place; empty for a good one."""
    wrong: Mapping[str, Any] = run.get("error") or {}
    said = "; ".join(str(one.get("value")) for one in wrong.get("values") or ())
    return f"{wrong.get('code')}: {said or wrong.get('message')}" if wrong else ""


class Batch(Schedules, Protocol):
    """The Batch data plane. Every method raises `errors.ServiceError` only."""

    def create_job(self, definition: Mapping[str, Any]) -> None: ...
    def transport(self, *, timeout: float) -> Transport: ...
    def end_when_done(self, job_id: str) -> None: ...
    def terminate_job(self, job_id: str, reason: str) -> None: ...
    def delete_job(self, job_id: str) -> None: ...
    def move_job(self, job_id: str, pool_id: str) -> None: ...
    def disable_job(self, job_id: str, running: Running) -> None: ...
    def enable_job(self, job_id: str) -> None: ...
    def mark_job(self, job_id: str, name: str, value: str) -> None: ...
    def job(self, job_id: str) -> JobState: ...
    def job_definition(self, job_id: str) -> dict[str, Any]: ...
    def jobs(self, prefix: str, *, state: str = "") -> Iterator[JobState]: ...
    def counts(self, job_id: str) -> Counts: ...
    def task(self, job_id: str, task_id: str) -> TaskState: ...
    def task_definition(self, job_id: str, task_id: str) -> dict[str, Any]: ...
    def tasks(self, job_id: str, changed_since: datetime | None = None) -> Iterator[TaskState]: ...
    def some_tasks(self, job_id: str, chosen: Choice, most: int, since: datetime | None = None) -> list[TaskState]: ...
    def task_page(
        self, job_id: str, *, shown: Shown = "all", prefix: str = "", most: int = 100, following: str = ""
    ) -> TaskPage: ...
    def task_records(self, job_id: str) -> Iterator[TaskState]: ...
    def first_definition(self, job_id: str) -> dict[str, Any] | None: ...
    def output_definitions(self, job_id: str) -> Iterator[dict[str, Any]]: ...
    def failed_definitions(self, job_id: str) -> Iterator[dict[str, Any]]: ...
    def terminate_task(self, job_id: str, task_id: str) -> None: ...
    def delete_task(self, job_id: str, task_id: str) -> None: ...
    def preparations(self, job_id: str) -> Iterator[PreparationState]: ...
    def pool_state(self, pool_id: str) -> str: ...
    def pool(self, pool_id: str) -> PoolState: ...
    def pools(self) -> Iterator[PoolState]: ...
    def resize(self, pool_id: str, dedicated: int | None, low_priority: int | None) -> None: ...
    def stop_resize(self, pool_id: str) -> None: ...
    def evaluate_autoscale(self, pool_id: str, formula: str) -> str: ...
    def image_ends(self) -> dict[tuple[str, str], datetime | None]: ...
    def nodes(self, pool_id: str) -> Iterator[NodeState]: ...
    def node(self, pool_id: str, node_id: str) -> NodeState: ...
    def create_user(self, pool_id: str, node_id: str, user: Mapping[str, Any]) -> None: ...
    def delete_user(self, pool_id: str, node_id: str, name: str) -> None: ...
    def ssh_address(self, pool_id: str, node_id: str) -> tuple[str, int]: ...
    def task_files(self, job_id: str, task_id: str) -> list[NodeFile]: ...
    def node_files(self, pool_id: str, node_id: str) -> list[NodeFile]: ...
    def read_task_file(self, job_id: str, task_id: str, path: str, start: int = 0) -> Iterator[bytes]: ...
    def read_node_file(self, pool_id: str, node_id: str, path: str) -> Iterator[bytes]: ...
