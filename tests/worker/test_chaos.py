"""Workers killed at random, and a database that goes away under them: every item is done once, nothing is lost.

The short form of `make chaos` (chaos.py here, and tests/scenarios/chaos.py), with processes of this machine. CHAOS_RUNS
and CHAOS_SEED change how many runs and where the seeds begin; a failure names its seed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from testbeds.worker_world import HANDLERS, ROOT, Worker, World

pytestmark = pytest.mark.thorough

FIRST, RUNS = int(os.environ.get("CHAOS_SEED", "1")), int(os.environ.get("CHAOS_RUNS", "2"))
STEPS, LEASE = 6, 2


class Storm:
    """One seeded run: workers, who dies when, and replacements until the queue is empty."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.queue = f"q{seed}"
        self.items = {f"item-{number}" for number in range(self.chance.randint(5, 8))}
        self.codes: list[int] = []

    def worker(self) -> Worker:
        words = ("--until-empty", "--lease", str(LEASE), "--max-attempts", "100", "--handler", f"{HANDLERS}:handle")
        return self.world.start("run", "--queue", self.queue, *words)

    def run(self) -> None:
        self.world.enqueue(self.queue, [{"name": name, "steps": STEPS, "seconds": 0.05} for name in sorted(self.items)])
        workers = [self.worker() for _ in range(self.chance.randint(2, 4))]
        blows = [self.chance.choice(("KILL", "KILL", "TERM", "cut")) for _ in range(self.chance.randint(2, 4))]
        for blow in blows:
            time.sleep(self.chance.uniform(0.1, 0.8))
            self.strike(blow, workers)
        deadline = time.monotonic() + 120
        while workers:
            for worker in [one for one in workers if one.process.poll() is not None]:
                workers.remove(worker)
                self.codes.append(code := worker.end())
                # a SIGTERM before the handlers are there ends Python itself: nothing was claimed yet
                assert code in (0, 143, -signal.SIGKILL, -signal.SIGTERM), worker.text
                if code:
                    workers.append(self.worker())  # as Batch would: the task is run again
            assert time.monotonic() < deadline, [worker.text for worker in workers]
            time.sleep(0.05)

    def strike(self, blow: str, workers: list[Worker]) -> None:
        if blow == "cut":
            self.world.cut()
            threading.Timer(self.chance.uniform(0, 1), self.world.serve).run()
        else:
            victim = self.chance.choice(workers)
            if victim.process.poll() is None:
                victim.signal(signal.Signals[f"SIG{blow}"])

    def state(self) -> dict[str, Any]:
        found = self.world.rows("SELECT item_key, status, step FROM dbo.work_items WHERE queue = %s", self.queue)
        return {key: (status, step) for key, status, step in found}


def test_every_item_is_done_once_whatever_its_handler_does() -> None:
    """Kills at every call to the driver, faults at COMMIT and handlers that misbehave: some seeds of the long form."""
    command = [sys.executable, "-m", "tests.worker.chaos", "--runs", str(2 * RUNS), "--seed", str(FIRST)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{2 * RUNS} of {2 * RUNS} runs good" in done.stdout


@pytest.mark.parametrize("seed", range(FIRST, FIRST + RUNS))
def test_every_item_is_done_once_whatever_dies(world: World, seed: int) -> None:
    storm = Storm(world, seed)
    storm.run()
    assert storm.state() == dict.fromkeys(storm.items, ("done", STEPS))
    done = sorted(world.rows("SELECT item, step FROM dbo.steps_done"))
    assert done == sorted((item, step) for item in storm.items for step in range(STEPS))
