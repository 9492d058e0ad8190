"""The worker's real image on real nodes, through the Batch API: every exit code, every signal, and being terminated.

What Azure Batch sends to a container whose task is terminated is not documented. So both forms are shown: "term", a
guess, where the worker gives its item back; and "kill", the worst case, where the lease brings it back.
"""

from __future__ import annotations

import uuid

import pytest

from local.azure.executors import NODE_GATEWAY, TERMINATE_VARIABLE
from local.azure.identity import events
from tests.scenarios.checkout import Checkout
from tests.scenarios.cluster import DRILL, Cluster
from tests.scenarios.worker.refused_logins import REFUSALS
from worker.docker_worker.errors import Exit

pytestmark = pytest.mark.docker


# exit code, command, environment, words
CASES = [
    (0, "status", {}, ""),
    (64, "chek", {}, "invalid choice"),
    (65, "enqueue --queue q nothing.csv", {}, "cannot be read"),
    (70, "wait --seconds 1e300", {}, "a bug in the worker"),
    (68, "status --patience 0", {"SQL_SERVER": "no-such-host.invalid"}, "is not known"),
    (75, "status --patience 0", {"SQL_SERVER": "sql.azure.test,1"}, "does not answer on port 1"),
    (75, "status --patience 0", {"AZURE_CLIENT_ID": str(uuid.UUID(int=7))}, "no token for identity"),
    (77, "status", {"SQL_DATABASE": "master"}, "refused identity"),
    (77, "status", {"SQL_DATABASE": "nowhere"}, "'nowhere' has no user for it, or is not there"),
    (78, "status", {"SQL_DATABASE": ""}, "no SQL_DATABASE"),
    (78, "run --queue q", {}, "no handler is named"),
    (76, "status", {"SQL_SERVER": NODE_GATEWAY}, "is not trusted"),
]


@pytest.fixture(scope="module")
def cases_job(cluster: Cluster) -> str:
    """A job with a task for each of the cases, in their order."""
    port = cluster.outputs.sql_server.partition(",")[2]
    return cluster.submit_tasks(
        [
            # by the gateway it is the same server under a name that its certificate has not
            (
                command.split(),
                {name: value.replace(NODE_GATEWAY, f"{NODE_GATEWAY},{port}") for name, value in env.items()},
            )
            for _, command, env, _ in CASES
        ]
    )


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{code} {command}" for code, command, *_ in CASES])
def test_each_exit_code(cluster: Cluster, cases_job: str, number: int) -> None:
    code, _, _, words = CASES[number]
    assert words in cluster.end_of(cases_job, f"w{number}", expect=code)


def test_no_exit_code_is_without_a_case_on_a_node() -> None:
    assert {code for code, *_ in CASES} | {code for _, code, _ in REFUSALS} == set(Exit)


@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("INT", 130), ("HUP", 129)])
def test_a_signal_to_the_container_gives_the_item_back(cluster: Cluster, name: str, code: int) -> None:
    job, queue = cluster.start()
    [worker] = cluster.workers()
    cluster.signal_worker(worker, name)
    assert cluster.wait_for_task(job)["exitCode"] == code
    given_back = next(line for line in cluster.said(job) if line["event"] == "given_back")
    assert cluster.items(queue)["item"] == ("pending", given_back["step"], 1)
    assert cluster.steps(queue) == [("item", step) for step in range(given_back["step"])]


def test_a_second_signal_stops_at_once(cluster: Cluster) -> None:
    job, queue = cluster.start("--grace", "100", seconds=120, wait_for="claimed")
    [worker] = cluster.workers()
    while cluster.signal_worker(worker, "TERM"):
        pass
    assert cluster.wait_for_task(job)["exitCode"] == 143
    assert "a second signal, so at once" in cluster.text(job, file="stderr.txt")
    assert cluster.items(queue)["item"] == ("running", 0, 1)  # for the lease to bring back
    assert cluster.steps(queue) == []


def test_a_step_longer_than_the_grace_is_left_behind(cluster: Cluster) -> None:
    job, queue = cluster.start("--grace", "2", seconds=120, wait_for="claimed")
    [worker] = cluster.workers()
    cluster.signal_worker(worker, "TERM")
    assert cluster.wait_for_task(job)["exitCode"] == 143
    assert "did not end within 2 s" in cluster.text(job, file="stderr.txt")
    assert cluster.steps(queue) == []


def test_a_killed_container_is_137_and_its_retry_goes_on_where_it_was(cluster: Cluster) -> None:
    job, queue = cluster.start("--lease", "3", steps=8, seconds=0.5, retries=1)
    [worker] = cluster.workers()
    cluster.signal_worker(worker, "KILL")
    info = cluster.wait_for_task(job)
    assert (info["exitCode"], info["retryCount"]) == (0, 1)
    assert cluster.items(queue)["item"] == ("done", 8, 2)
    assert cluster.steps(queue) == [("item", step) for step in range(8)]


def test_the_nodes_notice_gives_the_item_back(cluster: Cluster) -> None:
    """Scheduled events through the node's own identity endpoint. That Batch's nodes get any is a guess."""
    job, queue = cluster.start()
    node = cluster.task(job)["nodeInfo"]["nodeId"]
    events.announce(cluster.paths, node, "Preempt")
    try:
        assert cluster.wait_for_task(job)["exitCode"] == 143
    finally:
        events.clear(cluster.paths)
    [notice] = [line for line in cluster.said(job) if line["event"] == "node_goes_away"]
    assert (notice["kind"], notice["machine"]) == ("Preempt", node)
    assert "stopped by the node's notice (Preempt)" in cluster.text(job, file="stderr.txt")
    assert cluster.items(queue)["item"][0] == "pending"


def test_terminating_the_task_with_term_gives_the_item_back_at_once(cluster: Cluster) -> None:
    job, queue = cluster.start()
    cluster.terminate(job)
    cluster.wait_for_task(job)
    assert cluster.items(queue)["item"][0] == "pending"
    assert "stopped by SIGTERM" in cluster.text(job, file="stderr.txt")


def test_terminating_the_task_with_kill_leaves_it_to_the_lease(deployed: Checkout, cluster: Cluster) -> None:
    deployed.module("local", "stop")
    started = deployed.run("env", f"{TERMINATE_VARIABLE}=kill", str(deployed.python), "-m", "local", "start")
    assert started.code == 0, started.text
    cluster.renew_nodes()
    job, queue = cluster.start("--lease", "3", steps=8, seconds=0.5)
    cluster.terminate(job)
    cluster.wait_for_task(job)
    assert cluster.items(queue)["item"][0] == "running"
    assert "stopped by" not in cluster.text(job, file="stderr.txt")
    cluster.run("run", "--queue", queue, "--until-empty", "--handler", DRILL)
    assert cluster.items(queue)["item"] == ("done", 8, 2)
    assert cluster.steps(queue) == [("item", step) for step in range(8)]


def test_a_preempted_nodes_item_is_resumed_by_the_requeued_task(cluster: Cluster) -> None:
    """The node dies with its container, the task is requeued without a retry of its own, the lease brings the item."""
    job, queue = cluster.start("--lease", "3", steps=12, seconds=0.3)
    node, _ = cluster.workers()[0]
    cluster.kill_node(node)
    info = cluster.wait_for_task(job)
    assert (info["exitCode"], info.get("retryCount", 0)) == (0, 0)
    assert info["requeueCount"] == 1
    assert cluster.items(queue)["item"] == ("done", 12, 2)
    assert cluster.steps(queue) == [("item", step) for step in range(12)]
