"""Nothing lost, nothing twice, everything reported, whatever the service does, and whoever kills the submitter.

A few seeds run every time; `make hostile` runs 300 (HOSTILE_SEEDS).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from jobs.submission import Result
from tests.jobs.submission import hostile_client as client
from tests.jobs.submission.hostile import AFTER, BEFORE, ENDS, ITEMS, Mood, Service, hostile

pytestmark = pytest.mark.thorough

SEEDS = range(int(os.environ.get("HOSTILE_SEEDS", "12")))
ROOT = Path(__file__).parents[3]


def check(service: Service, result: Result, seed: int) -> None:
    """What must hold after any run."""
    tasks = {task["id"].lower(): task for task in client.definitions(seed)}
    assert result.accepted + result.failed + result.unsent == len(tasks)
    assert service.tasks.items() <= tasks.items(), "something else than what was submitted is in the job"
    assert service.too_much == 0
    if result.complete:
        assert service.tasks == tasks
    if result.proved:
        assert len(service.tasks) == result.accepted
    else:
        assert len(service.tasks) <= result.accepted + result.uncertain


def finish(service: Service, checkpoint: Path, seed: int) -> None:
    """The service is well again: going on must bring everything to its end.

    When the first run ended before its proof, the second finds out what the service said it had and has not, and the
    third sends that.
    """
    service.heal()
    result = client.submit(service.port, seed, checkpoint, resume=True, patience=60.0)
    check(service, result, seed)
    if result.unsent:
        result = client.submit(service.port, seed, checkpoint, resume=True, patience=60.0)
        check(service, result, seed)
    assert result.stopped is None
    assert result.proved
    assert result.unsent == 0
    # a doubled verdict or a collection refused is looked into, so nothing but these is ever refused
    tasks = client.definitions(seed)
    refused = [task for task in tasks if task["id"].startswith(("bad", "poison"))]
    assert result.failed == len(refused)
    assert result.accepted == len(tasks) - len(refused) == len(service.tasks)


def test_three_hundred_seeds_have_every_fault_several_times() -> None:
    moods = [Mood.of(seed) for seed in range(300)]
    chosen = Counter(name for mood in moods for name in (*mood.before, *mood.after, *mood.items, mood.end) if name)
    assert chosen.keys() == {*BEFORE, *AFTER, *ITEMS, *ENDS}
    assert min(chosen.values()) >= 5


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_or_doubled(seed: int, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    with hostile(seed) as service:
        began = time.monotonic()
        result = client.submit(service.port, seed, checkpoint, resume=False)
        assert time.monotonic() - began < 900  # bounded, on any machine
        check(service, result, seed)
        assert result.complete == (not checkpoint.exists())
        if not result.complete:
            finish(service, checkpoint, seed)


@pytest.mark.parametrize("seed", [1_000_000 + seed for seed in SEEDS[:: 4 if len(SEEDS) < 20 else 3]])
def test_nothing_is_lost_or_doubled_when_the_submitter_is_killed(seed: int, tmp_path: Path) -> None:
    """Killed (or stopped) up to three times wherever it is, in the middle of a line of the checkpoint too."""
    checkpoint = tmp_path / "checkpoint"
    dice = random.Random(seed)
    with hostile(seed) as service:
        for _ in range(dice.randint(1, 3)):
            how = "resume" if checkpoint.exists() else "new"
            command = [sys.executable, "-m", "tests.jobs.submission.hostile_client"]
            with subprocess.Popen([*command, str(service.port), str(seed), str(checkpoint), how], cwd=ROOT) as process:
                try:
                    target = service.requests + dice.randint(1, 12)
                    while process.poll() is None and service.requests < target:
                        time.sleep(0.002)
                    process.send_signal(dice.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
                finally:
                    if process.poll() is None and dice.random() < 0.5:
                        time.sleep(0.3)
                    process.kill() if dice.random() < 0.5 else None
                    process.wait(120)
            if process.returncode == 0:
                assert service.tasks == {task["id"].lower(): task for task in client.definitions(seed)}
                return
            if checkpoint.exists() and dice.random() < 0.3:
                with checkpoint.open("ab") as stream:
                    stream.write(b"s 99")  # a line that the kill cut
        if not checkpoint.exists():
            client.submit(service.port, seed, checkpoint, resume=False)
            return
        finish(service, checkpoint, seed)
