"""One chunk on its way: parts, attempts, and what is said of tasks that are left."""

from __future__ import annotations

from jobs.ids import IdSet
from jobs.submission.chunks import Chunk, cut
from jobs.submission.delivery import Delivery


def chunk(count: int = 4) -> Chunk:
    return next(cut([{"id": f"t{number}", "commandLine": "x" * 50} for number in range(count)], IdSet()))


def sent(delivery: Delivery, largest: int = 1 << 20) -> list[int]:
    request = delivery.next(largest)
    assert request is not None
    delivery.send()
    return request[0]


def test_a_part_is_halved_until_it_is_small_enough_and_the_order_stays() -> None:
    whole = chunk()
    delivery, seen = Delivery(whole), []
    while (request := delivery.next(len(whole.body) // 2)) is not None:
        seen.append(request[0])
        delivery.send()
        delivery.judged([])
    assert [place for part in seen for place in part] == [0, 1, 2, 3]
    assert max(map(len, seen)) < 4
    assert delivery.left() == ([], 0)


def test_a_single_task_is_sent_however_large_it_is() -> None:
    assert sent(Delivery(chunk(1)), largest=1) == [0]


def test_only_tasks_without_a_verdict_are_sent_again() -> None:
    delivery = Delivery(chunk())
    assert delivery.ids(sent(delivery)) == ["t0", "t1", "t2", "t3"]
    delivery.judged([1, 3])
    assert delivery.ids(sent(delivery)) == ["t1", "t3"]
    delivery.judged([])
    assert delivery.next(1 << 20) is None


def test_attempts_begin_anew_with_every_verdict() -> None:
    delivery = Delivery(chunk())
    sent(delivery)
    delivery.attempts = 7
    delivery.judged([0, 1, 2, 3])
    assert delivery.attempts == 7
    delivery.judged([0])
    assert delivery.attempts == 0


def test_what_was_refused_as_a_whole_is_not_in_the_job_and_what_had_no_answer_may_be() -> None:
    delivery = Delivery(chunk())
    sent(delivery)
    assert delivery.left() == (["t0", "t1", "t2", "t3"], 4)
    delivery.halve()
    assert delivery.left() == (["t0", "t1", "t2", "t3"], 0)
    sent(delivery)
    assert delivery.left() == (["t0", "t1", "t2", "t3"], 2)


def test_a_chunk_that_a_former_run_may_have_sent_is_ambiguous_from_the_start() -> None:
    found = chunk()
    assert not Delivery(found).ambiguous
    found.expected = True
    assert Delivery(found).ambiguous
