"""Exit conditions: which of them applies, and what follows for the job and for dependent tasks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError

from local.azure.batch.decisions.exit_conditions import ExitOptions, JobAction, exit_options
from local.azure.batch.model import Task
from local.azure.batch.model.states import TaskState
from local.azure.batch.model.task import with_defaults
from local.node.contract import FailureInfo
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, code_of, end, make_job, states, waiting_for

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DISABLE, SATISFY = {"jobAction": "disable"}, {"dependencyAction": "satisfy"}
EXIT, ENDED = "FailureExitCode", "TaskEnded"
UPLOAD, START = "FileUploadAccessDenied", "BlobNotFound"
EVERYTHING: dict[str, Any] = {
    "exitCodes": [{"code": 3, "exitOptions": {"jobAction": "none"}}, {"code": 0, "exitOptions": DISABLE}],
    "exitCodeRanges": [{"start": 3, "end": 9, "exitOptions": DISABLE}],
    "preProcessingError": {"jobAction": "none", "dependencyAction": "satisfy"},
    "fileUploadError": DISABLE,
    "default": SATISFY,
}


def ended(exit_code: int | None, code: str | None, conditions: dict[str, Any]) -> Task:
    body = with_defaults({"id": "t", "commandLine": "x", "exitConditions": conditions}, 0)
    task = Task(
        id="t", job_id="j", number=1, body=body, created=NOW, changed=NOW, state_since=NOW, state=TaskState.RUNNING
    )
    failure = None if code is None else FailureInfo(category="usererror", code=code, message="")
    task.finish(NOW, exit_code, failure, None)
    return task


@pytest.mark.parametrize(
    ("exit_code", "failure", "conditions", "action", "satisfies"),
    [
        (0, None, {}, "none", True),
        (1, EXIT, {}, "terminate", False),
        (None, START, {}, "terminate", False),
        (0, None, EVERYTHING, "disable", True),
        (3, EXIT, EVERYTHING, "none", False),
        (9, EXIT, EVERYTHING, "disable", False),
        (10, EXIT, EVERYTHING, "terminate", True),
        (None, START, EVERYTHING, "none", True),
        (0, UPLOAD, EVERYTHING, "disable", False),
        (3, UPLOAD, EVERYTHING, "none", False),
        (10, UPLOAD, EVERYTHING, "disable", False),
        (None, ENDED, EVERYTHING, "terminate", True),
        (143, ENDED, EVERYTHING, "terminate", True),
        (None, START, {"default": DISABLE}, "disable", False),
        (0, UPLOAD, {"default": DISABLE}, "disable", False),
        (0, None, {"default": DISABLE}, "none", True),
    ],
)
def test_the_condition_that_is_nearest_to_the_end_applies(
    exit_code: int | None, failure: str | None, conditions: dict[str, Any], action: str, satisfies: bool
) -> None:
    assert exit_options(ended(exit_code, failure, conditions)) == ExitOptions(JobAction(action), satisfies)


def on_code(code: int, **options: str) -> models.ExitConditions:
    return models.ExitConditions(
        exit_codes=[models.ExitCodeMapping(code=code, exit_options=models.ExitOptions(**options))]  # type: ignore[arg-type]
    )


@pytest.fixture
def strict(manual: LocalBatch) -> LocalBatch:
    """A node with room, and a job that does as its tasks' exit conditions say."""
    manual.pool(nodes=1, taskSlotsPerNode=4)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    make_job(manual.client(), uses_task_dependencies=True, task_failure_mode="performexitoptionsjobaction")
    return manual


def test_a_failing_task_terminates_its_job_after_its_last_retry_and_says_so(strict: LocalBatch) -> None:
    client = strict.client()
    add(client, "t", constraints=models.BatchTaskConstraints(max_task_retry_count=1))
    strict.settle()
    end(strict, "t", 7)
    assert client.get_job("job").state == "active"
    end(strict, "t", 7)
    job = client.get_job("job")
    assert job.state == "completed" and job.execution_info is not None
    assert job.execution_info.termination_reason == "TaskFailed"


def test_a_code_that_asks_for_nothing_leaves_the_job_and_one_that_disables_requeues_the_others(
    strict: LocalBatch,
) -> None:
    client = strict.client()
    add(client, "quiet", exit_conditions=on_code(7, job_action="none"))
    add(client, "stop", exit_conditions=on_code(8, job_action="disable"))
    add(client, "other")
    strict.settle()
    end(strict, "quiet", 7)
    assert client.get_job("job").state == "active"
    end(strict, "stop", 8)
    assert client.get_job("job").state == "disabled"
    assert states(strict, "other") == ["active"]


def test_success_can_end_a_job_if_it_is_listed(strict: LocalBatch) -> None:
    add(strict.client(), "t", exit_conditions=on_code(0, job_action="terminate"))
    strict.settle()
    end(strict, "t", 0)
    assert strict.client().get_job("job").state == "completed"


def test_a_failure_can_satisfy_and_a_success_can_block(manual: LocalBatch) -> None:
    manual.pool(nodes=1, taskSlotsPerNode=4)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    client = manual.client()
    make_job(client, uses_task_dependencies=True)
    add(client, "fails", exit_conditions=on_code(7, dependency_action="satisfy"))
    add(client, "works", exit_conditions=on_code(0, dependency_action="block"))
    add(client, "after-failure", depends_on=waiting_for("fails"))
    add(client, "after-success", depends_on=waiting_for("works"))
    manual.settle()
    end(manual, "fails", 7)
    end(manual, "works", 0)
    assert states(manual, "after-failure", "after-success") == ["preparing", "active"]
    manual.restart()
    assert states(manual, "after-failure", "after-success") == ["preparing", "active"]
    shown = manual.client().get_task("job", "fails").exit_conditions
    assert shown is not None and shown.exit_codes is not None
    assert shown.exit_codes[0].exit_options.dependency_action == "satisfy"


@pytest.mark.parametrize(
    ("options", "job", "path"),
    [
        ({"job_action": "none"}, {"uses_task_dependencies": True}, "exitConditions.exitCodes[0].exitOptions.jobAction"),
        (
            {"dependency_action": "block"},
            {"task_failure_mode": "performexitoptionsjobaction"},
            "exitConditions.exitCodes[0].exitOptions.dependencyAction",
        ),
    ],
)
def test_an_action_that_the_job_makes_no_use_of_is_refused(
    azure: LocalBatch, options: dict[str, str], job: dict[str, Any], path: str
) -> None:
    client = azure.client()
    make_job(client, **job)
    with pytest.raises(HttpResponseError) as refused:
        add(client, "t", exit_conditions=on_code(1, **options))
    assert code_of(refused) == (400, "InvalidPropertyValue")
    details = {detail.code: detail.message for detail in refused.value.error.details}  # type: ignore[union-attr]
    assert details["PropertyName"] == path.rsplit(".", 1)[-1] and str(details["Reason"]).startswith(f"{path}: ")


def test_a_range_of_codes_goes_upwards(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client, task_failure_mode="performexitoptionsjobaction")
    options = models.ExitOptions(job_action=models.BatchJobActionKind.NONE)
    down = models.ExitCodeRangeMapping(start=5, end=4, exit_options=options)
    with pytest.raises(HttpResponseError, match="begins before its end"):
        add(client, "t", exit_conditions=models.ExitConditions(exit_code_ranges=[down]))
