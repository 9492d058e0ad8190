"""The long chaos run: `make chaos`, or `python -m tests.scenarios.chaos --home HOME --runs 200 --seed 1`.

Needs a deployed local stack (`make up`). Each run draws from its seed: 2 to 4 workers, items, and what befalls them:
SIGKILL and SIGTERM to a worker's container, the death of a node, a database that is killed or hangs. At the end every
step of every item must be there once, and no item be anything but done.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from tests.scenarios.cluster import DRILL, Cluster

STEPS, SECONDS, LEASE = 5, 0.2, 4
KINDS = ("kill", "term", "node", "database")
QUIET = 65.0  # the supervisor restarts a child without limit only when it ran a minute


class Chaos:
    """Runs on one stack, and what happened in them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.happened = cluster, Counter[str]()
        self._database_killed = time.monotonic()

    def prepare(self) -> None:
        self.cluster.run("migrate", "--handler", DRILL)

    def run(self, seed: int) -> float:
        """One seeded run; its seconds. Raises AssertionError when anything is lost, doubled or stuck."""
        chance, began = random.Random(seed), time.monotonic()
        queue = f"chaos-{seed}-{int(time.time())}"
        items = {f"item-{number}": {"steps": STEPS, "seconds": SECONDS} for number in range(chance.randint(4, 8))}
        self.cluster.enqueue(queue, items)
        command = (
            "run",
            "--queue",
            queue,
            "--until-empty",
            "--lease",
            str(LEASE),
            "--max-attempts",
            "100",
            "--handler",
            DRILL,
        )
        job = self.cluster.submit([command] * chance.randint(2, 4), retries=-1, name="chaos")
        self.cluster.wait("a worker", lambda: self.cluster.steps(queue))
        blows = [
            threading.Thread(target=self._strike, args=(chance.choice(KINDS), chance.uniform(0, 2), chance.random()))
            for _ in range(chance.randint(1, 3))
        ]
        for blow in blows:
            blow.start()
        for blow in blows:
            blow.join()
        for task in self.cluster.task_ids(job):
            info = self.cluster.wait_for_task(job, task)
            assert info["exitCode"] == 0, info
            self.happened["requeued"] += info.get("requeueCount", 0)
            self.happened["retried"] += info.get("retryCount", 0)
        self._verify(queue, set(items))
        self.cluster.forget(job)
        return time.monotonic() - began

    def _strike(self, kind: str, delay: float, which: float) -> None:
        time.sleep(delay)
        if kind in ("kill", "term"):
            if workers := self.cluster.workers():
                self.cluster.signal_worker(workers[int(which * len(workers))], kind.upper())
                self.happened[kind] += 1
        elif kind == "node":
            if nodes := self.cluster.node_containers():
                self.cluster.kill_node(nodes[int(which * len(nodes))])
                self.happened[kind] += 1
        elif time.monotonic() - self._database_killed > QUIET:
            self._database_killed = time.monotonic()
            self.cluster.kill_database()
            self.happened["database killed"] += 1
        else:
            self.cluster.pause_database(which * 7)
            self.happened["database hung"] += 1

    def _verify(self, queue: str, keys: set[str]) -> None:
        items, steps = self.cluster.items(queue), self.cluster.steps(queue)
        assert {key: item[:2] for key, item in items.items()} == dict.fromkeys(keys, ("done", STEPS)), items
        assert steps == sorted((key, step) for key in keys for step in range(STEPS)), steps
        self.happened["items"] += len(keys)
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
        except AssertionError as error:
            failed.append(seed)
            print(f"seed {seed}: FAILED: {error}", flush=True)
        else:
            print(f"seed {seed}: {took:.1f} s; so far {dict(chaos.happened)}", flush=True)
    good, took = given.runs - len(failed), time.monotonic() - began
    print(f"{good} of {given.runs} runs good in {took:.0f} s; failed: {failed or 'none'}; {dict(chaos.happened)}")
    cluster.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
