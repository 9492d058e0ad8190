"""Chaos in one process: `python -m tests.worker.chaos --runs 200 --seed 1`.

The worker's own loop with the real driver against the stand-in, many seeds at once. A run draws from its seed: workers,
items, which of them have handlers that misbehave, and what befalls them: a kill before or after any call to the driver
(the worker does nothing any more, and its connection ends), a stop signal, deadlocks, a failover, cuts before and after
COMMIT, commits that take longer than anybody waits, a server that says nothing. At the end every good item is done with
each step there once, every bad one is a dead letter without what its bad step wrote (once, where the handler committed
it by itself), and no worker still runs.

The form with real processes and signals is `test_chaos.py`; the one with real nodes is `tests/scenarios/chaos.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import pytds

from local.azure.sql.faults import sql_fault
from local.azure.sql.stores.postgres.backend import PostgresBackend
from local.azure.sql.stores.postgres.cluster import Cluster, socket_of
from local.paths import Paths
from testbeds.worker_steps import GOOD, INSERT, MISBEHAVIOUR
from testbeds.worker_world import World, open_world

T = TypeVar("T")

STEPS: Final = 4
LEASE: Final = 5.0
MOST_ATTEMPTS: Final = 12
PATIENCE: Final = 15.0
HANG_SECONDS: Final = 180.0
STATEMENT_SECONDS: Final = 1
# What a process does to itself belongs to tests with a process for each worker.
_OF_PROCESSES: Final = frozenset({"fork raises", "fork returns", "fork writes", "stdout", "folder", "children"})
HARMLESS: Final = sorted(GOOD - _OF_PROCESSES)
HARMFUL: Final = sorted(set(MISBEHAVIOUR) - GOOD - _OF_PROCESSES - {"use"})
KEPT: Final = {"commit all"}  # what they wrote is kept, once
FAULTS: Final[tuple[tuple[str, float], ...]] = (
    ("deadlock", 0),
    ("failover", 0),
    ("cut", 0),
    ("cut-before-commit", 0),
    ("cut-after-commit", 0),
    ("slow-commit", 5),
    ("late-answer", 5),
    ("mute", 5),
    ("slow", 3),
)


class Killed(BaseException):
    """The worker is dead: whatever it calls, it never comes back to life."""


class Executioner:
    """Kills one worker at its n-th call to the driver, before the call or after it."""

    def __init__(self, at: int | None, after: bool) -> None:
        self._left = at
        self._after = after
        self.dead = False

    def meet(self, call: Callable[[], T]) -> T:
        if self.dead:
            raise Killed
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self.dead = True
                if self._after:
                    call()
                raise Killed
        return call()


def handle(item: Any, step: int, tx: Any) -> str:
    """A row for each step; at step `at` what the item's data say."""
    tx.execute(INSERT, item.key, step)
    time.sleep(item.data["seconds"])
    if step == item.data["at"] and (how := item.data["how"]):
        MISBEHAVIOUR[how](tx)
    return "more" if step + 1 < STEPS else "done"


