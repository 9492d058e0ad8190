"""The submitter's parts: chunks, ids, verdicts, checkpoint, and its end by a signal."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import JobsError, NotFound, Unreachable, UsageError
from jobs.ids import IdSet
from jobs.submission import Options, Progress, submit_tasks
from jobs.submission.chunks import MAX_BYTES, cut
from jobs.submission.transport import Reply
from jobs.submission.verdicts import Act, act_on, difference, judge
from tests.jobs.submission import hostile_client as client
from tests.jobs.submission.hostile import Mood, hostile

ROOT = Path(__file__).parents[3]


def tasks(count: int, size: int = 1) -> list[dict[str, Any]]:
    return [{"id": f"t{number:05d}", "commandLine": "x" * size} for number in range(count)]


@pytest.mark.parametrize("size", [1, 30_000, 400_000, 1_200_000])
def test_chunks_keep_both_limits_lose_nothing_and_are_the_same_every_time(size: int) -> None:
    wanted = tasks(230 if size < 100_000 else 7, size)
    chunks = list(cut(wanted, IdSet()))
    assert [task for chunk in chunks for task in json.loads(chunk.body)["value"]] == wanted
    assert all(len(chunk.ids) <= 100 and (len(chunk.body) <= MAX_BYTES or len(chunk.ids) == 1) for chunk in chunks)
    assert [chunk.digest() for chunk in cut(wanted, IdSet())] == [chunk.digest() for chunk in chunks]
    assert json.loads(chunks[0].part([0]))["value"] == wanted[:1]


def test_an_id_that_differs_by_case_only_is_refused_with_both_places() -> None:
    wanted = [*tasks(150), {"id": "T00007"}]
    with pytest.raises(UsageError, match=r"task 150: id 'T00007' is also the id of task 7"):
        list(cut(wanted, IdSet()))


def test_ids_in_any_order_are_told_apart_exactly() -> None:
    names = [f"task-{number}" for number in range(30_000)]
    random.Random(1).shuffle(names)
    seen = IdSet()
    for start in range(0, len(names), 100):
        assert seen.add_all(names[start : start + 100]) is None
    assert list(seen) == names
    assert seen.add_all(["new", names[12_345].upper()]) == (names[12_345].upper(), 12_345)


def answer(*items: dict[str, Any]) -> bytes:
    return json.dumps({"value": list(items)}, separators=(",", ":")).encode()


OK = {"status": "Success", "taskId": "a", "location": "x"}
EXISTS = {"status": "ClientError", "taskId": "b", "error": {"code": "TaskExists"}}


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (answer(OK, {**OK, "taskId": "b"}), (2, 0, 0, 0)),
        (answer({**OK, "taskId": "B"}, {**OK, "taskId": "A", "status": "success"}), (2, 0, 0, 0)),
        (answer(OK, EXISTS), (1, 1, 0, 0)),
        (answer(OK), (1, 0, 0, 1)),
        (answer(OK, OK, {**OK, "taskId": "b"}), (1, 0, 0, 1)),
        (answer(OK, {**OK, "taskId": "b", "error": {"code": "X"}}), (1, 0, 0, 1)),
        (answer(OK, {"taskId": "b", "status": "Weird"}), (1, 0, 0, 1)),
        (answer(OK, {"taskId": "b", "status": "ServerError", "error": {"code": "X"}}), (1, 0, 0, 1)),
        (answer(OK, {"taskId": "b", "status": "ClientError", "error": {"code": "X"}}), (1, 0, 1, 0)),
        (answer(OK, {"taskId": "b", "status": "ClientError"}), (1, 0, 0, 1)),
    ],
)
def test_only_a_verdict_of_its_own_settles_a_task(body: bytes, outcome: tuple[int, int, int, int]) -> None:
    found = judge(["a", "b"], body)
    assert found is not None
    assert (found.done, len(found.existed), len(found.failed), len(found.again)) == outcome


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"value":{}}', b'{"value":[1]}', answer(OK)[:-3], b"[]"])
def test_what_is_not_an_answer_settles_nothing(body: bytes) -> None:
    found = judge(["a"], body)
    assert found is None or (found.done == 0 and found.again == [0])


@pytest.mark.parametrize(
    ("status", "code", "act"),
    [
        (200, "", Act.JUDGED),
        (429, "", Act.SLOW_DOWN),
        (503, "ServerBusy", Act.SLOW_DOWN),
        (500, "InternalError", Act.AGAIN),
        (502, "", Act.AGAIN),
        (404, "", Act.AGAIN),
        (404, "JobNotFound", Act.STOP),
        (409, "JobBeingTerminated", Act.STOP),
        (401, "AuthenticationFailed", Act.RENEW),
        (403, "InsufficientAccountPermissions", Act.STOP),
        (413, "RequestBodyTooLarge", Act.SPLIT),
        (413, "", Act.SPLIT),
        (400, "InvalidRequestBody", Act.SPLIT),
        (400, "", Act.AGAIN),
        (302, "", Act.STOP),
    ],
)
def test_what_a_status_asks_for(status: int, code: str, act: Act) -> None:
    assert act_on(Reply(status, json.dumps({"code": code}).encode() if code else b""))[0] is act


def test_a_task_of_another_definition_is_told_by_field() -> None:
    ours = {"id": "a", "constraints": {"maxWallClockTime": "PT900S"}, "containerSettings": {"imageName": "x:1"}}
    theirs = {
        **ours,
        "id": "A",
        "constraints": {"maxWallClockTime": "PT15M", "retentionTime": "P7D"},
        "state": "active",
    }
    assert difference(ours, theirs) == ""
    assert difference(ours, {**theirs, "containerSettings": {"imageName": "x:2"}}) == "containerSettings.imageName"


def quiet() -> Mood:
    return Mood(lag=0.0)


class Fixed:
    """Definitions of the test's own, sent as `hostile_client` sends."""

    def __init__(self, port: int, checkpoint: Path) -> None:
        self.account, self.checkpoint = client.Account(port), checkpoint

    def submit(self, wanted: Any, **options: Any) -> Any:
        given = {"checkpoint": self.checkpoint, "handle_signals": False, "workers": 4, "proof_patience": 3.0}
        return submit_tasks(self.account, "j", wanted, Options(**(given | options)))


