"""Sampled histories: what GetSample and its siblings give, and the formulas that the documentation shows."""

from __future__ import annotations

import pytest

from local.azure.batch.autoscale.evaluation import evaluate
from tests.azure.batch.autoscale.histories import NOW, pool

TEN_MINUTES = [float(number) for number in range(1, 21)]  # a sample each 30 s


def own(expression: str, *, missing: int = 0) -> str:
    found = evaluate(f"x = {expression};", pool({"RunningTasks": TEN_MINUTES}, missing=missing), NOW)
    assert found.error is None, found.error
    return found.results.rpartition(";x=")[2]


SAMPLED = [
    ("$RunningTasks.GetSample(1)", "[20]"),
    ("$RunningTasks.GetSample(3)", "[18,19,20]"),
    ("$RunningTasks.GetSample(100)", str(TEN_MINUTES).replace(".0", "").replace(" ", "")),
    ("len($RunningTasks.GetSample(10 * TimeInterval_Minute))", "20"),
    ("$RunningTasks.GetSample(TimeInterval_Minute)", "[19,20]"),
    ("$RunningTasks.GetSample(1 * TimeInterval_Minute, 3 * TimeInterval_Minute)", "[15,16,17,18]"),
    ("$RunningTasks.GetSample(3 * TimeInterval_Minute, 1 * TimeInterval_Minute)", "[15,16,17,18]"),
    ("$RunningTasks.GetSample(time() + -1 * TimeInterval_Minute)", "[19,20]"),
    ("$RunningTasks.GetSample(60 * TimeInterval_Second, 120 * TimeInterval_Second, 75)", "[17,18]"),
    ("$RunningTasks.GetSamplePercent(10 * TimeInterval_Minute)", "100"),
    ("$RunningTasks.GetSamplePercent(20 * TimeInterval_Minute)", "50"),
    ("$RunningTasks.GetSamplePercent(20 * TimeInterval_Minute, 10 * TimeInterval_Minute)", "0"),
    ("$RunningTasks.GetSamplePeriod() / 30 == TimeInterval_Second", "1"),
    ("$RunningTasks.Count()", "20"),
    ("$RunningTasks.HistoryBeginTime()", "2026-11-26T15:20:30.000Z"),
    ("$RunningTasks.GetSample(time(), time() + TimeInterval_Hour)", "[]"),
    ("$PendingTasks.GetSample(1)", "[]"),
    ("$PendingTasks.GetSamplePercent(TimeInterval_Hour)", "0"),
]


@pytest.mark.parametrize(("expression", "expected"), SAMPLED)
def test_a_history_is_read(expression: str, expected: str) -> None:
    assert own(expression) == expected


def test_missing_samples_are_a_smaller_part() -> None:
    """The document's own numbers: of ten minutes the last one is missing, so 18 samples, or 90 %."""
    assert own("len($RunningTasks.GetSample(TimeInterval_Minute * 10))", missing=2) == "18"
    assert own("$RunningTasks.GetSamplePercent(TimeInterval_Minute * 10)", missing=2) == "90"
    assert own("len($RunningTasks.GetSample(TimeInterval_Minute * 10, 80))", missing=2) == "18"


def test_too_few_samples_end_the_evaluation_and_change_nothing() -> None:
    """In the form that the documentation shows."""
    formula = "x = 1;\n$TargetDedicatedNodes = avg($RunningTasks.GetSample(TimeInterval_Minute * 20, 70));"
    found = evaluate(formula, pool({"RunningTasks": TEN_MINUTES}, dedicated=3), NOW)
    assert found.error is not None and found.error.code == "InsufficientSampleData"
    assert str(found.error) == (
        "Line 2, Col 29: Insufficient data from data set: $RunningTasks wanted 70%, received 50%"
    )
    assert found.target_dedicated == 3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("GetSample()", "GetSample takes a number of samples, or a start time"),
        ("GetSample(0)", "GetSample takes 1 or more samples, not 0"),
        ("GetSample(1, 2)", "GetSample takes a number of samples alone, or times"),
        ('GetSample("x")', "expected a timestamp or timeinterval, got a string"),
        ("GetSample(TimeInterval_Year * 5000)", "the time lies before the calendar begins"),
        ("GetSamplePercent()", "GetSamplePercent takes a start time and an end time"),
        ("Count(1)", "Count takes no values, got 1"),
    ],
)
def test_a_wrong_call_is_named(call: str, words: str) -> None:
    found = evaluate(f"x = $RunningTasks.{call};", pool({"RunningTasks": TEN_MINUTES}), NOW)
    assert found.error is not None and words in str(found.error)


