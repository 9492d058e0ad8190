"""Random clients of one account beside a small reference model: jobs and tasks through the real SDK, kills in between.

A short form runs always. `BATCH_MACHINE_STEPS=10000` (a number of steps) is the long one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from testbeds.batch_service import LocalBatch, furnish

NODES, SLOTS = 2, 2
STEPS = int(os.environ.get("BATCH_MACHINE_STEPS", "120"))
STEPS_OF_ONE = min(STEPS, 60)
NAMES = st.sampled_from(["a", "B", "c"])
IDS = st.sampled_from(["1", "2", "X", "y"])
WAITING, RUNNING, DONE = "active", "running", "completed"


@dataclass
class RefTask:
    """What the reference knows of a task."""

    state: str = WAITING
    succeeded: bool = False


@dataclass
class RefJob:
    """What the reference knows of a job."""

    state: str = "active"
    tasks: dict[str, RefTask] = field(default_factory=dict)

    def of(self, state: str) -> list[RefTask]:
        return [task for task in self.tasks.values() if task.state == state]

    def settle(self) -> None:
        if self.state == "disabling" and not self.of(RUNNING):
            self.state = "disabled"


def code(call: Any, *arguments: Any, **options: Any) -> str | None:
    """Call the SDK; the service's error code, None when it did it."""
    try:
        result = call(*arguments, **options)
        if hasattr(result, "wait"):
            result.wait()
    except HttpResponseError as refused:
        assert refused.error is not None and refused.status_code is not None and refused.status_code < 500
        return refused.error.code
    return None


