"""Scaling: each scenario's formula as people read it, its limits, and what the settings of a pool make of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from infra.pool_settings import Scale
from infra.scaling import AutoScale, FixedSize, limits, scale_of
from local.azure.batch.autoscale.evaluation import Pool, evaluate
from tests.azure.batch.autoscale.histories import history
from tests.infra.recording import run_program, stack_config

PENDING = """\
// pending_tasks: 1 to 10 dedicated nodes, one for each 4 tasks
known = $PendingTasks.GetSamplePercent(TimeInterval_Minute * 10);
newest = max(0, $PendingTasks.GetSample(1));
tasks = known < 70 ? newest : max(newest, avg($PendingTasks.GetSample(TimeInterval_Minute * 10)));
needed = (tasks + 3) / 4;
$TargetDedicatedNodes = max(1, min(10, needed));
$TargetLowPriorityNodes = 0;
$NodeDeallocationOption = taskcompletion;
"""
HOURS = """\
// working_hours: 5 nodes Monday to Friday 7:00 to 18:00 UTC, else 1
now = time();
isWorkday = now.weekday >= 1 && now.weekday <= 5;
isWorkingHour = now.hour >= 7 && now.hour < 18;
$TargetDedicatedNodes = isWorkday && isWorkingHour ? 5 : 1;
$TargetLowPriorityNodes = 0;
$NodeDeallocationOption = taskcompletion;
"""


def scale(**scenario: dict[str, Any]) -> Scale:
    return Scale.model_validate(scenario)


def formula(slots: int, **scenario: dict[str, Any]) -> str:
    found = scale_of(scale(**scenario), slots)
    assert isinstance(found, AutoScale)
    return found.formula


def test_a_formula_says_its_scenario_and_its_limits() -> None:
    assert formula(4, pending_tasks={"min_nodes": 1, "max_nodes": 10}) == PENDING
    assert formula(2, working_hours={"nodes": 5, "other_nodes": 1}) == HOURS


def test_one_slot_needs_no_rounding() -> None:
    assert "needed = tasks;\n" in formula(1, pending_tasks={"max_nodes": 3})


def test_spot_nodes_are_asked_for_as_low_priority() -> None:
    text = formula(1, pending_tasks={"max_nodes": 3, "spot": True})
    assert "$TargetLowPriorityNodes = max(0, min(3, needed));" in text
    assert "$TargetDedicatedNodes = 0;" in text


@pytest.mark.parametrize(("begin", "end", "both"), [(19, 6, "||"), (0, 6, "&&")])
def test_a_night_may_go_over_midnight(begin: int, end: int, both: str) -> None:
    text = formula(1, zero_at_night={"max_nodes": 3, "night_from_hour": begin, "night_to_hour": end})
    assert f"isNight = now.hour >= {begin} {both} now.hour < {end};" in text


def test_the_floor_is_always_there_and_spot_nodes_take_the_rest() -> None:
    text = formula(4, spot_with_dedicated_floor={"dedicated_nodes": 2, "max_spot_nodes": 6})
    assert "$TargetDedicatedNodes = 2;" in text
    assert "$TargetLowPriorityNodes = max(0, min(6, needed - 2));" in text


LIMITS: list[tuple[dict[str, Any], tuple[int, int]]] = [
    ({"fixed": {"dedicated_nodes": 2, "spot_nodes": 3}}, (2, 3)),
    ({"pending_tasks": {"max_nodes": 7}}, (7, 0)),
    ({"pending_tasks": {"max_nodes": 7, "spot": True}}, (0, 7)),
    ({"working_hours": {"nodes": 1, "other_nodes": 4}}, (4, 0)),
    ({"zero_at_night": {"max_nodes": 5}}, (5, 0)),
    ({"spot_with_dedicated_floor": {"dedicated_nodes": 2, "max_spot_nodes": 6}}, (2, 6)),
]


@pytest.mark.parametrize(("scenario", "most"), LIMITS)
def test_the_most_nodes_that_a_scenario_asks_for(scenario: dict[str, Any], most: tuple[int, int]) -> None:
    assert limits(scale(**scenario)) == most


def test_a_fixed_size_is_no_formula() -> None:
    assert scale_of(scale(fixed={"dedicated_nodes": 2}), 4) == FixedSize(2, 0)


def test_the_pool_gets_the_formula_of_its_own_slots() -> None:
    config = stack_config("dev")
    pool = config["pools"]["default"] | {"scale": {"pending_tasks": {"max_nodes": 4}}, "task_slots_per_node": 8}
    run = run_program("dev", config=config | {"pools": {"default": pool}}, preview=True)
    settings = run.only("batch:Pool").inputs["scaleSettings"]
    assert settings["autoScale"]["evaluationInterval"] == "PT5M"
    assert "needed = (tasks + 7) / 8;" in settings["autoScale"]["formula"]


DAY, NIGHT, SUNDAY = "2026-11-26T15:30", "2026-11-26T23:30", "2026-11-29T12:00"
QUIET, STEADY = [0] * 21, [12] * 21
FALLING = [12] * 11 + [0] * 10  # the work ended five minutes ago
PEAK = [0] * 20 + [400]  # much work came this moment
WORKDAY = {"nodes": 5, "other_nodes": 1}
OVERNIGHT = {"min_nodes": 1, "max_nodes": 6}
FLOOR = {"dedicated_nodes": 2, "max_spot_nodes": 6}

HISTORIES: list[tuple[str, dict[str, Any], int, list[int], str, tuple[int, int]]] = [
    ("no work, no nodes", {"pending_tasks": {"max_nodes": 10}}, 4, QUIET, DAY, (0, 0)),
    ("no work, at least one", {"pending_tasks": {"min_nodes": 1, "max_nodes": 10}}, 4, QUIET, DAY, (1, 0)),
    ("12 tasks fill 3 nodes of 4 slots", {"pending_tasks": {"max_nodes": 10}}, 4, STEADY, DAY, (3, 0)),
    ("12 tasks fill 12 nodes of 1 slot", {"pending_tasks": {"max_nodes": 20}}, 1, STEADY, DAY, (12, 0)),
    ("13 tasks want a fourth node", {"pending_tasks": {"max_nodes": 10}}, 4, [13] * 21, DAY, (4, 0)),
    ("one task wants a whole node", {"pending_tasks": {"max_nodes": 10}}, 4, [1] * 21, DAY, (1, 0)),
    ("the limit holds", {"pending_tasks": {"max_nodes": 10}}, 4, [400] * 21, DAY, (10, 0)),
    ("a peak is met at once", {"pending_tasks": {"max_nodes": 10}}, 4, PEAK, DAY, (10, 0)),
    ("what ended keeps some nodes for ten minutes", {"pending_tasks": {"max_nodes": 10}}, 4, FALLING, DAY, (2, 0)),
    ("a new pool has one sample", {"pending_tasks": {"max_nodes": 10}}, 4, [8], DAY, (2, 0)),
    ("spot nodes", {"pending_tasks": {"max_nodes": 10, "spot": True}}, 4, STEADY, DAY, (0, 3)),
    ("in working hours", {"working_hours": WORKDAY}, 4, QUIET, DAY, (5, 0)),
    ("after them", {"working_hours": WORKDAY}, 4, STEADY, NIGHT, (1, 0)),
    ("on Sunday", {"working_hours": WORKDAY}, 4, STEADY, SUNDAY, (1, 0)),
    ("at their first hour", {"working_hours": WORKDAY}, 4, QUIET, "2026-11-26T07:00", (5, 0)),
    ("at their end", {"working_hours": WORKDAY}, 4, QUIET, "2026-11-26T18:00", (1, 0)),
    ("by day as pending tasks", {"zero_at_night": OVERNIGHT}, 4, STEADY, DAY, (3, 0)),
    ("by day at least one", {"zero_at_night": OVERNIGHT}, 4, QUIET, DAY, (1, 0)),
    ("none before midnight", {"zero_at_night": OVERNIGHT}, 4, STEADY, NIGHT, (0, 0)),
    ("none after midnight", {"zero_at_night": OVERNIGHT}, 4, STEADY, "2026-11-27T05:59", (0, 0)),
    ("again in the morning", {"zero_at_night": OVERNIGHT}, 4, STEADY, "2026-11-27T06:00", (3, 0)),
    ("the floor without work", {"spot_with_dedicated_floor": FLOOR}, 4, QUIET, DAY, (2, 0)),
    ("the floor takes it", {"spot_with_dedicated_floor": FLOOR}, 4, [8] * 21, DAY, (2, 0)),
    ("spot takes the rest", {"spot_with_dedicated_floor": FLOOR}, 4, STEADY, DAY, (2, 1)),
    ("spot has a limit", {"spot_with_dedicated_floor": FLOOR}, 4, PEAK, DAY, (2, 6)),
]


@pytest.mark.parametrize(
    ("scenario", "slots", "tasks", "at", "nodes"),
    [item[1:] for item in HISTORIES],
    ids=[item[0] for item in HISTORIES],
)
def test_a_history_of_tasks_gives_this_number_of_nodes(
    scenario: dict[str, Any], slots: int, tasks: list[int], at: str, nodes: tuple[int, int]
) -> None:
    now = datetime.fromisoformat(f"{at}+00:00")
    metric = history("$PendingTasks", tasks, now=now)
    found = evaluate(formula(slots, **scenario), Pool(metrics={"$PendingTasks": metric}), now)
    assert found.error is None, found.error
    assert (found.target_dedicated, found.target_low_priority) == nodes
    assert found.option == "taskcompletion"
