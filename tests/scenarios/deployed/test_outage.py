"""The local Azure may be killed at any moment: jobs go on, nothing is lost or doubled, and `watch` goes on."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from tests.scenarios.checkout import Checkout
from tests.scenarios.deployed.stack import SECONDS, Stack, eventually
from tests.scenarios.machine import kill, kill_all

pytestmark = pytest.mark.docker

LONGEST_OUTAGE = 50.0  # seconds; `watch` promises to bear 60
# More tasks than slots, so that some still wait when the first ones run.
JOB = """
job: {family: hello}
tasks:
  template:
    id: "wait-{number}"
    shell: true
    command: echo {number} && sleep 5 && echo done
  sweep:
    number: {range: [1, 6]}
"""


def test_a_killed_local_azure_started_again_loses_and_doubles_nothing(
    deployed: Checkout, stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(JOB)
    job = f"outage-{uuid.uuid4().hex[:8]}"
    watcher = deployed.start(
        str(deployed.python), "-m", "jobs", "submit", str(file), "--yes", "--watch", "--job-id", job
    )
    try:
        eventually(
            lambda: [task.state for task in stack.batch.list_tasks(job)] if job_exists(stack, job) else [],
            lambda states: "running" in states and "active" in states,
            "some running and some waiting",
        )
        killed = deployed.processes()
        began = time.monotonic()
        kill_all(killed)
        deployed.module("local", "start")
        away = time.monotonic() - began
        out, err = watcher.communicate(timeout=SECONDS)
    finally:
        watcher.kill()
    if watcher.returncode != 0 and away > LONGEST_OUTAGE:  # only a very slow machine needs so long
        out, err = (watched := deployed.module("jobs", "watch", job)).out, watched.err
    else:
        assert watcher.returncode == 0, out + err
    assert "6 succeeded, 0 failed" in err
    assert "requeued" not in err
    assert set(deployed.processes().values()).isdisjoint(killed.values())
    for task in stack.batch.list_tasks(job):
        assert task.execution_info is not None
        assert (task.execution_info.exit_code, task.execution_info.retry_count, task.execution_info.requeue_count) == (
            0,
            0,
            0,
        )
        number = str(task.id).removeprefix("wait-")
        text = b"".join(stack.batch.download_task_file(job, str(task.id), "stdout.txt")).decode()
        assert text == f"{number}\ndone\n"
    deployed.module("local", "up", "--expect-no-changes")


def job_exists(stack: Stack, job_id: str) -> bool:
    return any(job.id == job_id for job in stack.batch.list_jobs())


@pytest.mark.parametrize("name", ["azure", "azurite", "registry", "sql"])
def test_a_killed_child_is_started_again(deployed: Checkout, stack: Stack, name: str) -> None:
    before = deployed.processes()
    kill(before[name])
    after = eventually(deployed.processes, lambda now: now.get(name, before[name]) != before[name], f"a new {name}")
    assert {other: pid for other, pid in after.items() if other != name} == {
        other: pid for other, pid in before.items() if other != name
    }
    assert len(stack.nodes(stack.pool_id)) == 2
