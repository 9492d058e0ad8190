"""move, disable, enable, pools drain and pools wait: on a service in memory."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from jobs.command.parser import parse
from jobs.errors import Conflict, GaveUpWaiting, JobsError, NotFound, Unreachable, UsageError
from jobs.exits import Exit
from jobs.service.batch import Failure, JobState, NodeState, PoolState, TaskState
from jobs.verbs.manage.moves import UNDER_WAY, Step, next_step
from jobs.verbs.pools.drain import successor
from tests.jobs.fakes import START, Stage, stage

OLD, NEW = "default-9f3c", "default-1a2b"


@pytest.fixture
def scene() -> Stage:
    """Three jobs on the older generation of the stack's pool, with a running task each."""
    made = stage()
    made.batch.pools_known[OLD] = PoolState(id=OLD, state="active", allocation="steady")
    for name in ("a", "b", "c"):
        made.batch.create_job({"id": name, "poolInfo": {"poolId": OLD}})
        made.batch.add_collection(name, [{"id": "t", "commandLine": "x"}])
        made.batch.set(name, TaskState(id="t", state="running", changed=START))
    made.batch.order.clear()
    return made


def run(made: Stage, *words: str) -> Exit:
    arguments = parse(list(words))
    made.session.render.as_json = arguments.json
    return arguments.run(arguments, made.session)


def finish(made: Stage, *jobs: str) -> None:
    """The running tasks end, and what waited for that goes on."""
    for name in jobs:
        made.batch.set(name, TaskState(id="t", state="completed", result="success", exit_code=0, changed=START))
        if made.batch.states[name].state == "disabling":
            made.batch.states[name] = replace(made.batch.states[name], state="disabled")


def states(made: Stage) -> dict[str, tuple[str, str, str]]:
    return {job.id: (job.state, job.pool_id, job.leaving) for job in made.batch.states.values()}


STEPS = [
    (("active", OLD, ""), Step.MARK),
    (("active", OLD, OLD), Step.DISABLE),
    (("disabling", OLD, OLD), Step.WAIT),
    (("disabled", OLD, OLD), Step.POINT),
    (("disabled", NEW, OLD), Step.ENABLE),
    (("active", NEW, OLD), Step.UNMARK),
    (("active", NEW, ""), Step.DONE),
    (("disabling", OLD, ""), Step.WAIT),  # somebody else disabled it: it is moved, and stays so
    (("disabled", OLD, ""), Step.POINT),
    (("disabled", NEW, ""), Step.DONE),
    (("enabling", OLD, ""), Step.WAIT),
    (("completed", OLD, OLD), Step.GONE),
    (("deleting", OLD, ""), Step.GONE),
]


@pytest.mark.parametrize(("job", "step"), STEPS)
def test_the_next_step_follows_from_the_job_alone(job: tuple[str, str, str], step: Step) -> None:
    state, pool, leaving = job
    assert next_step(JobState(id="j", state=state, pool_id=pool, leaving=leaving), NEW.upper()) is step


def test_every_state_of_a_job_has_a_next_step() -> None:
    every = itertools.product((*UNDER_WAY, "terminating", "completed", "deleting"), (OLD, NEW), ("", OLD))
    assert all(next_step(JobState(id="j", state=s, pool_id=p, leaving=m), NEW) for s, p, m in every)


def test_drain_waits_for_running_tasks_and_ends_none(scene: Stage) -> None:
    scene.clock.on_sleep = [lambda: finish(scene, "a"), lambda: finish(scene, "b", "c")]
    assert run(scene, "pools", "drain", OLD, "--yes") == Exit.OK
    assert states(scene) == dict.fromkeys(("a", "b", "c"), ("active", NEW, ""))
    assert scene.batch.order[:6] == [f"mark a {OLD}", "disable a wait", f"mark b {OLD}", "disable b wait",
                                     f"mark c {OLD}", "disable c wait"]  # fmt: skip
    assert scene.batch.order[6:10] == [f"move a to {NEW}", "enable a", "mark a", f"move b to {NEW}"]
    assert not any(one.startswith("terminate") for one in scene.batch.order)
    assert "waiting for the running tasks of 3 jobs to end: a, b, c" in scene.err.getvalue()
    assert f"pool {OLD} is idle: 3 jobs went to {NEW}" in scene.err.getvalue()


def test_drain_gives_running_tasks_back_to_the_queue_when_told(scene: Stage) -> None:
    assert run(scene, "pools", "drain", OLD, "--running", "requeue", "--yes", "--json") == Exit.OK
    assert "disable a requeue" in scene.batch.order and scene.clock.slept == 0
    told = [json.loads(line) for line in scene.out.getvalue().splitlines()]
    assert told[0] == {"job": "a", "from": OLD, "to": NEW, "state": "active"}
    assert told[-1] == {"pool": OLD, "idle": True, "moved": ["a", "b", "c"]}


