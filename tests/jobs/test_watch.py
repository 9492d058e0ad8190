"""Watching: only changes are told, the end is not missed, and giving up is not failing."""

from __future__ import annotations

import pytest

from jobs.errors import NotFound, Unreachable
from jobs.exits import Exit
from jobs.service.batch import Failure, NodeState, TaskState
from jobs.verbs import watch

from .fakes import START, Stage, stage


def scene_with(*names: str) -> Stage:
    scene = stage()
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}})
    scene.batch.add_collection("j", [{"id": name} for name in names])
    scene.batch.end_when_done("j")
    return scene


def completed(name: str, exit_code: int | None = 0, failure: Failure | None = None) -> TaskState:
    result = "success" if exit_code == 0 else "failure"
    return TaskState(id=name, state="completed", changed=START, result=result, exit_code=exit_code, failure=failure)


def finish(scene: Stage) -> None:
    scene.batch.set("j", completed("a"))
    scene.batch.end("j")


def test_each_change_is_told_once() -> None:
    scene = scene_with("a")
    scene.clock.on_sleep = [
        lambda: scene.batch.set("j", TaskState(id="a", state="running", changed=START, node_id="n1")),
        lambda: None,
        lambda: finish(scene),
    ]
    assert watch.follow(scene.session, "j", timeout=None) == Exit.OK
    told = [line.split("  ", 1)[-1] for line in scene.err.getvalue().splitlines()]
    assert told == [
        "a: active",
        "a: running on n1",
        "a: succeeded, exit code 0",
        "job j is over: 1 succeeded, 0 failed",
    ]


def test_after_the_first_look_only_what_changed_since_is_asked_for() -> None:
    scene = scene_with("a")
    scene.clock.on_sleep = [lambda: finish(scene)]
    watch.follow(scene.session, "j", timeout=None)
    assert scene.batch.asked == [None, START]


def test_a_failed_task_gives_its_cause_and_another_exit_code() -> None:
    failure = Failure(
        category="usererror", code="ContainerInvalidImage", message="no such image", details=(("Image", "x:1"),)
    )
    scene = scene_with("a", "b")
    scene.batch.set("j", completed("a", None, failure))
    scene.batch.set("j", completed("b"))
    scene.batch.end("j")
    assert watch.follow(scene.session, "j", timeout=None) == Exit.TASKS_FAILED
    told = scene.err.getvalue()
    assert "a: failed, never started: ContainerInvalidImage: no such image (Image: x:1)" in told
    assert "next: python -m jobs show j a" in told


def test_a_job_that_was_ended_early_did_not_succeed() -> None:
    scene = scene_with("a")
    scene.batch.end("j", "UserTerminate")
    assert watch.follow(scene.session, "j", timeout=None) == Exit.TASKS_FAILED
    assert "the job ended first (UserTerminate), 1 tasks never did" in scene.err.getvalue()


def test_a_job_that_stays_active_is_over_when_its_tasks_are() -> None:
    scene = stage()
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}})
    scene.batch.add_collection("j", [{"id": "a"}])
    scene.batch.set("j", completed("a"))
    assert watch.follow(scene.session, "j", timeout=None) == Exit.OK


def test_giving_up_waiting_has_its_own_exit_code() -> None:
    scene = scene_with("a")
    with pytest.raises(watch.GaveUpWaiting, match="1 to go") as caught:
        watch.follow(scene.session, "j", timeout=5)
    assert caught.value.exit == Exit.GAVE_UP_WAITING
    assert 5 <= scene.clock.slept < 10


def test_when_nothing_happens_the_nodes_are_told_once() -> None:
    scene = scene_with("a")
    scene.batch.node_list = [NodeState(id="n1", state="starttaskfailed")]
    with pytest.raises(watch.GaveUpWaiting):
        watch.follow(scene.session, "j", timeout=120)
    assert scene.err.getvalue().count("still waiting; pool p: 1 starttaskfailed") == 1


def test_a_job_that_does_not_exist_is_told() -> None:
    with pytest.raises(NotFound):
        watch.follow(stage().session, "j", timeout=None)


def lose_service(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_job: str) -> None:
        raise Unreachable("away")

    monkeypatch.setattr(scene.batch, "job", away)


def test_a_service_that_restarts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_with("a")

    def back() -> None:
        monkeypatch.undo()
        finish(scene)

    scene.clock.on_sleep = [lambda: lose_service(scene, monkeypatch), lambda: None, back]
    assert watch.follow(scene.session, "j", timeout=None) == Exit.OK


def test_a_service_that_stays_away_is_told_after_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_with("a")
    scene.clock.on_sleep = [lambda: lose_service(scene, monkeypatch)]
    with pytest.raises(Unreachable):
        watch.follow(scene.session, "j", timeout=None)
    assert watch.OUTAGE <= scene.clock.slept < 2 * watch.OUTAGE


def test_a_service_that_never_answered_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_with("a")
    lose_service(scene, monkeypatch)
    with pytest.raises(Unreachable):
        watch.follow(scene.session, "j", timeout=None)
    assert scene.clock.slept == 0
