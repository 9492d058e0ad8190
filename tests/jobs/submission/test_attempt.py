"""One chunk on its way: parts, attempts, and what is said of tasks that are left."""

from __future__ import annotations

from jobs.ids import IdSet
from jobs.submission.chunks import Chunk, ChunkAttempt, cut


def chunk(count: int = 4) -> Chunk:
    return next(cut([{"id": f"t{number}", "commandLine": "x" * 50} for number in range(count)], IdSet()))


def sent(attempt: ChunkAttempt, largest: int = 1 << 20) -> list[int]:
    request = attempt.next(largest)
    assert request is not None
    attempt.send()
    return request[0]


def test_a_part_is_halved_until_it_is_small_enough_and_the_order_stays() -> None:
    whole = chunk()
    attempt, seen = ChunkAttempt(whole), []
    while (request := attempt.next(len(whole.body) // 2)) is not None:
        seen.append(request[0])
        attempt.send()
        attempt.judged([])
    assert [place for part in seen for place in part] == [0, 1, 2, 3]
    assert max(map(len, seen)) < 4
    assert attempt.left() == ([], 0)


def test_a_single_task_is_sent_however_large_it_is() -> None:
    assert sent(ChunkAttempt(chunk(1)), largest=1) == [0]


def test_only_tasks_without_a_verdict_are_sent_again() -> None:
    attempt = ChunkAttempt(chunk())
    assert attempt.ids(sent(attempt)) == ["t0", "t1", "t2", "t3"]
    attempt.judged([1, 3])
    assert attempt.ids(sent(attempt)) == ["t1", "t3"]
    attempt.judged([])
    assert attempt.next(1 << 20) is None


def test_failures_in_a_row_begin_anew_with_every_verdict() -> None:
    attempt = ChunkAttempt(chunk())
    sent(attempt)
    attempt.failures = 7
    attempt.judged([0, 1, 2, 3])
    assert attempt.failures == 7
    attempt.judged([0])
    assert attempt.failures == 0


def test_what_was_refused_as_a_whole_is_not_in_the_job_and_what_had_no_answer_may_be() -> None:
    attempt = ChunkAttempt(chunk())
    sent(attempt)
    assert attempt.left() == (["t0", "t1", "t2", "t3"], 4)
    attempt.halve()
    assert attempt.left() == (["t0", "t1", "t2", "t3"], 0)
    sent(attempt)
    assert attempt.left() == (["t0", "t1", "t2", "t3"], 2)


def test_a_chunk_that_a_former_run_may_have_sent_is_ambiguous_from_the_start() -> None:
    found = chunk()
    assert not ChunkAttempt(found).ambiguous
    found.expected = True
    assert ChunkAttempt(found).ambiguous
