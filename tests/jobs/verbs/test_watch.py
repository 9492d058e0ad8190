"""Watching: only changes are told, the end is not missed, and giving up is not failing."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jobs.errors import Forbidden, NotFound, ServiceError, Throttled, Unreachable
from jobs.exits import Exit
from jobs.service.batch import Failure, NodeState, TaskState
from jobs.state import progress
from jobs.terminal.render import Render
from jobs.verbs.look import watch
from tests.jobs.fakes import START, Stage, stage


class Full(io.StringIO):
    """A file on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


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


def test_later_looks_ask_only_for_what_changed_since_and_the_last_one_for_all() -> None:
    scene = scene_with("a")
    scene.clock.on_sleep = [lambda: None, lambda: None, lambda: finish(scene)]
    watch.follow(scene.session, "j", timeout=None)
    since = START - progress.SKEW
    assert scene.batch.asked == [None, None, since, since, None]


def test_a_task_whose_change_is_older_than_one_that_was_read_before_it_is_not_missed() -> None:
    """The times of changes are not in the order in which they can be read: five tasks that failed within 2.4 s."""
    scene = scene_with("a", "b")

    def both_end_and_the_older_change_is_read_later() -> None:
        scene.batch.set("j", replace(completed("b", 1), changed=START + timedelta(seconds=20)))

    def the_other_appears() -> None:
        scene.batch.set("j", replace(completed("a", 1), changed=START + timedelta(seconds=10)))
        scene.batch.end("j")

    scene.clock.on_sleep = [lambda: None, both_end_and_the_older_change_is_read_later, lambda: None, the_other_appears]
    assert watch.follow(scene.session, "j", timeout=None) == Exit.TASKS_FAILED
    assert "0 succeeded, 2 failed" in scene.err.getvalue()
    assert "never did" not in scene.err.getvalue()


def test_a_change_between_any_two_reads_makes_no_false_sentence() -> None:
    """All tasks end, and the job with them, after the n-th question of the watch, for every n."""
    for moment in range(1, 16):
        scene = scene_with("a", "b", "c")
        asked = 0

        def after_each_question(name: str, scene: Stage = scene, moment: int = moment) -> Any:
            real = getattr(scene.batch, name)

            def ask(*arguments: Any, **more: Any) -> Any:
                nonlocal asked
                found = real(*arguments, **more)
                found = list(found) if name == "tasks" else found
                asked += 1
                if asked == moment:
                    for task in ("a", "b", "c"):
                        scene.batch.set("j", completed(task, 1))
                    scene.batch.end("j")
                return found

            return ask

        for name in ("job", "counts", "tasks"):
            setattr(scene.batch, name, after_each_question(name))
        assert watch.follow(scene.session, "j", timeout=None) == Exit.TASKS_FAILED
        assert "job j is over: 0 succeeded, 3 failed\n" in scene.err.getvalue(), moment


def test_what_happens_to_the_display_changes_nothing_of_the_result() -> None:
    scene = scene_with("a")
    scene.clock.on_sleep = [lambda: finish(scene)]
    scene.session.render = Render(as_json=True, out=Full(), err=Full())
    assert watch.follow(scene.session, "j", timeout=None) == Exit.OK
    assert scene.session.render.lost is not None


@pytest.mark.parametrize("error", [Throttled("slow down"), ServiceError("500 InternalError"), Unreachable("gone")])
def test_a_failure_of_the_service_in_the_middle_is_waited_for(error: ServiceError) -> None:
    scene = scene_with("a")
    real, answers = scene.batch.job, [None, error, error, None]

    def job(job_id: str) -> Any:
        if answers and (answer := answers.pop(0)) is not None:
            raise answer
        return real(job_id)

    scene.batch.job = job  # type: ignore[method-assign]
    scene.clock.on_sleep = [lambda: None, lambda: None, lambda: finish(scene)]
    assert watch.follow(scene.session, "j", timeout=None) == Exit.OK


def test_of_a_quiet_job_not_knowing_the_reason_ends_nothing() -> None:
    scene = scene_with("a")

    def refused(pool: str) -> Any:
        raise Forbidden("you may not look at nodes")

    scene.batch.nodes = refused  # type: ignore[method-assign]
    scene.clock.on_sleep = [lambda: None] * 18 + [lambda: finish(scene)]
    assert watch.follow(scene.session, "j", timeout=None) == Exit.OK
    assert "you may not look at nodes" in scene.err.getvalue()


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
    assert "the job ended first (UserTerminate), 1 task never did" in scene.err.getvalue()


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
