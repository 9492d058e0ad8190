"""`depends_on`: what is taken, in whatever order tasks come, and what is told of a stream."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import pytest

from jobs.files.checks.dependencies import MOST_CHARACTERS, Dependencies, parents
from jobs.files.model.job import Task

Entry = str | dict[str, list[int]]


def task(task_id: str, *depends_on: Entry) -> Task:
    return Task.model_validate({"id": task_id, "depends_on": list(depends_on)})


def problems(*tasks: Task) -> list[tuple[str, str]]:
    found = Dependencies[int]()
    for place, one in enumerate(tasks):
        assert found.note(place, one) == ""
    return [(task_id, what) for _, task_id, what in found.problems(one.id.lower() for one in tasks)]


def test_a_text_is_any_number_of_ids() -> None:
    assert parents(task("c", "a  b", "", "d")) == (["a", "b", "d"], [])
    assert parents(task("c", {"range": [1, 3]})) == ([], [(1, 3)])


def test_ids_may_be_named_before_their_tasks_come_and_in_any_case() -> None:
    assert problems(task("c", "A", "b"), task("b", "a"), task("a")) == []


def test_tasks_that_share_parents_are_no_circle() -> None:
    assert problems(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c", "a")) == []


def test_a_range_takes_numbers_with_zeros_before_them() -> None:
    assert problems(task("01"), task("2"), task("all", {"range": [1, 2]})) == []


@pytest.mark.parametrize(
    ("spans", "told"),
    [
        ([[1, 3]], []),
        ([[1, 3], [2, 5]], ["'4'"]),
        ([[4, 9]], ["'4'"]),
        ([[0, 1]], ["'0'"]),
        ([[1, 2], [3, 4]], ["'4'"]),
        ([[1, 2_000_000_000]], ["'4'"]),
    ],
)
def test_each_number_of_a_range_is_a_task(spans: Sequence[list[int]], told: list[str]) -> None:
    found = problems(*(task(str(number)) for number in (3, 1, 2)), task("all", *({"range": span} for span in spans)))
    assert len(found) == len(told)
    assert all(word in what for word, (_, what) in zip(told, found, strict=True))


def test_a_circle_through_ranges_is_found() -> None:
    found = problems(task("1", "2"), task("2", {"range": [3, 4]}), task("3"), task("4", "1"))
    assert found == [
        ("1", "a circle, so none of its tasks would ever run: 1 -> 2 -> 4 -> 1; take one dependency out"),
    ]


def test_a_long_chain_is_no_recursion_and_a_long_circle_is_told_in_short() -> None:
    chain = [task("t0"), *(task(f"t{number}", f"t{number - 1}") for number in range(1, 5000))]
    assert problems(*chain) == []
    ((_, what),) = problems(task("t0", "t4999"), *chain[1:])
    assert "-> ... ->" in what
    assert len(what) < 200


def test_batchs_limit_on_the_ids_is_checked() -> None:
    found = Dependencies[int]()
    ids = [f"{number:064}" for number in range(1001)]
    assert found.note(0, task("all", *ids[:1000])) == ""
    assert f"64064 characters together; Batch takes {MOST_CHARACTERS}" in found.note(0, task("all", *ids))


def test_memory_is_only_for_tasks_that_depend_on_others() -> None:
    """A hundred thousand tasks go by, of which the last depends on all."""
    found = Dependencies[int]()
    tracemalloc.start()
    assert found.note(0, task("all", {"range": [1, 100_000]})) == ""
    assert list(found.problems(str(number) for number in range(1, 100_001))) == []
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20