@pytest.mark.parametrize("steps", range(9))
def test_a_drain_that_was_cut_off_anywhere_is_gone_on_with(scene: Stage, steps: int) -> None:
    calls = itertools.count()

    def cut(method: Any) -> Any:
        def call(*arguments: Any) -> Any:
            if next(calls) == steps:
                raise Unreachable("the network is away")
            return method(*arguments)

        return call

    whole = {name: getattr(scene.batch, name) for name in ("mark_job", "disable_job", "move_job", "enable_job")}
    for name, method in whole.items():
        setattr(scene.batch, name, cut(method))
    with pytest.raises(Unreachable):
        run(scene, "pools", "drain", OLD, "--running", "requeue", "--yes")
    for name, method in whole.items():
        setattr(scene.batch, name, method)
    assert run(scene, "pools", "drain", OLD, "--running", "requeue", "--yes") == Exit.OK
    assert states(scene) == dict.fromkeys(("a", "b", "c"), ("active", NEW, ""))


def test_a_job_that_somebody_disabled_is_moved_and_stays_disabled(scene: Stage) -> None:
    scene.batch.disable_job("b", "requeue")
    assert run(scene, "pools", "drain", OLD, "--running", "requeue", "--yes") == Exit.OK
    assert states(scene)["b"] == ("disabled", NEW, "")
    assert "job b is on pool default-1a2b now; it stays disabled, as it was" in scene.err.getvalue()


def test_jobs_that_come_or_end_meanwhile_are_taken_as_they_are(scene: Stage) -> None:
    def meanwhile() -> None:
        finish(scene, "a", "b")
        scene.batch.end("c", "UserTerminate")
        scene.batch.create_job({"id": "late", "poolInfo": {"poolId": OLD}})

    scene.clock.on_sleep = [meanwhile]
    assert run(scene, "pools", "drain", OLD, "--yes") == Exit.OK
    assert states(scene)["late"] == ("active", NEW, "")
    assert states(scene)["c"][0] == "completed"
    assert "2 jobs went" not in scene.err.getvalue() and "3 jobs went" in scene.err.getvalue()


def test_a_job_that_ends_between_look_and_step_is_no_error(scene: Stage) -> None:
    real = scene.batch.disable_job

    def disable_job(job_id: str, running: Any) -> None:
        if job_id == "b":
            scene.batch.end("b")
            raise Conflict("the job is completed", code="JobCompleted")
        real(job_id, running)

    scene.batch.disable_job = disable_job  # type: ignore[method-assign]
    assert run(scene, "pools", "drain", OLD, "--running", "requeue", "--yes") == Exit.OK
    assert "job b is completed: it needs no pool any more" in scene.err.getvalue()


def test_a_refusal_without_a_change_is_told(scene: Stage) -> None:
    def disable_job(job_id: str, running: Any) -> None:
        raise Conflict("no", code="OperationInvalidForCurrentState")

    scene.batch.disable_job = disable_job  # type: ignore[method-assign]
    with pytest.raises(Conflict):
        run(scene, "pools", "drain", OLD, "--yes")


def test_drain_waits_until_the_nodes_run_nothing(scene: Stage) -> None:
    scene.batch.node_list = [NodeState(id="n", state="running", running_tasks=2)]
    scene.clock.on_sleep = [lambda: scene.batch.node_list.clear()]
    assert run(scene, "pools", "drain", OLD, "--running", "requeue", "--yes") == Exit.OK
    assert f"waiting for 2 tasks on pool {OLD}" in scene.err.getvalue()


def test_a_job_schedule_that_names_the_pool_keeps_it(scene: Stage) -> None:
    scene.batch.schedule_pools = {"nightly": OLD, "weekly": NEW}
    with pytest.raises(Conflict, match="job schedules nightly make jobs for pool default-9f3c"):
        run(scene, "pools", "drain", OLD, "--running", "requeue", "--yes")
    assert states(scene)["a"] == ("active", NEW, "")


def test_a_drain_that_takes_too_long_says_how_to_go_on(scene: Stage) -> None:
    with pytest.raises(GaveUpWaiting, match=r"3 jobs are not moved yet (?s:.*)the same command goes on") as caught:
        run(scene, "pools", "drain", OLD, "--timeout", "10s", "--yes")
    assert caught.value.exit == Exit.GAVE_UP_WAITING
    finish(scene, "a", "b", "c")
    assert run(scene, "pools", "drain", OLD, "--yes") == Exit.OK


