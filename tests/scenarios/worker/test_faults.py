"""The SQL Server of the deployed stack has faults on purpose; the worker is the real image on a real node.

Faults that pass: every step is done once, whatever was tried again. Faults that stay: the documented exit code, and one
line that names the cause.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from local.azure.platform.faults import Control, Rule
from local.azure.sql.faults import sql_fault
from tests.scenarios.cluster import DRILL, Cluster
from tests.scenarios.worker.refused_logins import REFUSALS

pytestmark = pytest.mark.docker

STEP = r"INSERT INTO dbo\.drill_steps"
STEPS = 4
STUCK = 10.0  # seconds: longer than any statement's timeout


@pytest.fixture
def faults(cluster: Cluster) -> Iterator[Control]:
    control = Control(cluster.paths, "sql")
    yield control
    control.clear()


@pytest.mark.parametrize(
    "fault",
    [
        sql_fault("failover"),  # of the first login
        sql_fault("token-expired"),
        sql_fault("deadlock", match=STEP, times=2),
        sql_fault("failover", match=STEP, times=2),
        sql_fault("cut", match=STEP, times=2),
        sql_fault("slow", match=STEP, seconds=STUCK),
        sql_fault("failover", match="COMMIT", times=3),
        sql_fault("cut-before-commit", times=4),
        sql_fault("cut-after-commit", times=4),
    ],
    ids=lambda fault: f"{fault.kind} {fault.match}".strip(),
)
def test_a_fault_that_passes_costs_tries_and_no_step(cluster: Cluster, faults: Control, fault: Rule) -> None:
    queue = f"q-{uuid.uuid4().hex[:8]}"
    cluster.enqueue(queue, {"item": {"steps": STEPS, "seconds": 0.1}})
    number = faults.set(fault)
    job = cluster.submit([("run", "--queue", queue, "--until-empty", "--handler", DRILL)])
    info = cluster.wait_for_task(job)
    assert info["exitCode"] == 0, cluster.text(job) + cluster.text(job, file="stderr.txt")
    assert faults.fired(number) == fault.times
    faults.clear()
    assert len([line for line in cluster.said(job) if line["event"] == "retry"]) == fault.times
    assert cluster.items(queue)["item"] == ("done", STEPS, 1)
    assert cluster.steps(queue) == [("item", step) for step in range(STEPS)]


@pytest.mark.parametrize(("kind", "code", "words"), REFUSALS)
def test_a_login_that_stays_refused_has_its_exit_code(
    cluster: Cluster, faults: Control, kind: str, code: int, words: str
) -> None:
    faults.set(sql_fault(kind, times=0))
    run = ("run", "--queue", "q", "--until-empty", "--patience", "1", "--handler", DRILL)
    job = cluster.submit([("check",), run])
    for task in cluster.task_ids(job):
        fact, _, _ = cluster.end_of(job, task, expect=code).splitlines()[-3:]
        assert words in fact


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (sql_fault("deadlock", match=STEP, times=0), "rolled our transaction back"),
        (sql_fault("cut", match=STEP, times=0), "failed"),
        (sql_fault("slow", match=STEP, times=0, seconds=STUCK), "timeout"),
    ],
    ids=lambda value: value.kind if isinstance(value, Rule) else "",
)
def test_a_step_that_never_passes_is_its_items_failure_and_the_queue_goes_on(
    cluster: Cluster, faults: Control, fault: Rule, words: str
) -> None:
    """The database answers everybody else; so it is not the database."""
    queue = f"q-{uuid.uuid4().hex[:8]}"
    cluster.enqueue(queue, {"item": {"steps": STEPS, "seconds": 0.1}})
    faults.set(fault)
    limits = ("--patience", "1", "--max-attempts", "2", "--retry-delay", "0")
    said = cluster.run("run", "--queue", queue, "--until-empty", *limits, "--handler", DRILL)
    faults.clear()
    assert words in said.lower()
    assert cluster.items(queue)["item"][:2] == ("dead", 0)
    assert cluster.steps(queue) == []
