"""What a report needs of the service: the job, all its tasks once, the pool's nodes, and definitions to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import NotFound
from ..service.batch import JobState, NodeState, TaskState
from ..session import Session
from .figures import Figures, compute


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A job as it was when it was read. `definition` and `first` are the service's, `stack` says where it ran."""

    job: JobState
    tasks: list[TaskState]
    nodes: list[NodeState]
    slots: int
    definition: Mapping[str, Any]
    first: Mapping[str, Any] | None
    stack: str
    blobs: str = ""  # the address of the folder with the job's outputs and logs; empty when there is none

    def figures(self, session: Session) -> Figures:
        return compute(self.job, self.tasks, self.nodes, slots=self.slots, now=session.clock.now())


def read(session: Session, job_id: str) -> Reading:
    """One pass over the job. Its requests grow with its tasks (one for each thousand). Raises `ServiceError`."""
    job = session.batch.job(job_id)
    tasks = list(session.batch.task_records(job_id))
    nodes: list[NodeState] = []
    slots = 1
    try:
        slots = session.batch.pool(job.pool_id).task_slots
        nodes = list(session.batch.nodes(job.pool_id))
    except NotFound:
        pass  # the pool is gone: which kind its nodes were is not known any more
    outputs = session.connection.outputs
    blobs = f"{outputs.blob_endpoint.rstrip('/')}/{job.container}/{job.folder}/" if outputs and job.container else ""
    return Reading(
        job=job,
        tasks=tasks,
        nodes=nodes,
        slots=slots,
        definition=session.batch.job_definition(job_id),
        first=session.batch.first_definition(job_id),
        stack=session.connection.batch_endpoint.partition("://")[2],
        blobs=blobs,
    )
