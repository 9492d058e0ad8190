"""Pools that scale themselves, through ARM's hooks and the SDK, on a clock that is moved by hand."""

from __future__ import annotations

from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError

from local.azure.batch import errors
from local.azure.control_plane.resources import Resource
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, make_job

POOLS = "Microsoft.Batch/batchAccounts/pools"
BY_PENDING = """
// As many nodes as tasks, once there are samples of the last three minutes.
$enough = $PendingTasks.GetSamplePercent(TimeInterval_Minute * 3) >= 70;
$TargetDedicatedNodes = $enough ? min(3, max($PendingTasks.GetSample(TimeInterval_Minute * 3))) : 0;
$NodeDeallocationOption = taskcompletion;
"""


def scaled(local: LocalBatch, formula: str = BY_PENDING, interval: str | None = "PT5M", **more: Any) -> Resource:
    automatic = {"formula": formula} if interval is None else {"formula": formula, "evaluationInterval": interval}
    return local.pool(scaleSettings={"autoScale": automatic}, **more)


def up(local: LocalBatch) -> None:
    for node in local.node_ids():
        local.do(local.executor.node_up, node)


def finish(local: LocalBatch) -> None:
    """End every run under way."""
    for run in list(local.executor.runs):
        local.do(local.executor.begin, run)
        local.do(local.executor.end, run, 0)


def enable(client: BatchClient, **options: Any) -> None:
    client.enable_pool_auto_scale("pool", models.BatchPoolEnableAutoScaleOptions(**options))


def evaluate(client: BatchClient, formula: str) -> models.AutoScaleRun:
    return client.evaluate_pool_auto_scale("pool", models.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula=formula))


def code_of(caught: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str | None]:
    assert caught.value.error is not None
    return caught.value.status_code, caught.value.error.code


def test_a_pool_goes_from_nothing_to_its_nodes_and_back_to_nothing(timed: LocalBatch) -> None:
    scaled(timed)
    client = timed.client()
    timed.wait(minutes=5)
    assert timed.node_ids() == []
    make_job(client)
    add(client, "a", "b")
    timed.wait(minutes=5)
    assert len(timed.node_ids()) == 2
    pool = client.get_pool("pool")
    assert (pool.enable_auto_scale, pool.target_dedicated_nodes) == (True, 2)
    assert pool.auto_scale_run is not None and pool.auto_scale_run.results is not None
    assert pool.auto_scale_run.results.startswith("$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;")
    up(timed)
    timed.wait(minutes=5)
    assert len(timed.executor.runs) == 2 and len(timed.node_ids()) == 2
    finish(timed)
    timed.wait(minutes=10)
    assert timed.node_ids() == []
    pool = client.get_pool("pool")
    assert (pool.current_dedicated_nodes, pool.allocation_state) == (0, "steady")
    assert {task.state for task in client.list_tasks("job")} == {"completed"}


def test_tasks_that_run_are_waited_for_when_the_formula_says_so(timed: LocalBatch) -> None:
    scaled(timed, "$TargetDedicatedNodes = $PendingTasks > 1; $NodeDeallocationOption = taskcompletion;")
    client = timed.client()
    make_job(client)
    add(client, "a", "b")
    timed.wait(minutes=5)
    up(timed)
    finish(timed)  # the first; the second begins
    timed.wait(minutes=5)
    assert client.get_pool("pool").target_dedicated_nodes == 0
    assert [node.state for node in client.list_nodes("pool")] == ["leavingpool"]
    assert len(timed.executor.runs) == 1 and timed.executor.terminated == []
    finish(timed)
    assert timed.node_ids() == []
    assert client.get_job_task_counts("job").task_counts.succeeded == 2


def test_the_interval_is_kept_and_has_azures_default(timed: LocalBatch) -> None:
    scaled(timed, "$TargetDedicatedNodes = 0;", interval=None)
    client = timed.client()

    def evaluated() -> Any:
        run = client.get_pool("pool").auto_scale_run
        assert run is not None
        return run.timestamp

    first = evaluated()
    timed.wait(minutes=14.5)
    assert evaluated() == first
    timed.wait(minutes=0.5)
    assert (evaluated() - first).total_seconds() == 15 * 60


