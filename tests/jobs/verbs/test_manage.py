"""cancel, delete and pools: what they change, and that they ask before: on a service in memory."""

from __future__ import annotations

import pytest

from jobs.errors import Conflict, JobsError, NotFound, UsageError
from jobs.exits import Exit
from jobs.service.batch import PoolState, TaskState
from tests.jobs.command.one_failed import one_failed, run
from tests.jobs.fakes import START, Stage


@pytest.fixture
def scene() -> Stage:
    return one_failed()


@pytest.mark.parametrize(
    "words", [("retry", "j"), ("cancel", "j"), ("delete", "j"), ("pools", "default", "--nodes", "3")]
)
def test_without_a_terminal_nothing_is_done_without_yes(
    scene: Stage, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: PTH123, SIM115
    before = list(scene.batch.order)
    with pytest.raises(UsageError, match="add --yes"):
        run(scene, *words)
    assert scene.batch.order == before
    assert scene.batch.deleted == []


def test_cancel_ends_a_job_or_single_tasks(scene: Stage) -> None:
    scene.batch.set("j", TaskState(id="b", state="running", changed=START))
    assert run(scene, "cancel", "j", "b", "a") == Exit.OK
    assert scene.batch.order[-1] == "terminate j/b"
    assert "task a is over already" in scene.err.getvalue()
    assert run(scene, "cancel", "j", "--yes") == Exit.OK
    assert scene.batch.order[-1] == "terminate j"
    assert run(scene, "cancel", "j") == Exit.OK
    assert "job j is completed already" in scene.err.getvalue()


def test_delete_deletes_all_or_none(scene: Stage) -> None:
    with pytest.raises(NotFound):
        run(scene, "delete", "j", "zebra", "--yes")
    assert scene.batch.deleted == []
    assert run(scene, "delete", "j", "--yes", "--wait") == Exit.OK
    assert scene.batch.deleted == ["j"]
    assert "its output stays in job-hello/j/" in scene.err.getvalue()


def test_a_pool_is_resized_by_the_stacks_name(scene: Stage) -> None:
    assert run(scene, "pools", "default", "--nodes", "3", "--yes") == Exit.OK
    assert scene.batch.order[-1] == "resize default-1a2b 3 None"


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (("pools", "--nodes", "3"), UsageError, "no pool is named"),
        (("pools", "default", "--nodes", "-1", "--yes"), UsageError, "0 or more"),
        (("pools", "zebra", "--nodes", "1", "--yes"), NotFound, "zebra"),
        (("pools", "default", "--evaluate"), Conflict, "fixed size"),
    ],
)
def test_mistakes_with_pools_are_told(scene: Stage, words: tuple[str, ...], kind: type[JobsError], said: str) -> None:
    with pytest.raises(kind, match=said):
        run(scene, *words)


def test_a_pool_that_scales_itself_is_not_resized_but_evaluated(scene: Stage) -> None:
    scene.batch.pools_known["default-1a2b"] = PoolState(
        id="default-1a2b", state="active", autoscale_formula="$TargetDedicatedNodes=3;", autoscale_at=START
    )
    with pytest.raises(Conflict, match="scaled by a formula"):
        run(scene, "pools", "default", "--nodes", "3", "--yes")
    run(scene, "pools", "default", "--evaluate")
    run(scene, "pools", "default")
    assert "$TargetDedicatedNodes=3\n" in scene.out.getvalue()
    assert "last evaluated 0 s ago" in scene.out.getvalue()


def test_a_job_that_ended_while_it_was_to_be_cancelled_is_told_as_that(scene: Stage) -> None:
    def terminate_job(job_id: str, reason: str) -> None:
        scene.batch.end(job_id)
        raise Conflict("the job is completed", code="JobCompleted")

    scene.batch.terminate_job = terminate_job  # type: ignore[method-assign]
    assert run(scene, "cancel", "j", "--yes") == Exit.OK
    assert "job j is completed already (AllTasksComplete)" in scene.err.getvalue()
