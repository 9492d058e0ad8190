"""The worker's real image on real nodes, through the Batch API: every exit code, every signal, and being terminated.

What Azure Batch sends to a container whose task is terminated is not documented. So both forms are shown: "term", a
guess, where the worker gives its item back; and "kill", the worst case, where the lease brings it back.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from local.azure.executors import NODE_GATEWAY, TERMINATE_VARIABLE
from tests.scenarios.checkout import Checkout
from tests.scenarios.cluster import DRILL, Cluster

pytestmark = pytest.mark.docker


class Armed(Checkout):
    """A checkout with more environment for what it starts."""

    more: dict[str, str] = {}  # noqa: RUF012 - set on the instance

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | self.more


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Armed]:
    made = Armed(tmp_path_factory.mktemp("clone"))
    made.module("local", "tour")
    yield made
    made.run(str(made.python), "-m", "local", "reset", "--yes")


@pytest.fixture(scope="module")
def cluster(place: Armed) -> Iterator[Cluster]:
    made = Cluster(place.home)
    made.run("migrate", "--handler", DRILL)
    yield made
    made.close()


def started(cluster: Cluster, *words: str, seconds: float = 0.2, steps: int = 2000) -> tuple[str, str]:
    """A job with one worker that is in the middle of an item; job and queue."""
    queue = f"q-{uuid.uuid4().hex[:8]}"
    cluster.enqueue(queue, {"item": {"steps": steps, "seconds": seconds}})
    job = cluster.submit([("run", "--queue", queue, "--until-empty", "--handler", DRILL, *words)])
    cluster.wait("a step", lambda: cluster.steps(queue))
    return job, queue


def said(cluster: Cluster, job: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cluster.text(job).splitlines()]


@pytest.mark.parametrize(
    ("code", "command", "environment", "words"),
    [
        (0, "status", {}, ""),
        (64, "chek", {}, "invalid choice"),
        (65, "enqueue --queue q nothing.csv", {}, "cannot be read"),
        (70, "wait --seconds 1e300", {}, "a bug in the worker"),
        (68, "status --patience 0", {"SQL_SERVER": "no-such-host.invalid"}, "is not known"),
        (75, "status --patience 0", {"SQL_SERVER": "sql.azure.test,1"}, "does not answer on port 1"),
        (75, "status --patience 0", {"AZURE_CLIENT_ID": str(uuid.UUID(int=7))}, "no token for identity"),
        (77, "status", {"SQL_DATABASE": "master"}, "refused identity"),
        (78, "status", {"SQL_DATABASE": ""}, "no SQL_DATABASE"),
        (78, "run --queue q", {}, "no handler is named"),
        (76, "status", {"SQL_SERVER": NODE_GATEWAY}, "is not trusted"),
    ],
)
def test_each_exit_code(cluster: Cluster, code: int, command: str, environment: dict[str, str], words: str) -> None:
    if environment.get("SQL_SERVER") == NODE_GATEWAY:  # the same server under a name that its certificate has not
        environment = {"SQL_SERVER": f"{NODE_GATEWAY},{cluster.outputs.sql_server.partition(',')[2]}"}
    assert words in cluster.run(*command.split(), expect=code, **environment)


@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("INT", 130), ("HUP", 129)])
def test_a_signal_to_the_container_gives_the_item_back(cluster: Cluster, name: str, code: int) -> None:
    job, queue = started(cluster)
    [worker] = cluster.workers()
    cluster.signal_worker(worker, name)
    assert cluster.wait_for_task(job)["exitCode"] == code
    given_back = next(line for line in said(cluster, job) if line["event"] == "given_back")
    assert cluster.items(queue)["item"] == ("pending", given_back["step"], 1)
    assert cluster.steps(queue) == [("item", step) for step in range(given_back["step"])]


def test_terminating_the_task_with_term_gives_the_item_back_at_once(cluster: Cluster) -> None:
    job, queue = started(cluster)
    cluster.terminate(job)
    cluster.wait_for_task(job)
    assert cluster.items(queue)["item"][0] == "pending"
    assert "stopped by SIGTERM" in cluster.text(job, file="stderr.txt")


def test_terminating_the_task_with_kill_leaves_it_to_the_lease(place: Armed, cluster: Cluster) -> None:
    place.module("local", "stop")
    place.more = {TERMINATE_VARIABLE: "kill"}
    place.module("local", "start")
    cluster.renew_nodes()
    job, queue = started(cluster, "--lease", "3", steps=8, seconds=0.5)
    cluster.terminate(job)
    cluster.wait_for_task(job)
    assert cluster.items(queue)["item"][0] == "running"
    assert "stopped by" not in cluster.text(job, file="stderr.txt")
    cluster.run("run", "--queue", queue, "--until-empty", "--handler", DRILL)
    assert cluster.items(queue)["item"] == ("done", 8, 2)
    assert cluster.steps(queue) == [("item", step) for step in range(8)]


def test_a_preempted_nodes_item_is_resumed_by_the_requeued_task(cluster: Cluster) -> None:
    """The node dies with its container, the task is requeued without a retry of its own, the lease brings the item."""
    job, queue = started(cluster, "--lease", "3", steps=12, seconds=0.3)
    node, _ = cluster.workers()[0]
    cluster.kill_node(node)
    info = cluster.wait_for_task(job)
    assert (info["exitCode"], info.get("retryCount", 0)) == (0, 0)
    assert info["requeueCount"] == 1
    assert cluster.items(queue)["item"] == ("done", 12, 2)
    assert cluster.steps(queue) == [("item", step) for step in range(12)]
