"""A job's tasks in order and counted, beside a plain dict."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from local.azure.batch.model import Task
from local.azure.batch.model.states import TaskState
from local.azure.batch.model.task import with_defaults
from local.azure.batch.model.task_table import SortedKeys, Standing, TaskTable, standing_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("seed", range(6))
def test_keys_stay_in_order_however_they_come_and_go(seed: int) -> None:
    chance = random.Random(seed)
    keys, model = SortedKeys(), set[str]()
    for _ in range(6_000):
        key = str(chance.randrange(4_000))
        if key in model:
            keys.remove(key)
            model.remove(key)
        else:
            keys.add(key)
            model.add(key)
    for after, start in [("", ""), ("2", ""), ("", "31"), ("35", "3"), ("1", "2"), ("99999", "")]:
        expected = sorted(key for key in model if key > after and key >= start)
        assert list(keys.after(after, start)) == expected
    for key in list(model):
        keys.remove(key)
    assert list(keys.after("")) == []


def test_keys_that_come_in_order_stay_in_order() -> None:
    keys = SortedKeys()
    for number in range(5_000):
        keys.add(f"{number:05}")
    assert list(keys.after("")) == [f"{number:05}" for number in range(5_000)]


def task(number: int) -> Task:
    body = with_defaults({"id": f"T-{number}", "commandLine": "x", "requiredSlots": 1 + number % 3}, 0)
    return Task(id=f"T-{number}", job_id="j", number=number, body=body, created=NOW, changed=NOW, state_since=NOW)


@pytest.mark.parametrize("seed", range(4))
def test_tasks_are_found_by_what_they_count_as(seed: int) -> None:
    chance = random.Random(seed)
    table, model = TaskTable(), dict[str, Task]()
    for _ in range(3_000):
        one = model.get(f"t-{chance.randrange(300)}") or task(chance.randrange(300))
        if one.key in model and chance.random() < 0.1:
            table.remove(one)
            del model[one.key]
            continue
        one.state = chance.choice(list(TaskState)) if one.key in model else TaskState.ACTIVE
        one.result = chance.choice(["success", "failure"]) if one.state is TaskState.COMPLETED else None
        table.put(one, uses_dependencies=False)
        model[one.key] = one
    for standing in Standing:
        having = [one for one in model.values() if standing_of(one) is standing]
        assert table.counts[standing] == len(having)
        assert table.slots[standing] == sum(one.slots for one in having)
        found = [one.key for one in table.in_order("", standings=(standing,))]
        assert found == sorted(one.key for one in having)
    assert [one.key for one in table.in_order("t-2", "t-2")] == sorted(
        key for key in model if key > "t-2" and key.startswith("t-2")
    )
    assert set(table.waiting) == {one.key for one in model.values() if one.state is TaskState.ACTIVE}
    assert table.unfinished == sum(one.state is not TaskState.COMPLETED for one in model.values())