def test_arm_shows_the_last_evaluation_and_what_was_wrong_with_it(timed: LocalBatch) -> None:
    resource = scaled(timed, "$TargetDedicatedNodes = avg($PendingTasks.GetSample(TimeInterval_Minute * 5, 90));")
    view = timed.cloud.types.get(POOLS).hooks.view  # type: ignore[union-attr]
    shown = view(resource)
    assert shown["scaleSettings"]["autoScale"]["evaluationInterval"] == "PT5M"
    run = shown["autoScaleRun"]
    assert run["results"] == "$TargetDedicatedNodes=0;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    assert run["error"]["code"] == "InsufficientSampleData"
    reason = "Line 1, Col 29: Insufficient data from data set: $PendingTasks wanted 90%, received 10%"
    assert run["error"]["details"] == [{"code": "Message", "message": reason}]
    seen = timed.client().get_pool("pool").auto_scale_run
    assert seen is not None and seen.error is not None and seen.error.error_values is not None
    assert seen.error.error_values[0].value == reason
    timed.wait(minutes=5)
    assert "error" not in view(resource)["autoScaleRun"]


def test_an_unchanged_pool_is_not_evaluated_by_another_put(timed: LocalBatch) -> None:
    scaled(timed)
    client = timed.client()
    timed.wait(minutes=1)
    before = client.get_pool("pool").auto_scale_run
    scaled(timed)
    after = client.get_pool("pool").auto_scale_run
    assert before is not None and after is not None and after.timestamp == before.timestamp
    scaled(timed, "$TargetDedicatedNodes = 1;")
    assert client.get_pool("pool").target_dedicated_nodes == 1


def test_a_fixed_size_ends_the_evaluations(timed: LocalBatch) -> None:
    scaled(timed, "$TargetDedicatedNodes = 2;")
    resource = timed.pool(nodes=1)
    timed.wait(minutes=6)
    pool = timed.client().get_pool("pool")
    assert (pool.enable_auto_scale, pool.target_dedicated_nodes, pool.auto_scale_run) == (False, 1, None)
    shown = timed.cloud.types.get(POOLS).hooks.view(resource)  # type: ignore[union-attr]
    assert shown["scaleSettings"]["fixedScale"]["targetDedicatedNodes"] == 1 and "autoScaleRun" not in shown


