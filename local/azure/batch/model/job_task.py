"""A job's preparation or release task on one node."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from local.azure.batch.model.durations import stamp
from local.azure.batch.model.record import Execution
from local.azure.batch.model.states import JOB_TASK, JobTaskEvent, JobTaskState
from local.azure.batch.model.task import job_directory
from local.node.contract import ContainerInfo, FailureInfo


class JobTaskKind(StrEnum):
    """Which of a job's two."""

    PREPARATION = "preparation"
    RELEASE = "release"


@dataclass(kw_only=True)
class JobTask(Execution):
    """`since`: its last change of state. The record stays when its node goes: the status of all nodes is shown.

    A preparation that is pending with a result was successful before its node rebooted: it runs again before the next
    task of the job.
    """

    job_id: str
    kind: JobTaskKind
    id: str
    pool_id: str
    node_id: str
    number: int
    state: JobTaskState = JobTaskState.PENDING
    since: datetime

    def happen(self, event: JobTaskEvent, now: datetime) -> None:
        """Go to the next state; IllegalTransition when there is none."""
        self.state = JOB_TASK.next(self.state, event)
        self.since = now

    def finish(
        self, now: datetime, exit_code: int | None, failure: FailureInfo | None, container: ContainerInfo | None
    ) -> None:
        """Be completed."""
        self.end(now, exit_code, failure, container)
        self.happen(JobTaskEvent.END, now)

    @property
    def succeeded(self) -> bool:
        """Whether the job task is completed with success."""
        return self.state is JobTaskState.COMPLETED and self.result == "success"

    @property
    def has_run(self) -> bool:
        """Whether there is something to show: a release task that never got to run is not shown (documented)."""
        return self.kind is JobTaskKind.PREPARATION or self.run_id is not None or self.started is not None

    @property
    def directory(self) -> str:
        """Its folder below the node root."""
        return f"{job_directory(self.job_id)}/{self.id}"

    def view(self, base_url: str) -> dict[str, Any]:
        """`jobPreparationTaskExecutionInfo` or `jobReleaseTaskExecutionInfo` on the wire."""
        files = f"{base_url}/pools/{self.pool_id}/nodes/{self.node_id}/files"
        counted = {"retryCount": self.retries} if self.kind is JobTaskKind.PREPARATION else {}
        return {
            "startTime": stamp(self.started or self.since),
            "state": "running" if self.ended is None else "completed",
            "taskRootDirectory": self.directory,
            "taskRootDirectoryUrl": f"{files}/{self.directory}",
            **counted,
            **self.outcome(),
        }
