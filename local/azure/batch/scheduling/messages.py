"""What happens in an account (events), and what is to be done once a turn is written (commands), as plain records.

Nodes report three events more: `NodeChanged`, `RunStarted` and `RunEnded` of `local/node/contract.py`. Who takes which
event is the table in `assembly.py`; who carries out commands is `performer.py`. Events that are equal mean the same, so
that many of one turn can be one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.azure.batch.decisions.exit_conditions import JobAction
from local.azure.batch.model import Job, JobTask, Pool
from local.node.contract import NodeSpec, RunSpec

# -- events: something changed -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WorkWanted:
    """A pool's tasks or nodes changed: some may go together now."""

    pool_id: str


@dataclass(frozen=True)
class NodeSettled:
    """A node's state changed, or a run on it ended: what waited for that can go on."""

    node_id: str


@dataclass(frozen=True)
class PoolSettled:
    """A pool's nodes or targets changed: its resize, or its deletion, may be over."""

    pool_id: str


@dataclass(frozen=True, eq=False)
class PoolMade:
    """There is a new pool."""

    pool: Pool


@dataclass(frozen=True, eq=False)
class AutoPoolWanted:
    """A job, or a job schedule, needs a pool of its own."""

    pool_id: str
    specification: dict[str, Any]
    owner: str


@dataclass(frozen=True)
class AutoPoolOver:
    """What a pool was made for is over."""

    pool_id: str


@dataclass(frozen=True, eq=False)
class JobTaskOver:
    """A preparation or release task is completed, or lost with its node."""

    job_task: JobTask


@dataclass(frozen=True, eq=False)
class JobSettled:
    """A job's tasks changed. `action` is what a task that ended asks for, `manager_ended` whether that was the job
    manager."""

    job: Job
    action: JobAction = JobAction.NONE
    manager_ended: bool = False


@dataclass(frozen=True, eq=False)
class JobOver:
    """A job is completed, or deleted."""

    job: Job


@dataclass(frozen=True)
class ScheduleSettled:
    """A job schedule, or one of its jobs, changed, or the time came at which it makes a job."""

    key: str


# -- events: what became of a command ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class NodeFree:
    """Every command to the node that was given before `AwaitNode` is carried out."""

    node_id: str


@dataclass(frozen=True)
class NodeNotMade:
    """The executor could not make a node; `reason` is its error's text."""

    node_id: str
    reason: str


@dataclass(frozen=True)
class MachineGone:
    """The machine of a node is deleted."""

    node_id: str


@dataclass(frozen=True)
class MachineStays:
    """The machine of a node could not be deleted."""

    node_id: str


@dataclass(frozen=True)
class RunUnreachable:
    """A node that was commanded to start or end a run does not answer."""

    node_id: str
    run_id: str


# -- events: the time came ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TaskOverdue:
    """The run of a task is over its wall-clock limit."""

    run_id: str


@dataclass(frozen=True)
class JobTaskOverdue:
    """The run of a preparation or release task is over its wall-clock limit."""

    run_id: str


@dataclass(frozen=True)
class ReleaseOverdue:
    """A release task waited for its node as long as it might have run."""

    job_id: str
    node_id: str


@dataclass(frozen=True)
class JobOverdue:
    """A job is over its wall-clock limit."""

    job_id: str


@dataclass(frozen=True)
class RetentionOver:
    """The `retentionTime` of a completed task's run is over."""

    job_id: str
    task_id: str
    run_id: str | None


@dataclass(frozen=True)
class TakeDownDue:
    """The deletion of a node's machine that failed is tried again."""

    node_id: str


@dataclass(frozen=True)
class EvaluationDue:
    """A pool's autoscale formula is evaluated."""

    pool_id: str


@dataclass(frozen=True)
class SamplingDue:
    """All pools are measured for autoscale formulas."""


# -- commands to nodes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StartRun:
    """Start a run; starting it twice is harmless."""

    node_id: str
    spec: RunSpec

    @property
    def run_id(self) -> str:
        return self.spec.run_id


@dataclass(frozen=True)
class TerminateRun:
    """End a run whose end is waited for."""

    node_id: str
    run_id: str


@dataclass(frozen=True)
class StopRun:
    """End a run of which nothing is expected any more."""

    node_id: str
    run_id: str


@dataclass(frozen=True)
class EraseFiles:
    """Remove a folder, relative to the node's root."""

    node_id: str
    directory: str


@dataclass(frozen=True)
class CreateNode:
    """Make a node's machine; making it twice is harmless. A failure is reported as `NodeNotMade`."""

    node_id: str
    spec: NodeSpec


@dataclass(frozen=True)
class RebootNode:
    """Reboot a node's machine."""

    node_id: str
    spec: NodeSpec


@dataclass(frozen=True)
class TakeDown:
    """Delete a node's machine with all that is on it; the answer is `MachineGone` or `MachineStays`."""

    node_id: str


@dataclass(frozen=True)
class AwaitNode:
    """Report `NodeFree` when all that was commanded before is carried out."""

    node_id: str


# -- other commands ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arm:
    """Post an event at a time, once; arming the same kind and name again replaces it, unless `if_idle`."""

    kind: str
    name: str
    when: datetime
    event: object
    if_idle: bool = False


@dataclass(frozen=True)
class Disarm:
    """Forget what was armed under a kind and name; harmless when nothing was."""

    kind: str
    name: str


@dataclass(frozen=True, eq=False)
class AnnouncePoolGone:
    """Tell whoever waits for it, and ARM, that a deleted pool is gone with its nodes."""

    pool: Pool


NodeCommand = StartRun | TerminateRun | StopRun | EraseFiles | CreateNode | RebootNode | TakeDown | AwaitNode
Command = NodeCommand | Arm | Disarm | AnnouncePoolGone
