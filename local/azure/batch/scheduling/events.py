"""What happens in an account, beside what its nodes report (`NodeChanged`, `RunStarted`, `RunEnded` of the contract).

A part of the scheduling that finds out something which concerns a part above it says so with one of these; who takes
which is the table in `account/account.py`. Events that are equal mean the same, so that many of one turn can be one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local.azure.batch.decisions.exit_conditions import JobAction
from local.azure.batch.model import Job, JobTask, Pool


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
class PoolGone:
    """A deleted pool is gone with its nodes."""

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
    """A job schedule, or one of its jobs, changed."""

    key: str
