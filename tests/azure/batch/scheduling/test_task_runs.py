"""Time: wall-clock limits of tasks and jobs, also across a restart, with a clock that is moved by hand."""

from __future__ import annotations

from local.azure.batch.model import Job
from local.azure.batch.model.states import JobState, TaskState
from local.azure.batch.scheduling import job_life
from local.azure.platform.clock import ManualClock
from local.azure.platform.store import Store
from local.node.noop import NoopExecutor
from tests.azure.batch.world import START, World


async def world() -> World:
    clock = ManualClock(START)
    made = World(Store(None), clock, NoopExecutor(automatic=False, now=clock.now))
    await made.open()
    made.pool()
    await made.settle()
    made.executor.node_up(next(iter(made.executor.nodes)))
    return made


async def again(before: World) -> World:
    """The same store, clock and nodes with a new scheduler."""
    await before.close()
    made = World(before.store, before.clock, before.executor)
    await made.open()
    return made


async def test_a_run_over_its_limit_is_ended_and_says_why() -> None:
    made = await world()
    made.job()
    task = made.task(maxWallClockTime="PT1M")
    await made.settle()
    made.executor.begin(made.executor.run_of("t"))
    await made.advance(seconds=59)
    assert task.state is TaskState.RUNNING
    await made.advance(seconds=1)
    assert task.state is TaskState.COMPLETED and task.failure is not None
    assert (task.failure["code"], task.failure["category"]) == ("TaskEnded", "servererror")


async def test_the_limit_holds_for_each_run() -> None:
    made = await world()
    made.job()
    task = made.task(retries=1, maxWallClockTime="PT1M")
    await made.settle()
    for expected in (TaskState.PREPARING, TaskState.COMPLETED):
        made.executor.begin(made.executor.run_of("t"))
        await made.advance(minutes=1)
        assert task.state is expected
    assert task.retries == 1


async def test_a_limit_goes_on_counting_across_a_restart() -> None:
    made = await world()
    made.job(maxWallClockTime="PT10M")
    made.task(maxWallClockTime="PT5M")
    await made.settle()
    made.executor.begin(made.executor.run_of("t"))
    await made.advance(minutes=4)
    made = await again(made)
    task = made.state.tasks(made.state.jobs["job"])["t"]
    assert task.state is TaskState.RUNNING
    await made.advance(minutes=1)
    assert task.state is TaskState.COMPLETED
    await made.advance(minutes=5)
    job = made.state.jobs["job"]
    assert job.state is JobState.COMPLETED and job.terminate_reason == "MaxWallClockTimeExpiry"


async def test_a_job_over_its_limit_ends_its_tasks() -> None:
    made = await world()
    job = made.job(maxWallClockTime="PT1H")
    task = made.task()
    await made.settle()
    made.executor.begin(made.executor.run_of("t"))
    await made.advance(hours=1)
    assert job.state is JobState.COMPLETED and task.state is TaskState.COMPLETED


async def test_a_report_about_an_old_run_changes_nothing() -> None:
    made = await world()
    made.job()
    task = made.task(retries=1)
    await made.settle()
    first = made.executor.run_of("t")
    made.executor.end(first, 1)
    await made.settle()
    assert task.run_id != first
    made.on_event(made.executor.ended[first])
    assert task.state is TaskState.PREPARING and task.retries == 1


async def test_thousands_of_tasks_go_through_a_few_nodes() -> None:
    clock = ManualClock(START)
    made = World(Store(None), clock, NoopExecutor(automatic=True, now=clock.now))
    await made.open()
    made.pool(nodes=8)
    job = made.job()
    for number in range(2_000):
        made.task(f"t{number}")
    while made.state.unfinished(job):
        await made.settle()
    assert all(task.result == "success" for task in made.state.tasks(job).values())