def test_a_resumed_input_with_another_definition_is_refused_and_sends_nothing(tmp_path: Path) -> None:
    with hostile(0) as service:
        service.mood = Mood(end="gone", end_after=3)
        submitter = Fixed(service.port, tmp_path / "c")
        result = submitter.submit(tasks(900), total=900)
        assert isinstance(result.stopped, NotFound)
        assert result.accepted + result.unsent == 900
        service.heal()
        before = service.requests
        result = submitter.submit([*tasks(900, 1)[:150], *tasks(900, 2)[150:]], total=900, resume=True)
        assert isinstance(result.stopped, UsageError)
        assert "defined otherwise" in str(result.stopped)
        assert service.requests == before
        assert result.accepted + result.failed + result.unsent == 900
        assert submitter.submit(tasks(900), total=900, resume=True).complete


def test_refused_tasks_of_a_former_run_are_counted_once_also_when_resuming_is_refused(tmp_path: Path) -> None:
    wanted = [{"id": "bad-0", "commandLine": "x"}, *tasks(899)]
    with hostile(0) as service:
        service.mood = Mood(end="gone", end_after=3)
        submitter = Fixed(service.port, tmp_path / "c")
        first = submitter.submit(wanted, total=900, workers=1)
        assert (first.accepted, first.failed, first.unsent) == (299, 1, 600)
        service.heal()
        for other in ([*tasks(1, 2), *wanted[1:]], wanted[:50], [*wanted[:150], *tasks(749, 2)[149:]]):
            result = submitter.submit(other, total=900, resume=True)
            assert isinstance(result.stopped, UsageError)
            assert result.accepted + result.failed + result.unsent == 900
            assert result.accepted >= 0
        result = submitter.submit(wanted, total=900, resume=True)
        assert (result.accepted, result.failed, result.unsent) == (899, 1, 0)


