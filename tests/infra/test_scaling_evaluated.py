"""Each scaling scenario's formula, evaluated over sampled histories as the service does it: the nodes it asks for.

The program's formulas and the evaluator of the local Azure meet only here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.pools.scaling import AutoScale, scale_of
from infra.settings.pools import Scale, limits
from local.azure.batch.autoscale.evaluation import check, evaluate
from tests.azure.batch.autoscale.histories import pool

THURSDAY_NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
THURSDAY_NIGHT = datetime(2026, 11, 26, 23, 0, tzinfo=UTC)
SUNDAY_NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
WHOLE = 20  # samples: ten minutes, as far back as the formulas look


def nodes(
    scenario: dict[str, Any], slots: int, pending: Sequence[float], now: datetime = THURSDAY_NOON
) -> tuple[int, int]:
    """(dedicated, spot) nodes that the scenario asks for, with these samples of waiting and running tasks."""
    scale = Scale.model_validate(scenario)
    made = scale_of(scale, slots)
    assert isinstance(made, AutoScale)
    found = evaluate(made.formula, pool({"PendingTasks": pending} if pending else {}, now=now), now)
    assert found.error is None, found.error
    assert found.option == "taskcompletion", "a node that leaves must let its tasks end"
    asked = found.target_dedicated, found.target_low_priority
    assert all(one <= most for one, most in zip(asked, limits(scale), strict=True)), "more than the scenario's limits"
    return asked


PENDING = {"pending_tasks": {"min_nodes": 1, "max_nodes": 10}}
TO_NOTHING = {"pending_tasks": {"min_nodes": 0, "max_nodes": 20}}
SPOT = {"pending_tasks": {"min_nodes": 0, "max_nodes": 10, "spot": True}}
HOURS = {"working_hours": {"nodes": 5, "other_nodes": 1, "from_hour": 7, "to_hour": 18}}
NIGHT = {"zero_at_night": {"min_nodes": 1, "max_nodes": 6, "night_from_hour": 19, "night_to_hour": 6}}
EARLY = {"zero_at_night": {"min_nodes": 1, "max_nodes": 6, "night_from_hour": 0, "night_to_hour": 6}}
FLOOR = {"spot_with_dedicated_floor": {"dedicated_nodes": 2, "max_spot_nodes": 6}}


def at(hour: int, minute: int = 0) -> datetime:
    return THURSDAY_NOON.replace(hour=hour, minute=minute)


# scenario, slots, samples of pending tasks (the newest last), now, (dedicated, spot) nodes
REVIEWED = [
    ("a new pool", PENDING, 4, [], THURSDAY_NOON, (1, 0)),
    ("a new pool with work", PENDING, 4, [8], THURSDAY_NOON, (2, 0)),
    ("nothing to do", PENDING, 4, [0] * WHOLE, THURSDAY_NOON, (1, 0)),
    ("one task needs one node", PENDING, 4, [1] * WHOLE, THURSDAY_NOON, (1, 0)),
    ("one task more than fits", PENDING, 4, [5] * WHOLE, THURSDAY_NOON, (2, 0)),
    ("a full node is enough for its slots", PENDING, 4, [8] * WHOLE, THURSDAY_NOON, (2, 0)),
    ("much at once", PENDING, 4, [0] * (WHOLE - 1) + [400], THURSDAY_NOON, (10, 0)),
    ("it was busy until now", PENDING, 4, [40] * (WHOLE - 1) + [0], THURSDAY_NOON, (10, 0)),
    ("half of the time it was busy", PENDING, 1, [6] * 10 + [0] * 10, THURSDAY_NOON, (3, 0)),
    ("few samples: the newest counts", PENDING, 1, [9, 9, 2], THURSDAY_NOON, (2, 0)),
    ("the limit holds", PENDING, 4, [400] * WHOLE, THURSDAY_NOON, (10, 0)),
    ("what ended five minutes ago keeps some nodes", PENDING, 4, [12] * 10 + [0] * 10, THURSDAY_NOON, (2, 0)),
    ("no work, no nodes", TO_NOTHING, 4, [0] * WHOLE, THURSDAY_NOON, (0, 0)),
    ("twelve tasks fill three nodes of four slots", TO_NOTHING, 4, [12] * WHOLE, THURSDAY_NOON, (3, 0)),
    ("and twelve of one", TO_NOTHING, 1, [12] * WHOLE, THURSDAY_NOON, (12, 0)),
    ("spot to nothing", SPOT, 2, [0] * WHOLE, THURSDAY_NOON, (0, 0)),
    ("spot for what is there", SPOT, 2, [7] * WHOLE, THURSDAY_NOON, (0, 4)),
    ("a working day", HOURS, 1, [], THURSDAY_NOON, (5, 0)),
    ("it begins at seven", HOURS, 1, [], at(7), (5, 0)),
    ("and not before", HOURS, 1, [], at(6), (1, 0)),
    ("it ends at six", HOURS, 1, [], at(18), (1, 0)),
    ("work does not count", HOURS, 4, [12] * WHOLE, THURSDAY_NIGHT, (1, 0)),
    ("Sunday", HOURS, 1, [], SUNDAY_NOON, (1, 0)),
    ("by day as pending tasks", NIGHT, 2, [5] * WHOLE, THURSDAY_NOON, (3, 0)),
    ("by day never below the least", NIGHT, 2, [0] * WHOLE, THURSDAY_NOON, (1, 0)),
    ("none at night, whatever waits", NIGHT, 2, [50] * WHOLE, THURSDAY_NIGHT, (0, 0)),
    ("the night goes over midnight", NIGHT, 2, [50] * WHOLE, at(5, 59), (0, 0)),
    ("and ends at six", NIGHT, 2, [50] * WHOLE, at(6), (6, 0)),
    ("a night after midnight only", EARLY, 2, [50] * WHOLE, THURSDAY_NIGHT, (6, 0)),
    ("and then none", EARLY, 2, [50] * WHOLE, at(0), (0, 0)),
    ("the floor alone", FLOOR, 4, [0] * WHOLE, THURSDAY_NOON, (2, 0)),
    ("what the floor can take", FLOOR, 4, [8] * WHOLE, THURSDAY_NOON, (2, 0)),
    ("spot for the rest", FLOOR, 4, [20] * WHOLE, THURSDAY_NOON, (2, 3)),
    ("spot at most", FLOOR, 4, [900] * WHOLE, THURSDAY_NOON, (2, 6)),
]


@pytest.mark.parametrize(
    ("scenario", "slots", "pending", "now", "expected"), [row[1:] for row in REVIEWED], ids=[row[0] for row in REVIEWED]
)
def test_a_history_gives_the_nodes_that_were_reviewed(
    scenario: dict[str, Any], slots: int, pending: list[float], now: datetime, expected: tuple[int, int]
) -> None:
    assert nodes(scenario, slots, pending, now) == expected


@pytest.mark.parametrize(
    "scenario", [PENDING, TO_NOTHING, SPOT, HOURS, NIGHT, EARLY, FLOOR], ids=lambda value: next(iter(value))
)
@pytest.mark.parametrize("slots", [1, 2, 16])
def test_the_service_can_read_every_formula(scenario: dict[str, Any], slots: int) -> None:
    made = scale_of(Scale.model_validate(scenario), slots)
    assert isinstance(made, AutoScale)
    assert check(made.formula)