class Clients(RuleBasedStateMachine):
    """Job names repeat within one run; each run begins with an account without jobs."""

    local: LocalBatch

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, RefJob] = {}
        self.client: BatchClient = self.local.client()

    def teardown(self) -> None:
        for job in list(self.client.list_jobs()):
            code(self.client.begin_delete_job, job.id, force=True)
        self.local.settle()
        assert list(self.client.list_jobs()) == [] and self.local.executor.runs == {}

    def expect(self, refused: str | None, call: Any, *arguments: Any, **options: Any) -> bool:
        """The SDK's call is refused with this code, or done; whether it was done."""
        assert code(call, *arguments, **options) == refused
        self.local.settle()
        return refused is None

    def ended(self, job: RefJob | None) -> str | None:
        return "JobNotFound" if job is None else "JobCompleted" if job.state == DONE else None

    # -- jobs --------------------------------------------------------------------------------------------------------

    @rule(name=NAMES)
    def create_job(self, name: str) -> None:
        options = models.BatchJobCreateOptions(id=name, pool_info=models.BatchPoolInfo(pool_id="pool"))
        if self.expect("JobExists" if name in self.jobs else None, self.client.create_job, options):
            self.jobs[name] = RefJob()

    @rule(name=NAMES)
    def delete_job(self, name: str) -> None:
        if self.expect(None if name in self.jobs else "JobNotFound", self.client.begin_delete_job, name):
            del self.jobs[name]

    @rule(name=NAMES, force=st.booleans())
    def terminate_job(self, name: str, force: bool) -> None:
        job = self.jobs.get(name)
        reason: Any = {"terminateReason": "enough"}
        if self.expect(self.ended(job), self.client.begin_terminate_job, name, reason, force=force) and job:
            job.state = DONE
            for task in job.of(RUNNING):
                task.state = DONE

    @rule(name=NAMES, option=st.sampled_from(["requeue", "terminate", "wait"]))
    def disable_job(self, name: str, option: str) -> None:
        job = self.jobs.get(name)
        if option == "wait" and job is not None and job.of(RUNNING):
            return  # the SDK's poller would wait for tasks that only a later step ends
        options = models.BatchJobDisableOptions(disable_tasks=option)
        refused = "JobNotActive" if job is not None and job.state == DONE else self.ended(job)
        if self.expect(refused, self.client.begin_disable_job, name, options) and job:
            for task in job.of(RUNNING):
                task.state = WAITING if option == "requeue" else DONE
            job.state = "disabled"

    @rule(name=NAMES)
    def enable_job(self, name: str) -> None:
        job = self.jobs.get(name)
        refused = self.ended(job)
        if job is not None and job.state == "active":
            refused = "OperationInvalidForCurrentState"
        if self.expect(refused, self.client.begin_enable_job, name) and job:
            job.state = "active"

    @rule(name=NAMES, priority=st.integers(-1000, 1000))
    def change_job(self, name: str, priority: int) -> None:
        change = models.BatchJobUpdateOptions(priority=priority)
        if self.expect(self.ended(self.jobs.get(name)), self.client.update_job, name, change):
            assert self.client.get_job(name).priority == priority

    # -- tasks -------------------------------------------------------------------------------------------------------

    def task(self, name: str, task_id: str) -> tuple[RefTask | None, str | None]:
        job = self.jobs.get(name)
        found = None if job is None else job.tasks.get(task_id)
        return found, "JobNotFound" if job is None else "TaskNotFound" if found is None else None

    @rule(name=NAMES, task_id=IDS)
    def add_task(self, name: str, task_id: str) -> None:
        job = self.jobs.get(name)
        refused = self.ended(job) or ("TaskExists" if job and task_id in job.tasks else None)
        options = models.BatchTaskCreateOptions(id=task_id, command_line="run")
        if self.expect(refused, self.client.create_task, name, options) and job:
            job.tasks[task_id] = RefTask()

    @rule(name=NAMES, task_id=IDS)
    def delete_task(self, name: str, task_id: str) -> None:
        if self.expect(self.task(name, task_id)[1], self.client.delete_task, name, task_id):
            del self.jobs[name].tasks[task_id]

    @rule(name=NAMES, task_id=IDS)
    def terminate_task(self, name: str, task_id: str) -> None:
        task, refused = self.task(name, task_id)
        refused = refused or ("TaskCompleted" if task and task.state == DONE else None)
        if self.expect(refused, self.client.terminate_task, name, task_id) and task:
            task.state = DONE

    @rule(name=NAMES, task_id=IDS)
    def reactivate_task(self, name: str, task_id: str) -> None:
        task, refused = self.task(name, task_id)
        if refused is None and task is not None:
            refused = self.ended(self.jobs[name]) or ("TaskNotCompleted" if task.state != DONE else None)
            refused = refused or ("TaskSucceeded" if task.succeeded else None)
        if self.expect(refused, self.client.reactivate_task, name, task_id) and task:
            task.state = WAITING

    # -- nodes and the process ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.local.executor.runs)
    @rule(which=st.integers(0, 100), exit_code=st.sampled_from([0, 0, 1]))
    def end_run(self, which: int, exit_code: int) -> None:
        # By what they are runs of: ids of runs are random, and a step that is repeated has to end the same one.
        runs = sorted(self.local.executor.runs.items(), key=lambda item: (item[1][1].job_id, item[1][1].task_id))
        run_id, (_, run) = runs[which % len(runs)]
        task = self.jobs[run.job_id].tasks[run.task_id]
        assert task.state == RUNNING
        task.state, task.succeeded = DONE, exit_code == 0
        self.local.do(self.local.executor.end, run_id, exit_code)

    @rule()
    def kill(self) -> None:
        self.local.restart()
        self.client = self.local.client()

    # -- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def the_service_and_the_reference_agree(self) -> None:
        for job in self.jobs.values():
            job.settle()
        free = NODES * SLOTS - sum(len(job.of(RUNNING)) for job in self.jobs.values())
        able = sum(len(job.of(WAITING)) for job in self.jobs.values() if job.state == "active")
        started = 0
        assert [job.id for job in self.client.list_jobs()] == sorted(self.jobs, key=str.lower)
        for name, job in self.jobs.items():
            assert self.client.get_job(name).state == job.state
            shown = {task.id: task for task in self.client.list_tasks(name)}
            assert list(shown) == sorted(job.tasks, key=str.lower)
            for task_id, ref in job.tasks.items():
                told = str(models.BatchTaskState(shown[task_id].state or "").value)
                state = {"preparing": RUNNING}.get(told, told)
                if ref.state == WAITING and state == RUNNING:  # the scheduler's choice, as far as it may choose
                    assert job.state == "active"
                    ref.state, started = RUNNING, started + 1
                assert state == ref.state, f"{name}/{task_id}"
                info = shown[task_id].execution_info
                if state == DONE:
                    assert info is not None and (info.result == "success") is ref.succeeded
        assert started == min(free, able), "no node idles while a task could run"
        assert len(self.local.executor.runs) == sum(len(job.of(RUNNING)) for job in self.jobs.values())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBatch]:
    """Two nodes that are up, with two slots each."""
    local = LocalBatch(Path(tmp_path_factory.mktemp("machine")) / "home", automatic=False)
    furnish(local)
    local.pool(nodes=NODES, taskSlotsPerNode=SLOTS)
    for node in local.node_ids():
        local.do(local.executor.node_up, node)
    yield local
    local.close()


def test_random_clients_see_what_the_reference_says(cluster: LocalBatch) -> None:
    Clients.local = cluster
    run_state_machine_as_test(
        Clients,
        settings=settings(
            max_examples=max(1, STEPS // STEPS_OF_ONE),
            stateful_step_count=STEPS_OF_ONE,
            deadline=None,
            database=None,
            derandomize="BATCH_MACHINE_STEPS" not in os.environ,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