class Storm:
    """One seeded run."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.queue = f"q{seed}-{uuid.uuid4().hex[:6]}"
        self.rows: dict[str, dict[str, Any]] = {}
        self.met: Counter[str] = Counter()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Raises AssertionError when something is lost, doubled or hung."""
        self._enqueue()
        for kind, seconds in self.chance.sample(FAULTS, self.chance.randint(1, 3)):
            # of this queue's statements, or of anybody's commits and logins: storms at once share the server
            match = self.queue if kind in ("deadlock", "failover", "cut", "mute", "slow") else ""
            times, wait = self.chance.randint(1, 2), self.chance.uniform(0, seconds)
            self.world.faults.set(sql_fault(kind, times, match if kind != "mute" else "steps_done", wait))
            self.met[kind] += times
        deadline = time.monotonic() + HANG_SECONDS
        threads = [self._worker(kill=self.chance.random() < 0.7) for _ in range(self.chance.randint(2, 3))]
        while threads:
            for thread in [one for one in threads if not one.is_alive()]:
                threads.remove(thread)
                if not self._empty():
                    threads.append(self._worker(kill=self.chance.random() < 0.2))
            assert time.monotonic() < deadline, f"hung: {self._state()}"
            time.sleep(0.05)
        self._verify()

    def _enqueue(self) -> None:
        from worker.docker_worker import feed, items

        for number in range(self.chance.randint(4, 7)):
            how = ""
            if (draw := self.chance.random()) < 0.3:
                how = self.chance.choice(HARMFUL)
            elif draw < 0.5:
                how = self.chance.choice(HARMLESS)
            seconds = self.chance.uniform(0, 0.1)
            key = f"{self.queue}/{number} {how}"
            self.rows[key] = {"how": how, "at": self.chance.randrange(STEPS), "seconds": seconds}
        rows = [feed.Row(line=1, key=key, data=feed._as_json(row)) for key, row in self.rows.items()]
        session = self._session(Executioner(None, False), self._stop())
        session.transact(lambda tx, retried: items.add(tx, self.queue, rows, run="chaos", retried=retried))
        session.close()

    def _stop(self) -> Any:
        from worker.docker_worker.signals import Stop

        return Stop()

    def _session(self, executioner: Executioner, stop: Any) -> Any:
        from worker.docker_worker import settings
        from worker.docker_worker.sql import database, session

        class Link:
            """A link under the executioner's eyes."""

            def __init__(self, link: Any) -> None:
                self._link = link

            def run(self, work: Any) -> Any:
                return executioner.meet(lambda: self._link.run(work))

            def commit(self) -> None:
                executioner.meet(self._link.commit)

            def rollback(self) -> None:
                executioner.meet(self._link.rollback)

            def close(self) -> None:
                self._link.close()

            @property
            def closed(self) -> bool:
                return self._link.closed

        def connect(sql: Any, seconds: float) -> Any:
            return Link(executioner.meet(lambda: database.connect(sql, seconds)))

        sql = settings.load_sql(self.world.environment, statement_seconds=STATEMENT_SECONDS)
        return session.Session(sql, connect, stop=stop, log=lambda *_, **__: None, patience=PATIENCE)

    def _worker(self, *, kill: bool) -> threading.Thread:
        from worker.docker_worker import errors, items
        from worker.docker_worker.run import Runner, RunSettings

        executioner = Executioner(self.chance.randint(1, 60) if kill else None, self.chance.random() < 0.5)
        stop = self._stop()
        stop_after = self.chance.uniform(0.1, 2) if self.chance.random() < 0.2 else None
        rules = RunSettings(until_empty=True, max_attempts=MOST_ATTEMPTS, retry_delay=0)

        def work() -> None:
            session = self._session(executioner, stop)
            queue = items.Queue(name=self.queue, owner=uuid.uuid4().hex, lease=LEASE)
            try:
                Runner(session, queue, handle, rules, log=lambda *_, **__: None, stop=stop).run()
                ended = "ended"
            except Killed:
                ended = "killed"
            except errors.WorkerError as error:
                ended = f"exit {int(error.exit)}: {error}" if error.exit != 75 else "exit 75"
            finally:
                session.close()
            with self._lock:
                self.met[ended] += 1

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        if stop_after is not None:
            threading.Timer(stop_after, stop.handle, (signal.SIGTERM,)).start()
        return thread

    def _empty(self) -> bool:
        return all(status in ("done", "dead") for status, *_ in self._state().values())

    def _state(self) -> dict[str, tuple[str, int, str]]:
        statement = "SELECT item_key, status, step, error FROM dbo.work_items WHERE queue = %s"
        return {key: (status, step, error) for key, status, step, error in self._rows(statement, self.queue)}

    def _rows(self, statement: str, value: str) -> list[tuple[Any, ...]]:
        """What the judge reads; a fault that was meant for a worker may meet him."""
        for _ in range(5):
            with contextlib.suppress(pytds.Error, OSError):
                return self.world.rows(statement, value)
        return self.world.rows(statement, value)

    def _verify(self) -> None:
        state = self._state()
        found = self._rows("SELECT item, step FROM dbo.steps_done WHERE item LIKE %s", f"{self.queue}/%")
        kept = Counter((item, step) for item, step in found)
        assert set(state) == set(self.rows), state
        expected = Counter[tuple[str, int]]()
        for key, row in self.rows.items():
            bad = row["how"] in HARMFUL
            assert state[key][:2] == (("dead", row["at"]) if bad else ("done", STEPS)), (key, state[key])
            steps = row["at"] + (row["how"] in KEPT) if bad else STEPS
            expected.update((key, step) for step in range(steps))
        assert kept == expected, (kept - expected, expected - kept)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.worker.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=4)
    given = parser.parse_args()
    failed, met, began = dict[int, str](), Counter[str](), time.monotonic()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        paths = Paths(home / "cluster")
        paths.ensure()
        stack.enter_context(Cluster(paths))
        world = open_world(stack, home / "cloud", PostgresBackend(socket_of(paths)))
        stack.callback(world.cut)
        world.serve()
        os.environ.update(world.environment)  # before the driver is loaded: OpenSSL reads SSL_CERT_FILE once
        world.run("migrate", "--handler", "testbeds.worker_steps:handle")

        def one(seed: int) -> None:
            storm = Storm(world, seed)
            try:
                storm.run()
            except BaseException as error:
                failed[seed] = f"{type(error).__name__}: {error}"
                print(f"seed {seed}: FAILED: {failed[seed]}"[:2000], flush=True)
            met.update(storm.met)

        with ThreadPoolExecutor(given.at_once) as pool:
            for number, _ in enumerate(pool.map(one, range(given.seed, given.seed + given.runs)), start=1):
                if number % 20 == 0:
                    print(f"{number} of {given.runs} runs; {len(failed)} failed", flush=True)
    took = time.monotonic() - began
    print(
        f"{given.runs - len(failed)} of {given.runs} runs good in {took:.0f} s; failed: {sorted(failed)}; {dict(met)}"
    )
    sys.stdout.flush()
    os._exit(1 if failed else 0)  # a thread that was left in the driver must not hold us back


if __name__ == "__main__":
    main()