PENDING = """
startingNumberOfVMs = 1;
maxNumberofVMs = 25;
pendingTaskSamplePercent = $PendingTasks.GetSamplePercent(180 * TimeInterval_Second);
pendingTaskSamples = pendingTaskSamplePercent < 70 ? startingNumberOfVMs
    : avg($PendingTasks.GetSample(180 * TimeInterval_Second));
$TargetDedicatedNodes = min(maxNumberofVMs, pendingTaskSamples);
$NodeDeallocationOption = taskcompletion;
"""
PREEMPTED = """
maxNumberofVMs = 25;
$TargetDedicatedNodes = min(maxNumberofVMs, $PreemptedNodeCount.GetSample(180 * TimeInterval_Second));
$TargetLowPriorityNodes = min(maxNumberofVMs , maxNumberofVMs - $TargetDedicatedNodes);
"""
WORK_HOURS = """
$curTime = time();
$workHours = $curTime.hour >= 8 && $curTime.hour < 18;
$isWeekday = $curTime.weekday >= 1 && $curTime.weekday <= 5;
$isWorkingWeekdayHour = $workHours && $isWeekday;
$TargetDedicatedNodes = $isWorkingWeekdayHour ? 20:10;
"""
TASKS = """
// Half an hour of nothing halves the pool.
$samples = $PendingTasks.GetSamplePercent(TimeInterval_Minute * 15);
$tasks = $samples < 70 ? max(0,$PendingTasks.GetSample(1))
    : max( $PendingTasks.GetSample(1), avg($PendingTasks.GetSample(TimeInterval_Minute * 15)));
$targetVMs = $tasks > 0? $tasks:max(0, $TargetDedicatedNodes/2);
$TargetDedicatedNodes = max(0, min($targetVMs, 20));
"""
SLOTS = """
$samples = $ActiveTasks.GetSamplePercent(TimeInterval_Minute * 15);
$tasks = $samples < 70 ? max(0,$ActiveTasks.GetSample(1))
    : max( $ActiveTasks.GetSample(1),avg($ActiveTasks.GetSample(TimeInterval_Minute * 15)));
$cores = $TargetDedicatedNodes * $TaskSlotsPerNode;
$extraVMs = (($tasks - $cores) + 3) / $TaskSlotsPerNode;
$TargetDedicatedNodes = max(0,min($TargetDedicatedNodes + $extraVMs,3));
"""
LIFESPAN = """
lifespan = time() - time("2026-11-26T15:00:00Z");
span = TimeInterval_Minute * 60; startup = TimeInterval_Minute * 10; ratio = 50;
$TargetDedicatedNodes = (lifespan > startup ? (max($RunningTasks.GetSample(span, ratio),
    $ActiveTasks.GetSample(span, ratio)) == 0 ? 0 : $TargetDedicatedNodes) : 4);
"""
CPU = """
$totalDedicatedNodes = (min($CPUPercent.GetSample(TimeInterval_Minute * 10)) > 0.7) ?
    ($CurrentDedicatedNodes * 1.1) : $CurrentDedicatedNodes;
$TargetDedicatedNodes = min(400, $totalDedicatedNodes)
"""
HOUR = 120  # samples
EXAMPLES = [
    ("pending, nothing sampled yet", PENDING, {}, 0, 1),
    ("pending, half of the samples", PENDING, {"PendingTasks": [9] * 3}, 0, 1),
    ("pending, on average", PENDING, {"PendingTasks": [0, 0, 2, 4, 6, 8, 10]}, 0, 5),
    ("pending, at most", PENDING, {"PendingTasks": [90] * 6}, 0, 25),
    ("pending, all done", PENDING, {"PendingTasks": [0] * 6}, 25, 0),
    ("preempted", PREEMPTED, {"PreemptedNodeCount": [4, 3, 4]}, 0, 3),
    ("working hours", WORK_HOURS, {}, 0, 20),
    ("tasks, only the last sample", TASKS, {"PendingTasks": [2, 7]}, 0, 7),
    ("tasks, more on average than now", TASKS, {"PendingTasks": [10] * 29 + [1]}, 0, 9),
    ("tasks, none left", TASKS, {"PendingTasks": [0] * 30}, 8, 4),
    ("slots", SLOTS, {"ActiveTasks": [8] * 30, "TaskSlotsPerNode": [4]}, 0, 2),
    ("slots, at most", SLOTS, {"ActiveTasks": [800] * 30, "TaskSlotsPerNode": [4]}, 1, 3),
    ("lifespan, idle", LIFESPAN, {"RunningTasks": [0] * HOUR, "ActiveTasks": [0] * HOUR}, 6, 0),
    ("lifespan, busy", LIFESPAN, {"RunningTasks": [0] * HOUR, "ActiveTasks": [0, 1] * (HOUR // 2)}, 6, 6),
    ("busy processors", CPU, {"CPUPercent": [0.9] * 20, "CurrentDedicatedNodes": [10]}, 10, 11),
    ("idle processors", CPU, {"CPUPercent": [0.1] * 20, "CurrentDedicatedNodes": [10]}, 10, 10),
]


@pytest.mark.parametrize(
    ("formula", "histories", "before", "after"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES]
)
def test_the_documents_formulas_over_sampled_histories(
    formula: str, histories: dict[str, list[float]], before: int, after: int
) -> None:
    found = evaluate(formula, pool(histories, dedicated=before), NOW)
    assert found.error is None, found.error
    assert found.target_dedicated == after
