"""Adding tasks: nothing is lost silently, nothing is retried without end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from jobs.adding import ATTEMPTS, Tally, add_all, chunks
from jobs.batch import Verdict
from jobs.errors import Conflict, RequestTooLarge, Throttled, Unreachable

from .fakes import FakeBatch, FakeClock

Sent = Sequence[Mapping[str, Any]]


def many(count: int) -> list[dict[str, Any]]:
    return [{"id": f"t{number}"} for number in range(count)]


def made() -> tuple[FakeBatch, FakeClock]:
    batch = FakeBatch()
    batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}})
    return batch, FakeClock()


def add(batch: FakeBatch, clock: FakeClock, tasks: Sent) -> Tally:
    return add_all(batch, "j", tasks, sleep=clock.sleep, progress=lambda tally: None)


def test_chunks_hold_at_most_100_tasks() -> None:
    assert [len(chunk) for chunk in chunks(many(250))] == [100, 100, 50]


def test_chunks_stay_below_the_byte_limit_and_keep_order() -> None:
    found = list(chunks(many(10), max_bytes=45))
    assert [task["id"] for chunk in found for task in chunk] == [f"t{number}" for number in range(10)]
    assert all(len(chunk) <= 3 for chunk in found)


def test_a_task_that_exists_counts_as_added() -> None:
    batch, clock = made()
    batch.answers = [lambda tasks: [Verdict(task_id="t0", status="clienterror", code="TaskExists")]]
    tally = add(batch, clock, many(1))
    assert (tally.added, tally.existed, tally.failed) == (1, 1, [])


def test_a_client_error_is_reported_and_not_retried() -> None:
    batch, clock = made()
    batch.answers = [
        lambda tasks: [
            Verdict(task_id="t0", status="success"),
            Verdict(task_id="t1", status="clienterror", code="InvalidPropertyValue"),
        ]
    ]
    tally = add(batch, clock, many(2))
    assert tally.added == 1
    assert [verdict.task_id for verdict in tally.failed] == ["t1"]
    assert clock.slept == 0


def test_a_server_error_is_sent_again_alone() -> None:
    batch, clock = made()
    batch.answers = [
        lambda tasks: [Verdict(task_id=t["id"], status="servererror" if t["id"] == "t1" else "success") for t in tasks]
    ]
    assert add(batch, clock, many(3)).added == 3
    assert batch.order == ["create", "add 3", "add 1"]


def test_a_task_missing_from_the_answer_is_sent_again() -> None:
    batch, clock = made()
    batch.answers = [lambda tasks: [Verdict(task_id="t0", status="success")]]
    assert add(batch, clock, many(2)).added == 2


def test_a_server_error_without_end_is_reported_after_bounded_attempts() -> None:
    batch, clock = made()
    batch.answers = [lambda tasks: [Verdict(task_id="t0", status="servererror", code="InternalError")]] * 99
    tally = add(batch, clock, many(1))
    assert [verdict.code for verdict in tally.failed] == ["InternalError"]
    assert len(batch.order) == 1 + ATTEMPTS


def test_a_body_that_is_too_large_is_halved_down_to_the_task_that_is() -> None:
    batch, clock = made()

    def answer(tasks: Sent) -> list[Verdict]:
        if any(task["id"] == "t2" for task in tasks):
            raise RequestTooLarge("too large", "RequestBodyTooLarge")
        return [Verdict(task_id=task["id"], status="success") for task in tasks]

    batch.answers = [answer] * 9
    tally = add(batch, clock, many(4))
    assert tally.added == 3
    assert [verdict.task_id for verdict in tally.failed] == ["t2"]


def test_throttling_waits_as_long_as_the_service_says() -> None:
    batch, clock = made()
    batch.answers = [Throttled("slow down", "TooManyRequests", retry_after=7)]
    assert add(batch, clock, many(1)).added == 1
    assert clock.slept == 7


def test_a_dead_service_ends_in_bounded_time_and_says_how_many_were_added() -> None:
    batch, clock = made()
    batch.answers = [None, *[Unreachable("gone")] * 99]
    with pytest.raises(Unreachable) as caught:
        add(batch, clock, many(150))
    assert clock.slept < 60
    assert "100 tasks were added" in caught.value.__notes__[0]


def test_a_job_that_is_gone_stops_at_once() -> None:
    batch, clock = made()
    batch.answers = [Conflict("the job is completed", "JobCompleted")]
    with pytest.raises(Conflict):
        add(batch, clock, many(1))
    assert clock.slept == 0
