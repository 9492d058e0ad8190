"""The figures of a job, on tasks that can be counted by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from jobs.plan.rerun import RUN_NAME
from jobs.report.figures import MOST_TEMPLATES, OTHER, Bar, Spread, compute, histogram, nice, quantile, template_of
from jobs.report.words import lines
from jobs.service.batch import Failure, JobState, NodeState, TaskState
from tests.jobs.report.made_up import START, reading

JOB = JobState(id="j", state="completed", pool_id="p", created=START)
UNKNOWN = Failure(category="UserError", code="FailureExitCode", message="")


def task(name: str, begun: float, took: float, **changes: object) -> TaskState:
    """One that succeeded on node `a`."""
    base = TaskState(
        id=name,
        state="completed",
        result="success",
        exit_code=0,
        node_id="a",
        created=START,
        started=START + timedelta(seconds=begun),
        ended=START + timedelta(seconds=begun + took),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def figures(*tasks: TaskState, slots: int = 1, nodes: tuple[NodeState, ...] = (), later: float = 1000):
    return compute(JOB, tasks, nodes, slots=slots, now=START + timedelta(seconds=later))


def test_waits_last_from_the_creation_and_runs_from_the_start() -> None:
    found = figures(task("a-1", 10, 5), task("a-2", 20, 7), task("a-3", 40, 9))
    assert (found.wait.median, found.wait.longest) == (20, 40)
    assert (found.run.median, found.run.longest) == (7, 9)
    assert (found.last_end - found.first_start).total_seconds() == 39  # type: ignore[operator]


def test_a_task_that_never_began_has_neither_wait_nor_run() -> None:
    waiting = TaskState(id="a-2", state="active", created=START)
    never = TaskState(
        id="a-3", state="completed", result="failure", failure=Failure(category="x", code="TaskEnded", message="m")
    )
    found = figures(task("a-1", 10, 5), waiting, never)
    assert (found.wait.count, found.run.count, found.waiting, found.failed) == (1, 1, 1, 1)
    assert [(one.exit_code, one.tasks) for one in found.endings] == [(None, 1), (0, 1)]
    assert found.endings[0].why.startswith("TaskEnded")


def test_a_task_that_runs_counts_until_now_on_its_node_and_in_no_run_time() -> None:
    found = figures(
        task("a-1", 0, 10), task("a-2", 10, 0, state="running", result=None, exit_code=None, ended=None), later=100
    )
    assert found.running == 1 and found.run.count == 1
    assert found.nodes[0].hours == pytest.approx(100 / 3600)
    assert found.nodes[0].used == pytest.approx(1.0)


def test_templates_are_ids_without_their_numbers_and_a_retry_belongs_to_its_task() -> None:
    again = task("sim-7-r1", 30, 5, display_name=RUN_NAME.format(number=1, task="sim-7"))
    found = figures(
        task("sim-7", 0, 5, result="failure", exit_code=3, failure=UNKNOWN),
        task("sim-12", 0, 5),
        again,
        task("merge", 9, 1),
    )
    assert {one.name: (one.tasks, one.failed) for one in found.templates} == {"merge": (1, 0), "sim-#": (3, 1)}
    assert template_of(task("v2-run-0013-b", 0, 1)) == "v#-run-#-b"


def test_a_job_without_templates_has_a_short_table_all_the_same() -> None:
    names = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(60)]
    found = figures(*(task(name, 0, 1) for name in names))
    assert len(found.templates) == MOST_TEMPLATES
    assert found.templates[-1].name == OTHER
    assert sum(one.tasks for one in found.templates) == 60


def test_failures_come_first_with_the_cause_in_words_and_an_example() -> None:
    bad = {"result": "failure", "failure": UNKNOWN}
    found = figures(
        task("b", 0, 1, exit_code=137, **bad),
        task("a", 0, 1, exit_code=137, **bad),
        task("c", 0, 1, exit_code=2, **bad),
        task("d", 0, 1),
    )
    assert [(one.exit_code, one.tasks, one.first) for one in found.endings] == [(137, 2, "a"), (2, 1, "c"), (0, 1, "d")]
    assert "out of memory" in found.endings[0].why


def test_node_hours_are_by_kind_and_the_use_is_of_its_slots() -> None:
    nodes = (NodeState(id="a", state="idle"), NodeState(id="b", state="idle", dedicated=False))
    found = figures(
        task("1", 0, 3600), task("2", 0, 1800), task("3", 0, 7200, node_id="b"), task("4", 0, 3600, node_id="gone"),
        slots=2, nodes=nodes,
    )  # fmt: skip
    assert found.hours == {"dedicated": 1.0, "spot": 2.0, "unknown": 1.0}
    assert {node.id: (node.dedicated, round(node.used, 3)) for node in found.nodes} == {
        "a": (True, 0.75), "b": (False, 0.5), "gone": (None, 0.5),
    }  # fmt: skip


def test_a_task_with_more_slots_uses_more_of_its_node() -> None:
    assert figures(task("1", 0, 10, slots=3), slots=4).nodes[0].used == pytest.approx(0.75)


def test_retries_and_preemptions_are_counted_by_times_and_tasks() -> None:
    found = figures(task("1", 0, 1, retries=3), task("2", 0, 1, retries=1, requeues=2))
    assert (found.retries, found.retried, found.requeues, found.requeued) == (4, 2, 2, 1)


def test_the_slowest_ten_are_in_order() -> None:
    found = figures(*(task(f"t-{n}", 0, n) for n in range(30)))
    assert [one.id for one in found.slowest] == [f"t-{n}" for n in range(29, 19, -1)]


@pytest.mark.parametrize(
    ("values", "share", "value"), [([5.0], 0.95, 5.0), ([0.0, 10.0], 0.5, 5.0), ([1.0, 2.0, 3.0, 4.0, 5.0], 0.95, 4.8)]
)
def test_a_quantile_lies_between_its_neighbours(values: list[float], share: float, value: float) -> None:
    assert quantile(values, share) == pytest.approx(value)


@pytest.mark.parametrize(
    "values",
    [[0.0], [0.0, 0.0], [1.0], [0.4, 0.5, 0.6], [10.0] * 50, [float(n) for n in range(100)], [1.0] * 90 + [9000.0],
     [0.0] * 50 + [100.0], [0.001, 5.0, 86400.0], [1e-9, 1e-9, 1.0]],
)  # fmt: skip
def test_every_value_is_in_one_bar_of_the_histogram(values: list[float]) -> None:
    bars = histogram(sorted(values))
    assert sum(bar.count for bar in bars) == len(values)
    assert bars[0].low == 0 and bars[-1].high >= max(values)
    assert all(bar.low < bar.high for bar in bars)
    assert all(before.high == after.low for before, after in pairwise(bars))
    assert len(bars) <= 21


def test_steps_of_a_histogram_are_round_numbers() -> None:
    assert [nice(step) for step in (0.03, 0.1, 0.11, 3, 5, 7, 1234)] == pytest.approx([0.05, 0.1, 0.2, 5, 5, 10, 2000])
    assert histogram([0.0, 10.0, 19.5, 20.0])[1] == Bar(1.0, 2.0, 0)


def test_a_job_without_tasks_has_figures_too() -> None:
    found = figures()
    assert found.total == 0 and found.run == Spread() and found.nodes == () and found.slowest == ()
    assert "0 tasks: 0 succeeded" in next(lines(found, 80))


def test_the_figures_as_json_are_plain() -> None:
    import json

    found = reading(40)
    text = json.dumps(compute(found.job, found.tasks, found.nodes, slots=2, now=START).plain(), default=str)
    read = json.loads(text)
    assert read["total"] == 40 and len(read["slowest"]) == 10
    assert read["slowest"][0]["logs"] == f"batch-jobs logs {found.job.id} {read['slowest'][0]['task']}"
    assert read["templates"][0]["run"]["histogram"][0]["low"] == 0


def test_the_terminal_has_the_same_figures() -> None:
    found = reading(600)
    figures = compute(found.job, found.tasks, found.nodes, slots=2, now=START)
    text = "\n".join(lines(figures, 200))
    for part in (
        "600 tasks:",
        "simulate-#",
        "exit code 137: failed:",
        "node hours:",
        "slowest tasks; what one wrote: python -m jobs logs",
        "back to the queue",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) < 200
    table = [line for line in lines(figures, 80) if line.startswith(("template", "simulate-#"))]
    assert len(table) == 2 and max(map(len, table)) <= 80, "the pictures of run times have no room"