def test_autoscale_is_enabled_changed_evaluated_and_disabled_by_the_data_plane(timed: LocalBatch) -> None:
    timed.pool(nodes=1)
    client = timed.client()
    with pytest.raises(HttpResponseError) as caught:
        evaluate(client, "$TargetDedicatedNodes = 3;")
    assert caught.value.status_code == 409
    enable(client, auto_scale_formula="$TargetDedicatedNodes = 2;")
    pool = client.get_pool("pool")
    assert (pool.enable_auto_scale, pool.auto_scale_formula) == (True, "$TargetDedicatedNodes = 2;")
    assert pool.auto_scale_evaluation_interval is not None
    assert pool.auto_scale_evaluation_interval.total_seconds() == 900
    run = evaluate(client, "$TargetDedicatedNodes = 3;")
    assert run.results == "$TargetDedicatedNodes=3;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    assert client.get_pool("pool").target_dedicated_nodes == 2
    wrong = evaluate(client, "$something_useless")
    assert wrong.results == "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    assert wrong.error is not None and wrong.error.code == "AutoScalingFormulaEvaluationError"
    with pytest.raises(HttpResponseError) as caught:
        enable(client, auto_scale_evaluation_interval="PT10M")
    assert code_of(caught) == (409, "TooManyEnableAutoScaleRequests")
    timed.wait(minutes=1)
    enable(client, auto_scale_evaluation_interval="PT10M")
    pool = client.get_pool("pool")
    assert pool.auto_scale_formula == "$TargetDedicatedNodes = 2;"
    with pytest.raises(HttpResponseError) as caught:
        client.begin_resize_pool("pool", models.BatchPoolResizeOptions(target_dedicated_nodes=3))
    assert caught.value.status_code == 409
    client.disable_pool_auto_scale("pool")
    pool = client.get_pool("pool")
    assert (pool.enable_auto_scale, pool.auto_scale_formula, pool.target_dedicated_nodes) == (False, None, 2)
    timed.wait(minutes=15)
    assert client.get_pool("pool").auto_scale_run is None


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "MissingRequiredProperty"),
        ({"auto_scale_evaluation_interval": "PT10M"}, "MissingRequiredProperty"),
        ({"auto_scale_formula": "x = 1;", "auto_scale_evaluation_interval": "PT4M59S"}, "InvalidPropertyValue"),
        ({"auto_scale_formula": "x = 1;", "auto_scale_evaluation_interval": "P7DT1S"}, "InvalidPropertyValue"),
        ({"auto_scale_formula": "x = "}, "AutoScalingFormulaSyntaxError"),
        ({"auto_scale_formula": "x = $Nothing;"}, "AutoScalingFormulaSyntaxError"),
        ({"auto_scale_formula": "x = 1;" + " " * 8192}, "AutoScalingFormulaTooLong"),
    ],
)
def test_what_autoscale_cannot_be_is_refused(timed: LocalBatch, options: dict[str, str], code: str) -> None:
    timed.pool(nodes=0)
    with pytest.raises(HttpResponseError) as caught:
        enable(timed.client(), **options)
    assert code_of(caught) == (400, code)
    assert timed.client().get_pool("pool").enable_auto_scale is False


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"autoScale": {"formula": "x = 1;", "evaluationInterval": "PT1M"}}, errors.InvalidPropertyValue),
        ({"autoScale": {"formula": "x = ;"}}, errors.AutoScalingFormulaSyntaxError),
        ({"autoScale": {"formula": "x = 1;"}, "fixedScale": {}}, errors.InvalidPropertyValue),
    ],
)
def test_arm_refuses_the_same(timed: LocalBatch, settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        timed.pool(scaleSettings=settings)


def test_after_a_restart_the_evaluations_go_on_when_they_are_due(timed: LocalBatch) -> None:
    scaled(timed, "$TargetDedicatedNodes = 1;")
    before = timed.client().get_pool("pool").auto_scale_run
    timed.wait(minutes=4)
    timed.restart()
    timed.wait(minutes=1)
    after = timed.client().get_pool("pool").auto_scale_run
    assert before is not None and after is not None
    assert (after.timestamp - before.timestamp).total_seconds() == 300


def test_the_variables_are_the_pools_own_counts(timed: LocalBatch) -> None:
    scaled(timed, "$TargetDedicatedNodes = 2;", taskSlotsPerNode=2)
    up(timed)
    client = timed.client()
    make_job(client, uses_task_dependencies=True)
    add(client, "a", "b", "c", "d", "e")
    add(client, "later", depends_on=models.BatchTaskDependencies(task_ids=["e"]))
    timed.settle()
    for number, task in enumerate(("a", "b")):
        run = timed.executor.run_of(task)
        timed.do(timed.executor.begin, run)
        timed.do(timed.executor.end, run, number)
    names = (
        "ActiveTasks",
        "RunningTasks",
        "PendingTasks",
        "SucceededTasks",
        "FailedTasks",
        "TaskSlotsPerNode",
        "CurrentDedicatedNodes",
        "CurrentLowPriorityNodes",
        "UsableNodeCount",
        "PreemptedNodeCount",
    )
    results = evaluate(client, "".join(f"{name} = ${name};" for name in names)).results
    assert results is not None
    shown = dict(part.split("=") for part in results.split(";")[3:])
    assert [shown[name] for name in names] == ["0", "3", "3", "1", "1", "2", "2", "0", "2", "0"]
    client.begin_disable_job("job", models.BatchJobDisableOptions(disable_tasks="requeue"))
    timed.settle()
    results = evaluate(client, "x = $ActiveTasks; y = $RunningTasks;").results
    assert results is not None and results.endswith("x=0;y=0")
