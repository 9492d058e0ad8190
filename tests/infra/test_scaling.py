"""Scaling: each scenario's formula as people read it, its limits, and what the settings of a pool make of it.

What the formulas give is in `test_scaling_evaluated.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from infra.pools.scaling import AutoScale, FixedSize, scale_of
from infra.settings.pools import Scale, limits
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
