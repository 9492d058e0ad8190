"""`python -m jobs submit` as a process, from the file to the exit code, against a service on loopback.

Killed, interrupted, left alone by the service: what it says, what it keeps, and that the command it names goes on. Each
test runs once, and in `make hostile` with many seeds (HOSTILE_SEEDS), which change when what happens.
"""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from jobs.exits import Exit
from tests.jobs.submission.hostile import Mood, Service
from tests.jobs.submission.submitting import COUNT, FIRST, Terminal, until

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[3]


def complete(service: Service) -> bool:
    return len(service.tasks) == len(service.created) == COUNT and service.managed[-1] == "update"


def test_a_count_that_lags_is_waited_for_before_anything_is_called_submitted(
    terminal: Terminal, service: Service
) -> None:
    service.mood = Mood(lag=0.6)
    code, said = terminal.submit(*FIRST)
    assert code == Exit.OK
    assert f"submitted {COUNT} tasks as job big" in said
    assert complete(service)
    assert time.monotonic() - service.created[-1][0] >= 0.6
    assert not (terminal.folder / ".jobs" / "big.checkpoint").exists()


def test_killed_in_the_middle_it_goes_on_with_resume(terminal: Terminal, service: Service, seed: int) -> None:
    service.mood = Mood(most_tasks=7)
    with terminal.start(*FIRST) as process:
        until(service, 25 + 5 * seed, process)
        process.kill()
        process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert 0 < len(service.tasks) < COUNT
    assert service.managed == ["create"]
    code, said = terminal.submit("big.yaml", "--yes", "--resume")
    assert (code, complete(service)) == (Exit.OK, True), said
    assert f"submitted {COUNT} tasks as job big" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_says_what_was_kept_and_how_to_go_on(
    terminal: Terminal, service: Service, number: signal.Signals, seed: int
) -> None:
    service.mood = Mood(most_tasks=7)
    with terminal.start(*FIRST) as process:
        until(service, 25 + 5 * seed, process)
        process.send_signal(number)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == (Exit.INTERRUPTED if number is signal.SIGINT else Exit.TERMINATED)
    kept = len(service.tasks)
    assert 0 < kept < COUNT
    assert f"stopped by {number.name}" in said
    assert f"{COUNT - kept} of {COUNT} tasks were not accepted: 0 refused, {COUNT - kept} not sent" in said
    assert f"Job big has the {kept} others and stays active. Go on with:" in said
    assert "Traceback" not in said
    code, said = terminal.go_on(said)
    assert (code, complete(service)) == (Exit.OK, True), said


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        ("gone", Exit.SERVICE, "it was deleted, or the account is another"),
        ("terminating", Exit.SERVICE, "it takes no tasks any more"),
        ("forbidden", Exit.SERVICE, "`submitters`"),
        ("dead", Exit.SERVICE, "the connection was"),
    ],
)
def test_a_service_or_job_that_goes_away_ends_it_soon_with_how_to_go_on(
    terminal: Terminal, service: Service, end: str, code: Exit, words: str, seed: int
) -> None:
    service.mood = Mood(end=end, end_after=4 + seed % 6)
    began = time.monotonic()
    found, said = terminal.submit(*FIRST, "--patience", "3s")
    assert time.monotonic() - began < 120
    assert found == code, said
    assert words in said
    assert "Go on with:" in said
    assert "Traceback" not in said
    if end != "dead":
        assert service.requests <= 4 + seed % 6 + 2 * 4  # each worker hears it once, not more
    service.heal()
    found, said = terminal.go_on(said)
    assert (found, complete(service)) == (Exit.OK, True), said


def test_resuming_with_other_definitions_is_refused_and_sends_nothing(
    terminal: Terminal, service: Service, seed: int
) -> None:
    service.mood = Mood(end="gone", end_after=4 + seed % 6)
    terminal.submit(*FIRST)
    service.heal()
    before = service.requests
    terminal.write(word="printf")
    code, said = terminal.submit("big.yaml", "--yes", "--resume")
    assert code == Exit.USAGE
    assert "are defined otherwise than when they were sent" in said
    assert service.requests == before
    terminal.write()
    assert terminal.submit("big.yaml", "--yes", "--resume")[0] == Exit.OK
    assert complete(service)


def test_tasks_of_others_with_the_same_ids_are_detected(terminal: Terminal, service: Service, seed: int) -> None:
    taken = f"task-{7 * seed}"
    service.create({"id": taken, "commandLine": "somebody else's"})
    code, said = terminal.submit(*FIRST)
    assert code != Exit.OK
    assert f"{taken}: TaskExists: the job has a task of this id already, and its commandLine is another" in said
    assert f"1 of {COUNT} tasks were not accepted: 1 refused" in said


def test_an_id_that_is_there_twice_is_refused_before_anything_is_created(terminal: Terminal, service: Service) -> None:
    rows = [{"number": number} for number in (*range(1, 900), 17)]
    (terminal.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    terminal.write("rows: {file: rows.jsonl}")
    code, said = terminal.submit(*FIRST)
    assert code == Exit.USAGE
    assert "task-17" in said
    assert (service.managed, service.requests) == ([], 0)
