"""The short form of `make chaos`: a few seeds on real nodes. Whatever dies, every item is done once."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from tests.scenarios.chaos import FAULTS, KINDS, Chaos
from tests.scenarios.cluster import Cluster

ENOUGH = 3  # blows that met something
MOST_RUNS = 9
BLOWS = ("kill", "term", "node", "database killed", "database hung", *FAULTS)


@pytest.mark.docker
def test_every_item_is_done_once_on_nodes_that_die(cluster: Cluster) -> None:
    chaos = Chaos(cluster)
    runs = 0
    while sum(chaos.happened[blow] for blow in BLOWS) < ENOUGH:  # one may miss: its items were done before
        assert runs < MOST_RUNS, chaos.happened
        runs += 1
        chaos.run(seed=runs)
    assert chaos.happened["items"] >= 4 * runs
    cluster.wait("nodes after the chaos", cluster.nodes_idle)


class Paper:
    """A cluster on paper: work is done at once; what a blow comes to is the test's."""

    def __init__(self, blow: Any) -> None:
        self.blow = blow
        self.done = dict[str, tuple[str, int, int]]()

    def enqueue(self, _queue: str, items: dict[str, Any]) -> None:
        self.done = {
            key: ("dead", data["at"], 1) if "at" in data else ("done", data["steps"], 1) for key, data in items.items()
        }

    def items(self, _queue: str) -> dict[str, tuple[str, int, int]]:
        return self.done

    def steps(self, _queue: str) -> list[tuple[str, int]]:
        return sorted((key, step) for key, (_, steps, _) in self.done.items() for step in range(steps))

    def submit(self, *_: Any, **__: Any) -> str:
        return "job"

    def wait(self, _what: str, holds: Any) -> Any:
        return holds()

    def task_ids(self, _job: str) -> list[str]:
        return []

    def forget(self, _job: str) -> None: ...

    def workers(self) -> list[tuple[str, str]]:
        return [("node", "worker")]

    def node_containers(self) -> list[str]:
        return ["node"]

    def signal_worker(self, *_: Any) -> bool:
        return self.blow()

    kill_node = kill_database = pause_database = signal_worker


def fall_short() -> bool:
    return False


def go_wrong() -> bool:
    raise OSError("nobody expected this")


def on_paper(blow: Any) -> Counter[str]:
    chaos = Chaos(cast(Cluster, Paper(blow)), inject=lambda _: blow())
    chaos.run(seed=1)
    return chaos.happened


def test_a_blow_that_meets_nobody_is_not_counted() -> None:
    happened = on_paper(fall_short)
    assert happened["missed"] > 0
    assert not [blow for blow in (*KINDS, *BLOWS) if happened[blow]]


def test_a_blow_that_goes_wrong_fails_its_run() -> None:
    with pytest.raises(OSError, match="nobody expected this"):
        on_paper(go_wrong)
