"""The long chaos run: `make chaos`, or `python -m tests.scenarios.chaos --home HOME --runs 200 --seed 1`.

Needs a deployed local stack (`make up`). Each run draws from its seed: 2 to 4 workers, items, and what befalls them:
SIGKILL and SIGTERM to a worker's container, the death of a node, a database that is killed or hangs, connections that
are cut at a statement or at COMMIT, commits that take longer than anybody waits, handlers that end their transaction or
throw. At the end every step of every good item must be there once, and every other item be a dead letter without its
bad step. A blow whose victim is gone already is one blow less, and is not counted; one that goes wrong in any other way
fails its run.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local.azure.platform.faults import Control, FaultRefused, Rule
from local.azure.sql.faults import sql_fault
from tests.scenarios.cluster import DRILL, Cluster

STEPS, SECONDS, LEASE = 5, 0.2, 4
KINDS = ("kill", "term", "node", "database", "cut", "cut-before-commit", "cut-after-commit", "slow-commit", "deadlock")
FAULTS = KINDS[4:]  # of the SQL server: local/azure/sql/faults.py
# Statements of a handler that misbehaves: its item is a dead letter in the end, and nothing of the step is kept.
BAD_STATEMENTS = (
    "COMMIT",
    "ROLLBACK",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "THROW 50013, 'deadlock: login failed', 1",
    "SELECT acquired_at FROM dbo.work_items",
)
BAD_SHARE = 0.25
MOST_ATTEMPTS = 12
QUIET = 65.0  # the supervisor restarts a child without limit only when it ran a minute


class Chaos:
    """Runs on one stack, and what happened in them."""

    def __init__(self, cluster: Cluster, inject: Callable[[Rule], object] | None = None) -> None:
        self.cluster = cluster
        self.happened = Counter[str]()
        self._inject = inject or (lambda fault: Control(cluster.paths, "sql").set(fault))
        self._database_killed = time.monotonic()
        self._lock = threading.Lock()

    def prepare(self) -> None:
        self.cluster.run("migrate", "--handler", DRILL)

    def run(self, seed: int) -> float:
        """One seeded run; its seconds. Raises what went wrong: AssertionError when work is lost, doubled or stuck."""
        chance, began = random.Random(seed), time.monotonic()
        queue = f"chaos-{seed}-{int(time.time())}"
        items: dict[str, dict[str, Any]] = {
            f"item-{number}": {"steps": STEPS, "seconds": SECONDS} for number in range(chance.randint(4, 8))
        }
        for data in items.values():
            if chance.random() < BAD_SHARE:
                data |= {"at": chance.randrange(STEPS), "statement": chance.choice(BAD_STATEMENTS)}
        self.cluster.enqueue(queue, items)
        command = (
            "run",
            "--queue",
            queue,
            "--until-empty",
            "--lease",
            str(LEASE),
            "--max-attempts",
            str(MOST_ATTEMPTS),
            "--retry-delay",
            "0",
            "--handler",
            DRILL,
        )
        job = self.cluster.submit([command] * chance.randint(2, 4), retries=-1, name="chaos")
        self.cluster.wait("a worker", lambda: self.cluster.steps(queue))
        blows = [(chance.choice(KINDS), chance.uniform(0, 2), chance.random()) for _ in range(chance.randint(1, 3))]
        with ThreadPoolExecutor(len(blows)) as pool:
            struck = [pool.submit(self._strike, *blow) for blow in blows]
        for one in struck:
            one.result()
        for task in self.cluster.task_ids(job):
            info = self.cluster.wait_for_task(job, task)
            assert info["exitCode"] == 0, info
            self.happened["requeued"] += info.get("requeueCount", 0)
            self.happened["retried"] += info.get("retryCount", 0)
        self._verify(queue, items)
        self.cluster.forget(job)
        return time.monotonic() - began

    def _strike(self, kind: str, delay: float, which: float) -> None:
        time.sleep(delay)
        name, met = kind, False
        if kind in ("kill", "term"):
            if workers := self.cluster.workers():
                met = self.cluster.signal_worker(workers[int(which * len(workers))], kind.upper())
        elif kind == "node":
            if nodes := self.cluster.node_containers():
                met = self.cluster.kill_node(nodes[int(which * len(nodes))])
        elif kind in FAULTS:
            match = "drill_steps" if kind in ("cut", "deadlock") else ""
            try:
                met = bool(self._inject(sql_fault(kind, times=2, match=match, seconds=8 * which)))
            except FaultRefused as error:
                if not isinstance(error.__cause__, ConnectionError | FileNotFoundError):
                    raise  # else the server was killed a moment ago
        elif self._may_kill_database():
            name, met = "database killed", self.cluster.kill_database()
        else:
            name, met = "database hung", self.cluster.pause_database(which * 7)
        with self._lock:
            self.happened[name if met else "missed"] += 1

    def _may_kill_database(self) -> bool:
        with self._lock:
            quiet = time.monotonic() - self._database_killed > QUIET
            if quiet:
                self._database_killed = time.monotonic()
            return quiet

    def _verify(self, queue: str, wanted: dict[str, dict[str, Any]]) -> None:
        items, steps = self.cluster.items(queue), self.cluster.steps(queue)
        ends = {key: ("dead", data["at"]) if "at" in data else ("done", STEPS) for key, data in wanted.items()}
        assert {key: item[:2] for key, item in items.items()} == ends, items
        assert steps == sorted((key, step) for key, (_, made) in ends.items() for step in range(made)), steps
        self.happened["items"] += len(wanted)
        self.happened["dead letters"] += sum("at" in data for data in wanted.values())
        self.happened["claims"] += sum(item[2] for item in items.values())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios.chaos", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".local"))
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    cluster = Cluster(given.home.resolve())
    chaos = Chaos(cluster)
    chaos.prepare()
    failed, began = [], time.monotonic()
    for seed in range(given.seed, given.seed + given.runs):
        try:
            took = chaos.run(seed)
        except Exception as error:  # the other seeds still tell something
            failed.append(seed)
            print(f"seed {seed}: FAILED: {type(error).__name__}: {error}", flush=True)
        else:
            print(f"seed {seed}: {took:.1f} s; so far {dict(chaos.happened)}", flush=True)
    good, took = given.runs - len(failed), time.monotonic() - began
    print(f"{good} of {given.runs} runs good in {took:.0f} s; failed: {failed or 'none'}; {dict(chaos.happened)}")
    cluster.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
