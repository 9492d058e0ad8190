"""A turn that fails at any place changes nothing: what is in memory is what is in the store, index by index.

Random work goes on in an account while its state refuses to take a record now and then, as a defect in a handler would
do; after each step the account is compared with one that is read from the same store.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest

from local.azure.batch.model import Ending
from local.azure.batch.model.account_state import AccountState, AnyRecord
from local.azure.batch.model.node import PendingVerb
from local.azure.batch.model.states import ALLOCATION, JOB, NODE, AllocationEvent, JobEvent, NodeEvent
from local.azure.batch.scheduling import allocation, job_life, task_runs
from local.azure.batch.scheduling.messages import JobSettled
from local.azure.batch.scheduling.turn import Turn
from local.azure.platform.clock import ManualClock
from local.azure.platform.store import Store
from local.node.noop import NoopExecutor
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, make_job
from tests.azure.batch.world import START, World

JOB_TASKS = {
    "jobPreparationTask": {"commandLine": "prepare"},
    "jobReleaseTask": {"commandLine": "release", "maxWallClockTime": "PT5M"},
}


class Defect(Exception):
    """What a handler did not expect."""


def contents(state: AccountState) -> dict[str, Any]:
    """Everything that an account knows, as plain data without order."""
    jobs = state.jobs.values()
    known: dict[str, Any] = {
        "jobs": {key: job.to_json() for key, job in state.jobs.items()},
        "pools": {key: pool.to_json() for key, pool in state.pools.items()},
        "nodes": {key: node.to_json() for key, node in state.nodes.items()},
        "tasks": {(task.job_id, task.key): task.to_json() for task in state.all_tasks()},
        "job tasks": {
            (job_id, *place): one.to_json() for job_id, ones in state.job_tasks.items() for place, one in ones.items()
        },
        "waiting": {job.id: set(state.waiting(job)) for job in jobs},
        "in order": {job.id: [task.key for task in state.tasks_in_order(job, "")] for job in jobs},
        "counts": {job.id: tuple(dict(part) for part in state.counts(job)) for job in jobs},
        "on node": {node_id: set(runs) for node_id, runs in state.on_node.items() if runs},
        "runs": set(state.runs),
        "coordination runs": set(state.coordination_runs),
        "job task runs": set(state.job_task_runs),
        "job tasks on": {node_id: len(state.job_tasks_on(node_id)) for node_id in state.nodes},
        "nodes of": {pool_id: {node.id for node in state.nodes_of(pool_id)} for pool_id in state.pools},
    }
    return {name: plain(part) for name, part in known.items()}


def plain(part: Any) -> Any:
    """As the store would give it back: without tuples and enumerations."""
    if isinstance(part, dict):
        return {str(key): plain(value) for key, value in part.items()}
    if isinstance(part, set):
        return sorted(part)
    return json.loads(json.dumps(part))


class FailingBench(World):
    """`chance` decides when a record is refused."""

    def __init__(self, chance: random.Random, patch: pytest.MonkeyPatch) -> None:
        clock = ManualClock(START)
        super().__init__(Store(None), clock, NoopExecutor(automatic=False, now=clock.now))
        self.chance = chance
        self.defects = 0
        self.may_fail = False
        save = Turn.save

        def fragile(turn: Turn, record: AnyRecord) -> None:
            if self.may_fail and self.chance.random() < 0.05:
                self.defects += 1
                raise Defect(type(record).__name__)
            save(turn, record)

        patch.setattr(Turn, "save", fragile)

    def verify(self) -> None:
        """Memory is what a restart would read."""
        assert contents(self.state) == contents(AccountState(self.store, "account"))

    def work(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(Defect):
            self.scheduling.do(work, *args, **kwargs)
        self.verify()

    def step(self) -> None:
        """Do one of the things that can be done now."""
        self.chance.choice(
            [
                self.resize,
                self.add_tasks,
                self.add_tasks,
                self.change_job,
                self.change_task,
                self.change_node,
                self.report_node,
                self.report_run,
                self.report_run,
            ]
        )()

    def resize(self) -> None:
        pool = self.state.pools["pool"]
        if ALLOCATION.allows(pool.allocation, AllocationEvent.STOP) and self.chance.random() < 0.2:
            self.work(allocation.stop_resize, pool)
        else:
            self.work(allocation.resize, pool, self.chance.randrange(4), 0)

    def add_tasks(self) -> None:
        job = self.state.jobs.get("job")
        if job is None:
            with contextlib.suppress(Defect):
                self.job({"usesTaskDependencies": True, **self.chance.choice([{}, JOB_TASKS])})
        else:
            for name in sorted({f"t{self.chance.randrange(30)}" for _ in range(3)} - self.state.tasks(job).keys()):
                parents = [f"t{self.chance.randrange(30)}"] if self.chance.random() < 0.4 else []
                with contextlib.suppress(Defect):
                    self.task(name, retries=1, depends_on={"taskIds": parents})
        self.verify()

    def change_job(self) -> None:
        for job in list(self.state.jobs.values()):
            if JOB.allows(job.state, JobEvent.ENABLE):
                self.work(job_life.enable, job)
            elif JOB.allows(job.state, JobEvent.DELETE) and self.chance.random() < 0.3:
                self.work(job_life.delete, job, force=self.chance.random() < 0.5)
            elif JOB.allows(job.state, JobEvent.DISABLE):
                self.work(job_life.disable, job, self.chance.choice(["requeue", "terminate", "wait"]))

    def change_task(self) -> None:
        tasks = list(self.state.all_tasks())
        if tasks:
            self.work(task_runs.delete_task, self.chance.choice(tasks))
        if running := [task for task in self.state.all_tasks() if task.on_node]:
            self.work(task_runs.end_run, self.chance.choice(running), self.chance.choice(list(Ending)))

    def change_node(self) -> None:
        for node in list(self.state.nodes.values())[:1]:
            if NODE.allows(node.state, NodeEvent.REIMAGE) and node.pending is None:
                verb = self.chance.choice([PendingVerb.REBOOT, PendingVerb.REIMAGE])
                self.work(allocation.redo, node, verb, self.chance.choice(["requeue", "taskcompletion"]))

    def report_node(self) -> None:
        for node_id in list(self.executor.nodes):
            self.executor.node_up(node_id)

    def report_run(self) -> None:
        for run_id in list(self.executor.runs)[:2]:
            self.executor.begin(run_id)
            if self.chance.random() < 0.7:
                self.executor.end(run_id, self.chance.choice([0, 0, 1]))


# Of 19: a task is deleted when it has let others run, one of its id is added again, and then a handler fails.
@pytest.mark.parametrize("seed", [*range(6), 19])
async def test_memory_is_what_a_restart_would_read_however_often_a_handler_fails(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = FailingBench(random.Random(seed), monkeypatch)
    await world.open()
    world.pool(2)
    world.may_fail = True
    for _ in range(150):
        world.step()
        await world.settle()
        world.verify()
    assert world.defects > 3
    await world.close()


def test_a_request_whose_consequence_fails_answers_500_and_changes_nothing(
    azure: LocalBatch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    azure.pool(nodes=0)
    client = azure.client()
    make_job(client)
    add(client, "t")
    before = client.get_job("job")
    account = azure.service.account("mybatch")
    assert account is not None

    def fails(turn: Turn, event: JobSettled) -> None:
        raise Defect("of the job's end")

    with monkeypatch.context() as patch:
        patch.setitem(account.loop.handlers, JobSettled, fails)  # type: ignore[arg-type]
        address = f"{azure.endpoint()}/jobs/job/terminate?api-version=2025-06-01"
        with pytest.raises(HttpResponseError) as refused:
            client.send_request(HttpRequest("POST", address))
        assert refused.value.status_code == 500 and refused.value.error is not None
        assert refused.value.error.code == "InternalError"
    assert "Defect: of the job's end" in caplog.text
    after = client.get_job("job")
    assert (after.state, after.etag) == (models.BatchJobState.ACTIVE, before.etag)
