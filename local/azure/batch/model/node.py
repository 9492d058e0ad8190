"""A compute node as the service knows it; what it really is belongs to its executor."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from local.azure.batch.model.durations import stamp
from local.azure.batch.model.pool import start_task_with_defaults
from local.azure.batch.model.record import Stamped, container_view, failure_view
from local.azure.batch.model.states import NODE, TAKES_TASKS, NodeEvent
from local.node.contract import NodeState

EXACT_VERSION = "24.04.2025112601"
"""`exactVersion` of a node's image: there is one (recorded), what it says is ours [guess]."""
RECENT_TASKS = 10  # how many `recentTasks` are kept [guess]


def new_node_id(dedicated: bool) -> str:
    """An id of the service's form (recorded: tvmps_<64 hex>_d; `_p` for spot nodes [guess])."""
    return f"tvmps_{secrets.token_hex(32)}_{'d' if dedicated else 'p'}"


class PendingVerb(StrEnum):
    """What a client asked for that begins once the node's runs are over."""

    REBOOT = "reboot"
    REIMAGE = "reimage"
    DEALLOCATE = "deallocate"

    @property
    def event(self) -> NodeEvent:
        """What it is to the node's states."""
        return NodeEvent(self.value)


@dataclass(kw_only=True)
class Node(Stamped):
    """`state` is what the executor reported last; the view adds "running" and "offline", which are the service's."""

    pool_id: str
    number: int
    state: NodeState = NodeState.CREATING
    dedicated: bool = True
    slots: int = 1
    scheduling: bool = True
    booted: datetime
    boot_id: str = ""
    errors: list[list[str]] = field(default_factory=list)
    start_task: dict[str, Any] | None = None  # startTaskInfo's fields, as stored
    start_task_definition: dict[str, Any] | None = None  # the one it booted with: the pool's may have changed since
    users: list[str] = field(default_factory=list)
    admins: list[str] = field(default_factory=list)
    tasks_run: int = 0
    tasks_succeeded: int = 0
    recent: list[dict[str, str]] = field(default_factory=list)
    pending: PendingVerb | None = None  # what is done to it once its runs are over

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The record from the store; one of an earlier version says in a name of its own that a reboot is pending."""
        if data.pop("reboot_pending", False):
            data["pending"] = PendingVerb.REBOOT.value
        return super().from_json(data)

    def happen(self, event: NodeEvent, now: datetime) -> None:
        """What the service does to it."""
        self.become(NODE.next(self.state, event), now)

    def become(self, state: NodeState, now: datetime) -> None:
        """Take a reported state."""
        if state is not self.state:
            before, self.state = self.state, state
            self.moved(before, now)

    @property
    def leaving(self) -> bool:
        """Whether it is on its way out of the pool."""
        return self.state is NodeState.LEAVING_POOL

    @property
    def goes_down(self) -> bool:
        """Whether its machine is to be deleted: because it leaves its pool, or gets another one, or none."""
        return self.leaving or self.pending in (PendingVerb.REIMAGE, PendingVerb.DEALLOCATE)

    @property
    def takes_tasks(self) -> bool:
        """Whether the scheduler may put runs on it."""
        return self.scheduling and self.state in TAKES_TASKS and self.pending is None

    def shown_state(self, running: int) -> NodeState:
        """The state a client sees, with `running` tasks on it."""
        if self.state in TAKES_TASKS:
            if running:
                return NodeState.RUNNING
            return NodeState.IDLE if self.scheduling else NodeState.OFFLINE
        return self.state

    def remember(self, job_id: str, task_id: str, succeeded: bool) -> None:
        """Count a finished run."""
        self.tasks_run += 1
        self.tasks_succeeded += succeeded
        self.recent = [*self.recent, {"jobId": job_id, "taskId": task_id}][-RECENT_TASKS:]  # oldest first (recorded)

    def view(self, base_url: str, pool: dict[str, Any], running: int, slots: int) -> dict[str, Any]:
        """The node on the wire; `pool` is its pool's definition."""
        image = pool["virtualMachineConfiguration"]["imageReference"]
        booted = self.state not in (NodeState.CREATING, NodeState.DEALLOCATED)
        boot = {"lastBootTime": stamp(self.booted)} if booted else {}
        agent = {"nodeAgentInfo": {"version": "1.12.9", "lastUpdateTime": stamp(self.booted)}} if booted else {}
        image = {**image, "exactVersion": EXACT_VERSION} if "offer" in image else image
        shown: dict[str, Any] = {
            "id": self.id,
            "url": f"{base_url}/pools/{self.pool_id}/nodes/{self.id}",
            "state": self.shown_state(running).value,
            "schedulingState": "enabled" if self.scheduling else "disabled",
            "stateTransitionTime": stamp(self.state_since),
            **boot,
            "allocationTime": stamp(self.created),
            "ipAddress": f"10.0.0.{4 + self.number % 250}",
            "affinityId": f"TVM:{self.id}",
            "vmSize": pool["vmSize"].lower(),
            "totalTasksRun": self.tasks_run,
            "totalTasksSucceeded": self.tasks_succeeded,
            "runningTasksCount": running,
            "runningTaskSlotsCount": slots,
            "isDedicated": self.dedicated,
            **agent,
            "virtualMachineInfo": {"imageReference": image},
        }
        if self.errors:
            shown["errors"] = [{"code": code, "message": message} for code, message in self.errors]
        if booted and pool.get("startTask"):
            shown["startTask"] = start_task_with_defaults(self.start_task_definition or pool["startTask"])
            if self.start_task is not None:
                shown["startTaskInfo"] = start_task_view(self.start_task)
        return shown


def start_task_view(info: dict[str, Any]) -> dict[str, Any]:
    """`startTaskInfo` on the wire."""
    ended = info.get("ended")
    shown: dict[str, Any] = {
        "state": "completed" if ended else "running",
        "startTime": stamp(datetime.fromisoformat(info["started"])),
        "retryCount": info["retries"],
    }
    if ended:
        shown["endTime"] = stamp(datetime.fromisoformat(ended))
        succeeded = info["exit_code"] == 0 and info["failure"] is None
        shown["result"] = "success" if succeeded else "failure"
    if info["exit_code"] is not None:
        shown["exitCode"] = info["exit_code"]
    if info["failure"] is not None:
        shown["failureInfo"] = failure_view(info["failure"])
    if info.get("container"):
        shown["containerInfo"] = container_view(info["container"])
    return shown
