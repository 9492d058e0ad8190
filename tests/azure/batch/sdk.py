"""What tests ask the Batch service through its own SDK: jobs and tasks in one line each, and what a refusal says."""

from __future__ import annotations

from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError

from testbeds.batch_service import IMAGE, LocalBatch


def make_job(client: BatchClient, job_id: str = "job", **options: object) -> None:
    info = models.BatchPoolInfo(pool_id="pool")
    client.create_job(models.BatchJobCreateOptions(id=job_id, pool_info=info, **options))  # type: ignore[arg-type]


def add(client: BatchClient, *ids: str, job: str = "job", **options: object) -> None:
    for one in ids:
        client.create_task(job, models.BatchTaskCreateOptions(id=one, command_line="run", **options))  # type: ignore[arg-type]


def waiting_for(*parents: str, ranges: list[tuple[int, int]] | None = None) -> models.BatchTaskDependencies:
    spans = [models.BatchTaskIdRange(start=start, end=end) for start, end in ranges or []]
    return models.BatchTaskDependencies(task_ids=list(parents), task_id_ranges=spans)


def end(local: LocalBatch, task: str, code: int = 0) -> None:
    local.do(local.executor.end, local.executor.run_of(task), code)


def states(local: LocalBatch, *tasks: str) -> list[models.BatchTaskState | str | None]:
    local.settle()
    return [local.client().get_task("job", task).state for task in tasks]


def code_of(refused: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str | None]:
    assert refused.value.error is not None
    return refused.value.status_code, refused.value.error.code


AGENT = "batch.node.ubuntu 24.04"


def machine(image: dict[str, str] | None = None, agent: str = AGENT, **more: Any) -> models.VirtualMachineConfiguration:
    reference = models.BatchVmImageReference(**(image or IMAGE))  # type: ignore[arg-type]
    return models.VirtualMachineConfiguration(image_reference=reference, node_agent_sku_id=agent, **more)


def details(caught: pytest.ExceptionInfo[HttpResponseError]) -> dict[str, str]:
    return {one.code: one.message for one in caught.value.error.details or ()}  # type: ignore[union-attr]
