"""Jobs with a preparation and a release, and looks at them: for the tests of both."""

from __future__ import annotations

from typing import Any

from azure.batch import BatchClient, models
from azure.core.rest import HttpRequest

from local.node.contract import RunSpec
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import make_job

PREPARE, RELEASE = "jobpreparation", "jobrelease"


def make(client: BatchClient, *, release: bool = True, **preparation: Any) -> None:
    options: dict[str, Any] = {
        "job_preparation_task": models.BatchJobPreparationTask(command_line="prepare", **preparation)
    }
    if release:
        options["job_release_task"] = models.BatchJobReleaseTask(command_line="release")
    make_job(client, **options)


def running(local: LocalBatch) -> list[str]:
    """The ids of the tasks that nodes run now."""
    return sorted(run.task_id for _, run in local.executor.runs.values())


def spec(local: LocalBatch, task: str) -> RunSpec:
    return local.executor.runs[local.executor.run_of(task)][1]


def status(local: LocalBatch, **options: Any) -> list[models.BatchJobPreparationAndReleaseTaskStatus]:
    return list(local.client().list_job_preparation_and_release_task_status("job", **options))


def prepared(local: LocalBatch) -> models.BatchJobPreparationTaskExecutionInfo:
    (one,) = status(local)
    assert one.job_preparation_task_execution_info is not None
    return one.job_preparation_task_execution_info


def ask(local: LocalBatch, method: str, path: str, body: dict[str, str] | None = None) -> None:
    """A request whose end the test brings about: the SDK's own methods would wait for it."""
    request = HttpRequest(method, f"{local.endpoint()}{path}?api-version=2025-06-01", json=body)
    assert local.client().send_request(request).status_code == 202
    local.settle()


def terminate(local: LocalBatch) -> None:
    ask(local, "POST", "/jobs/job/terminate", {"terminateReason": "enough"})


def reboot(local: LocalBatch, node_id: str) -> None:
    ask(local, "POST", f"/pools/pool/nodes/{node_id}/reboot", {"nodeRebootOption": "requeue"})
