"""Dependencies as data against a simpler reference, and at scale; then through the SDK."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError, ResourceExistsError

from local.azure.batch.model.dependencies import Dependencies
from local.azure.platform.clock import ManualClock
from local.azure.platform.store import Store
from local.node.noop import NoopExecutor
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, code_of, end, make_job, states, waiting_for
from tests.azure.batch.world import World


@pytest.mark.parametrize("seed", range(60))
def test_a_task_is_ready_exactly_when_all_it_waits_for_has_satisfied(seed: int) -> None:
    chance = random.Random(seed)

    def some() -> list[int]:
        return [chance.randrange(13) for _ in range(chance.randrange(4))]

    waits = [(list(map(str, some())), list(zip(some(), some(), strict=False))) for _ in range(8)]
    order, early = chance.sample(range(13), 13) + some(), chance.randrange(14)
    made, satisfied = Dependencies(), set[int]()
    for number in order[:early]:
        made.satisfy(str(number))
        satisfied.add(number)
    for index, (parents, ranges) in enumerate(waits):
        made.add(f"t{index}", parents, ranges)

    def expected() -> set[str]:
        wanted = [
            {int(parent) for parent in parents} | {n for start, end in ranges for n in range(start, end + 1)}
            for parents, ranges in waits
        ]
        return {f"t{index}" for index, numbers in enumerate(wanted) if numbers <= satisfied}

    ready = {f"t{index}" for index in range(len(waits)) if not made.waits(f"t{index}")}
    assert ready == expected()
    for number in order[early:]:
        satisfied.add(number)
        fresh = made.satisfy(str(number))
        assert len(fresh) == len(set(fresh)) and not ready & set(fresh)
        ready |= set(fresh)
        assert ready == expected()


def test_leading_zeroes_do_not_count_and_words_are_no_integers() -> None:
    made = Dependencies()
    made.add("range", [], [(3, 5)])
    assert made.satisfy("03") == made.satisfy("4") == made.satisfy("5flamingoes") == made.satisfy("004") == []
    assert made.satisfy("5") == ["range"]


def test_a_task_that_was_deleted_and_made_again_waits_for_its_new_parents_only() -> None:
    made = Dependencies()
    made.add("t", ["a", "b"], [])
    made.forget("t")
    made.add("t", ["a", "c"], [])
    assert made.satisfy("a") == made.satisfy("b") == []
    assert made.satisfy("c") == ["t"]


@pytest.mark.parametrize("backwards", [False, True])
def test_thousands_that_wait_for_the_same_wide_range_cost_no_more_than_their_number(backwards: bool) -> None:
    count = 20_000
    made = Dependencies()
    begin = time.process_time()
    for number in range(count):
        made.add(f"t{number}", [], [(1, count)])
    last: list[str] = []
    for number in range(count, 0, -1) if backwards else range(1, count + 1):
        last = made.satisfy(str(number))
    assert len(last) == count
    assert time.process_time() - begin < 10  # every range at every integer would be 400 million steps


@pytest.mark.thorough
async def test_ten_times_the_tasks_with_dependencies_take_about_ten_times_as_long() -> None:
    async def seconds(count: int) -> float:
        clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        made = World(Store(None), clock, NoopExecutor(automatic=True, now=clock.now))
        await made.open()
        made.pool(nodes=32)
        job = made.job({"usesTaskDependencies": True})
        begin = time.process_time()
        with made.store.transaction():
            for number in range(count):  # pairs; every hundredth waits for the hundred before it as well
                waits: dict[str, object] = {"taskIds": [str(number - 1)]} if number % 2 else {}
                if number % 100 == 99:
                    waits["taskIdRanges"] = [{"start": number - 99, "end": number - 1}]
                made.task(str(number), depends_on=waits)
        while made.state.unfinished(job):
            await made.settle()
        assert all(task.result == "success" for task in made.state.tasks(job).values())
        return time.process_time() - begin

    few, many = await seconds(500), await seconds(5_000)
    assert many < few * 10 * 3  # 100,000 were run once, too: 20 times the time of 5,000


@pytest.fixture
def chained(manual: LocalBatch) -> LocalBatch:
    """A node with room, and a job that uses dependencies."""
    manual.pool(nodes=1, taskSlotsPerNode=4)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    make_job(manual.client(), uses_task_dependencies=True)
    return manual


def test_a_task_waits_for_every_parent_also_for_one_that_comes_later(chained: LocalBatch) -> None:
    client = chained.client()
    add(client, "last", depends_on=waiting_for("A", "b"))
    assert states(chained, "last") == ["active"]
    add(client, "a", "b")
    assert states(chained, "last", "a", "b") == ["active", "preparing", "preparing"]
    end(chained, "a")
    assert states(chained, "last") == ["active"]
    assert client.get_job_task_counts("job").task_counts.active == 1
    end(chained, "b")
    assert states(chained, "last") == ["preparing"]
    shown = client.get_task("job", "last").depends_on
    assert shown is not None and shown.task_ids == ["A", "b"]


def test_a_range_waits_for_every_number_in_it(chained: LocalBatch) -> None:
    client = chained.client()
    add(client, "after", depends_on=waiting_for(ranges=[(1, 3)]))
    add(client, "1", "02", "3")
    for task in ("1", "3"):
        chained.settle()
        end(chained, task)
    assert states(chained, "after") == ["active"]
    end(chained, "02")
    assert states(chained, "after") == ["preparing"]


def test_a_failed_parent_blocks_for_ever_until_it_succeeds(chained: LocalBatch) -> None:
    client = chained.client()
    add(client, "parent", constraints=models.BatchTaskConstraints(max_task_retry_count=1))
    add(client, "child", depends_on=waiting_for("parent"))
    chained.settle()
    end(chained, "parent", 1)
    assert states(chained, "parent", "child") == ["preparing", "active"]  # the retry
    end(chained, "parent", 1)
    assert states(chained, "parent", "child") == ["completed", "active"]
    client.reactivate_task("job", "parent")
    chained.settle()
    end(chained, "parent", 0)
    assert states(chained, "child") == ["preparing"]


def test_a_blocked_task_keeps_its_job_from_completing(chained: LocalBatch) -> None:
    client = chained.client()
    add(client, "parent")
    add(client, "child", depends_on=waiting_for("parent"))
    client.update_job("job", models.BatchJobUpdateOptions(all_tasks_complete_mode="terminatejob"))
    chained.settle()
    end(chained, "parent", 9)
    assert client.get_job("job").state == "active"


def test_what_satisfied_once_does_so_after_it_was_deleted_and_after_a_restart(chained: LocalBatch) -> None:
    client = chained.client()
    add(client, "parent", "other")
    add(client, "child", depends_on=waiting_for("parent", "other"))
    chained.settle()
    end(chained, "parent")
    client.delete_task("job", "parent")
    chained.restart()
    assert states(chained, "child") == ["active"]
    end(chained, "other")
    assert states(chained, "child") == ["preparing"]
    chained.client().begin_delete_job("job").wait()
    chained.settle()
    assert chained.cloud.store.count("batch.satisfied") == 0


def test_dependencies_are_waited_for_again_after_a_restart(chained: LocalBatch) -> None:
    client = chained.client()
    add(client, "child", depends_on=waiting_for("parent", ranges=[(1, 2)]))
    add(client, "1", "2", "parent")
    chained.settle()
    end(chained, "1")
    chained.restart()
    end(chained, "parent")
    assert states(chained, "child") == ["active"]
    end(chained, "2")
    assert states(chained, "child") == ["preparing"]


def test_dependencies_need_a_job_that_uses_them(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client)
    with pytest.raises(HttpResponseError) as refused:
        add(client, "child", depends_on=waiting_for("parent"))
    assert code_of(refused) == (400, "TaskDependenciesNotSpecifiedOnJob")
    add(client, "none", depends_on=waiting_for())


def test_a_list_of_parents_has_at_most_64000_characters_and_a_range_goes_upwards(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client, uses_task_dependencies=True)
    most = [f"{number:064}" for number in range(1000)]
    add(client, "fits", depends_on=waiting_for(*most))
    with pytest.raises(HttpResponseError) as refused:
        add(client, "long", depends_on=waiting_for(*most, "x"))
    assert code_of(refused) == (400, "TaskDependencyListTooLong")
    with pytest.raises(HttpResponseError, match="begins before its end"):
        add(client, "down", depends_on=waiting_for(ranges=[(2, 1)]))


def test_terminating_a_waiting_task_leaves_its_dependents_blocked(chained: LocalBatch) -> None:
    client = chained.client()
    add(client, "child", depends_on=waiting_for("nobody"))
    add(client, "grandchild", depends_on=waiting_for("child"))
    client.terminate_task("job", "child")
    assert states(chained, "child", "grandchild") == ["completed", "active"]
    with pytest.raises(ResourceExistsError):
        client.terminate_task("job", "child")
    client.reactivate_task("job", "child")
    assert states(chained, "child") == ["active"]  # its own parent is still not there