def test_the_jobs_of_a_pool_that_was_deleted_are_moved(scene: Stage) -> None:
    del scene.batch.pools_known[OLD]
    assert run(scene, "pools", "drain", OLD, "--running", "requeue", "--yes") == Exit.OK
    assert states(scene)["a"] == ("active", NEW, "")
    with pytest.raises(NotFound, match="no job names it"):
        run(scene, "pools", "drain", OLD, "--yes")


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (("pools", "drain", NEW, "--yes"), UsageError, "where the jobs of pool default-1a2b go"),
        (("pools", "drain", OLD, "--to", OLD, "--yes"), UsageError, "is both pools"),
        (("pools", "drain", OLD, "--to", "zebra", "--yes"), NotFound, "zebra"),
        (("pools", "drain", OLD, "--to", "leaving", "--yes"), Conflict, "leaving is deleting"),
        (("move", "a", "zebra", "--to", NEW, "--yes"), NotFound, "zebra"),
        (("move", "a", "--to", OLD, "--yes"), UsageError, "is on pool default-9f3c already"),
        (("move", "a", "over", "--to", NEW, "--yes"), Conflict, "over is completed"),
        (("disable", "a", "over"), Conflict, "over is completed"),
        (("enable", "over"), Conflict, "over is completed"),
    ],
)
def test_mistakes_change_nothing(scene: Stage, words: tuple[str, ...], kind: type[JobsError], said: str) -> None:
    scene.batch.pools_known["leaving"] = PoolState(id="leaving", state="deleting")
    scene.batch.create_job({"id": "over", "poolInfo": {"poolId": OLD}})
    scene.batch.end("over")
    scene.batch.order.clear()
    with pytest.raises(kind, match=said):
        run(scene, *words)
    assert scene.batch.order == []


def test_two_pools_of_a_stack_have_generations_of_their_own(scene: Stage) -> None:
    outputs = scene.session.connection.outputs
    assert outputs is not None
    pools = {"default": NEW, "big": "big-77aa"}
    scene.session.__dict__["connection"] = replace(scene.session.connection, outputs=replace(outputs, pools=pools))
    assert run(scene, "pools", "drain", OLD, "--running", "requeue", "--yes") == Exit.OK
    assert states(scene)["a"][1] == NEW
    with pytest.raises(UsageError, match="where the jobs of pool other-1 go"):
        run(scene, "pools", "drain", "other-1", "--yes")


@pytest.mark.parametrize(
    ("old", "new"), [("big-1", "big-77aa"), ("big-mem-1", "big-mem-88bb"), ("BIG-MEM-1", "big-mem-88bb")]
)
def test_the_successor_has_the_longest_name_that_fits(scene: Stage, old: str, new: str) -> None:
    outputs = scene.session.connection.outputs
    assert outputs is not None
    pools = {"big": "big-77aa", "big-mem": "big-mem-88bb"}
    scene.session.__dict__["connection"] = replace(scene.session.connection, outputs=replace(outputs, pools=pools))
    assert successor(scene.session, old) == new


def test_a_generation_is_found_by_its_hash(scene: Stage) -> None:
    assert run(scene, "pools", "drain", "9f3c", "--running", "requeue", "--yes") == Exit.OK
    assert states(scene)["a"] == ("active", NEW, "")


def test_single_jobs_are_moved(scene: Stage) -> None:
    assert run(scene, "move", "a", "b", "--to", "default", "--running", "requeue", "--yes") == Exit.OK
    assert {name: state[1] for name, state in states(scene).items()} == {"a": NEW, "b": NEW, "c": OLD}


def test_jobs_are_held_and_let_go(scene: Stage) -> None:
    assert run(scene, "disable", "a", "b") == Exit.OK
    assert states(scene)["a"][0] == "disabling"
    scene.clock.on_sleep = [lambda: finish(scene, "a")]
    assert run(scene, "disable", "a", "--wait") == Exit.OK
    assert states(scene)["a"][0] == "disabled" and scene.batch.order.count("disable a wait") == 1
    with pytest.raises(GaveUpWaiting):
        run(scene, "disable", "b", "--wait", "--timeout", "4s")
    assert run(scene, "enable", "a", "b") == Exit.OK
    assert [states(scene)[name][0] for name in ("a", "b")] == ["active", "active"]
    assert run(scene, "disable", "c", "--running", "terminate") == Exit.OK
    assert scene.batch.order[-1] == "disable c terminate"


def test_enabling_gives_up_a_move_that_was_cut_off(scene: Stage) -> None:
    scene.batch.mark_job("a", "leaving_pool", OLD)
    scene.batch.disable_job("a", "requeue")
    assert run(scene, "enable", "a") == Exit.OK
    assert states(scene)["a"] == ("active", OLD, "")


# -- pools wait ------------------------------------------------------------------------------------------------------