def with_job_tasks(limit: str = "PT15M") -> dict[str, object]:
    preparation = {"commandLine": "prepare", "constraints": {"maxWallClockTime": "PT1M", "maxTaskRetryCount": 1}}
    return {
        "jobPreparationTask": preparation,
        "jobReleaseTask": {"commandLine": "release", "maxWallClockTime": limit},
    }


async def test_a_preparation_over_its_limit_is_ended_and_retried() -> None:
    made = await world()
    made.job(with_job_tasks())
    task = made.task()
    await made.settle()
    for expected in (TaskState.PREPARING, TaskState.ACTIVE):
        made.executor.begin(made.executor.run_of("jobpreparation"))
        await made.advance(minutes=1)
        assert task.state is expected
    (one,) = made.state.job_tasks["job"].values()
    assert one.failure is not None and one.failure["code"] == "TaskEnded" and one.retries == 1


async def released_job(made: World, limit: str = "PT15M") -> Job:
    """A job that is terminating: its release task is to run."""
    job = made.job(with_job_tasks(limit))
    made.task()
    await made.settle()
    for name in ("jobpreparation", "t"):
        made.executor.end(made.executor.run_of(name))
        await made.settle()
    made.scheduling.do(job_life.terminate, job, "enough")
    await made.settle()
    return job


async def test_a_release_over_its_limit_is_ended_also_across_a_restart_and_the_job_completes() -> None:
    made = await world()
    await released_job(made)
    made.executor.begin(made.executor.run_of("jobrelease"))
    await made.advance(minutes=14)
    made = await again(made)
    job = made.state.jobs["job"]
    assert job.state is JobState.TERMINATING
    await made.advance(minutes=1)
    assert job.state is JobState.COMPLETED


async def test_a_node_that_does_not_come_up_again_is_not_waited_for_longer_than_its_release_might_take() -> None:
    made = await world()
    job = await released_job(made, "PT5M")
    (node_id,) = made.executor.nodes
    await made.executor.reboot_node(node_id)
    await made.advance(minutes=4)
    assert job.state is JobState.TERMINATING
    made = await again(made)
    job = made.state.jobs["job"]
    await made.advance(minutes=1)
    assert job.state is JobState.COMPLETED
    made.executor.node_up(node_id)
    await made.settle()
    assert made.executor.runs == {}


async def test_a_node_that_does_not_answer_loses_its_preparation_and_is_asked_again_when_it_reports() -> None:
    made = await world()
    made.job(with_job_tasks())
    (node_id,) = made.executor.nodes
    made.executor.unreachable.add(node_id)
    task = made.task()
    await made.settle()
    assert task.state is TaskState.ACTIVE and made.executor.runs == {}
    made.executor.unreachable.clear()
    made.executor.node_up(node_id)
    await made.settle()
    assert task.state is TaskState.PREPARING and made.executor.run_of("jobpreparation")


async def test_a_node_that_takes_no_tasks_and_does_not_answer_is_not_asked_to_release_for_ever() -> None:
    made = await world()
    job = made.job(with_job_tasks())
    made.task()
    await made.settle()
    made.executor.end(made.executor.run_of("jobpreparation"))
    await made.settle()
    (node,) = made.state.nodes.values()
    node.scheduling = False
    made.executor.unreachable.add(node.id)
    made.executor.end(made.executor.run_of("t"))
    made.scheduling.do(job_life.terminate, job, "enough")
    await made.settle()
    assert job.state is JobState.TERMINATING
    await made.advance(minutes=15)
    assert job.state is JobState.COMPLETED


async def test_a_pool_that_is_gone_is_deleted_again_without_waiting_and_can_be_made_anew() -> None:
    made = await world()
    pool = made.state.pools["pool"]
    gone = made.scheduling.delete_pool(pool)
    await made.settle()
    assert gone.is_set() and made.state.pools == {}
    assert made.scheduling.delete_pool(pool).is_set()
    made.pool()
    again = made.scheduling.delete_pool(made.state.pools["pool"])
    assert not again.is_set()
    await made.settle()
    assert again.is_set()