def test_a_task_that_was_there_with_another_definition_is_a_failure_and_the_same_is_none(tmp_path: Path) -> None:
    with hostile(0) as service:
        service.mood = quiet()
        service.create({"id": "t00003", "commandLine": "x"})
        service.create({"id": "T00004", "commandLine": "other"})
        result = Fixed(service.port, tmp_path / "c").submit(tasks(10))
        assert (result.accepted, result.existed, result.failed, result.unsent) == (9, 1, 1, 0)
        assert "its commandLine is another" in result.failures[0].message


def test_a_dead_service_ends_it_in_bounded_time(tmp_path: Path) -> None:
    with hostile(0) as service:
        service.mood = Mood(end="dead", end_after=1)
        began = time.monotonic()
        result = Fixed(service.port, tmp_path / "c").submit(tasks(1000), patience=1.0, total=1000)
        assert time.monotonic() - began < 60
        assert result.stopped is None or isinstance(result.stopped, Unreachable | JobsError)
        assert not result.complete
        assert result.accepted + result.unsent == 1000


def test_two_submissions_do_not_share_a_checkpoint(tmp_path: Path) -> None:
    with hostile(0) as service:
        service.mood = quiet()
        submitter = Fixed(service.port, tmp_path / "c")

        def inside() -> Any:
            with pytest.raises(UsageError, match="another submission is writing it"):
                submitter.submit(tasks(1), resume=True)
            with pytest.raises(UsageError, match="--resume"):
                submitter.submit(tasks(1))
            yield from tasks(3)

        # asyncio.run does not nest: what the refusals need is the lock alone
        from jobs.submission.checkpoint import Checkpoint

        held = Checkpoint.start(tmp_path / "c", job_id="j", fingerprint="")
        list(inside())
        held.close()


@pytest.mark.parametrize("line", ["what is this", "s x", "d", "q 5"])
def test_a_checkpoint_that_is_none_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "c"
    path.write_text(json.dumps({"checkpoint": 1, "job": "j", "fingerprint": ""}) + f"\ns 0 100 ab\n{line}\n")
    with pytest.raises(UsageError, match=f"{path}:3: not a checkpoint's line"):
        Fixed(1, path).submit(tasks(1), resume=True)


def test_progress_tells_rate_and_time_left(tmp_path: Path) -> None:
    told: list[Progress] = []
    with hostile(0) as service:
        service.mood = Mood(before={"429ra": 0.3})

        def slow() -> Any:
            for number, task in enumerate(tasks(3000)):
                if number % 100 == 0:
                    time.sleep(0.08)
                yield task

        options = Options(total=3000, handle_signals=False, proof_patience=3.0)
        assert submit_tasks(client.Account(service.port), "j", slow(), options, told.append).complete
    assert told
    assert told[-1].total == 3000
    assert any(one.rate > 0 and one.seconds_left is not None for one in told[1:]) or len(told) < 3


def test_a_signal_ends_it_in_good_order_and_tells_what_was_kept(tmp_path: Path) -> None:
    seed = next(seed for seed in range(50) if len(client.definitions(seed)) > 2000)
    checkpoint = tmp_path / "c"
    with hostile(seed) as service:
        service.mood = Mood(most_tasks=1)  # many requests: long enough to be interrupted
        command = [
            sys.executable,
            "-m",
            "tests.jobs.submission.hostile_client",
            str(service.port),
            str(seed),
            str(checkpoint),
            "new",
        ]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
            deadline = time.monotonic() + 120
            while service.requests < 20 and time.monotonic() < deadline:
                time.sleep(0.005)
            process.send_signal(signal.SIGTERM)
            said = json.loads(process.communicate(timeout=120)[0])
        assert process.returncode == 3
        assert said["stopped"] == "stopped by SIGTERM"
        assert said["accepted"] + said["failed"] + said["unsent"] == len(client.definitions(seed))
        assert said["uncertain"] == 0
        assert len(service.tasks) == said["accepted"]
        assert len(service.tasks) < 1000  # the chunks on their way, one task at a time, were 1,600
        service.heal()
        assert client.submit(service.port, seed, checkpoint, resume=True, patience=60.0).proved