def wait_scene(nodes: list[str], **pool: Any) -> Stage:
    made = stage()
    made.batch.pools_known[NEW] = PoolState(
        **{"id": NEW, "state": "active", "allocation": "steady", "target_dedicated": 2} | pool
    )
    made.batch.node_list = [NodeState(id=f"n{number}", state=state) for number, state in enumerate(nodes)]
    return made


def become(made: Stage, *nodes: str, **pool: Any) -> None:
    made.batch.node_list = [NodeState(id=f"n{number}", state=state) for number, state in enumerate(nodes)]
    made.batch.pools_known[NEW] = replace(made.batch.pools_known[NEW], **pool)


def test_nodes_are_waited_for() -> None:
    made = wait_scene([], allocation="resizing")
    made.clock.on_sleep = [
        lambda: become(made, "creating", "starting"),
        lambda: become(made, "idle", "waitingforstarttask", allocation="steady"),
        lambda: become(made, "idle", "running"),
    ]
    assert run(made, "pools", "wait", "--json") == Exit.OK
    assert json.loads(made.out.getvalue()) == {
        "pool": NEW, "ready": True, "wanted": 2, "working": 2, "problems": [], "start_task_stderr": {},
    }  # fmt: skip
    said = made.err.getvalue().splitlines()
    assert said[:2] == [
        f"pool {NEW}: 0 of 2 nodes work",
        f"pool {NEW}: 0 of 2 nodes work (1 creating, 1 starting)",
    ]


def test_a_pool_of_no_nodes_is_ready() -> None:
    assert run(wait_scene([], target_dedicated=0), "pools", "wait") == Exit.OK


KEPT = [
    (["idle"], {"resize_errors": ("AccountCoreQuotaReached: The specified account has reached core quota",)},
     "the last resize failed: AccountCoreQuotaReached"),
    (["idle", "unusable"], {}, "node n1 is unusable"),
    (["idle", "preempted"], {}, "node n1 is preempted"),
    (["idle", "offline"], {}, "node n1 is offline"),
    (["idle"], {}, "it has 1 of 2 nodes, and no resize goes on"),
    (["idle", "idle"], {"autoscale_error": "InsufficientSampleData: Line 1"}, "the autoscale formula cannot be"),
    ([], {"state": "deleting", "target_dedicated": 0}, "the pool is deleting"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "pool", "said"), KEPT, ids=[said for _, _, said in KEPT])
def test_what_keeps_the_nodes_is_told(nodes: list[str], pool: dict[str, Any], said: str) -> None:
    made = wait_scene(nodes, **pool)
    assert run(made, "pools", "wait", "default") == Exit.SERVICE
    assert f"  {said}" in made.err.getvalue()
    assert f"next: python -m jobs nodes {NEW}" in made.err.getvalue()


def test_a_failed_start_task_is_told_with_the_end_of_its_log() -> None:
    made = wait_scene([])
    failure = Failure(category="usererror", code="FailureExitCode", message="exit code 3")
    failed = NodeState(id="n0", state="starttaskfailed", start_task_exit_code=3, start_task_failure=failure)
    made.batch.node_list = [failed, NodeState(id="n1", state="starting")]
    made.batch.node_contents["n0", "startup/stderr.txt"] = b"docker: no such group\n"
    made.clock.on_sleep = [lambda: made.batch.node_list.__setitem__(1, NodeState(id="n1", state="idle"))]
    assert run(made, "pools", "wait", "--json") == Exit.SERVICE
    told = json.loads(made.out.getvalue())
    assert (told["ready"], told["working"]) == (False, 1)
    assert told["start_task_stderr"] == {"n0": ["docker: no such group"]}
    assert "     | docker: no such group" in made.err.getvalue()


def test_what_passes_between_two_looks_is_no_problem() -> None:
    made = wait_scene(["idle"])
    made.clock.on_sleep = [lambda: become(made, "idle", "idle")]
    assert run(made, "pools", "wait") == Exit.OK


def test_waiting_ends_with_its_time() -> None:
    made = wait_scene(["idle", "starting"])
    with pytest.raises(GaveUpWaiting, match=r"1 of 2 nodes work .*nothing is wrong that Batch tells of"):
        run(made, "pools", "wait", "--timeout", "1m")
    assert 55 <= made.clock.slept <= 65


def test_the_worst_of_several_pools_counts() -> None:
    made = wait_scene(["idle", "idle"])
    made.batch.pools_known["p2"] = PoolState(id="p2", state="active", allocation="steady", target_dedicated=3)
    assert run(made, "pools", "wait", NEW, "p2") == Exit.SERVICE
    with pytest.raises(NotFound):
        run(made, "pools", "wait", "zebra")
