"""Nodes that die, reboot, join and leave, and people who log in to one: through the service, on a pool of their own."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError

from tests.scenarios.deployed import rules_pool
from tests.scenarios.deployed.stack import Job, Stack, code_of

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def pool(stack: Stack) -> Iterator[str]:
    """A host pool with two nodes of one slot; its id."""
    pool_id = f"nodes-{uuid.uuid4().hex[:8]}"
    rules_pool.create(stack, pool_id, start=rules_pool.START, nodes=2, slots=1)
    stack.steady(pool_id, 2)
    yield pool_id
    rules_pool.delete(stack, pool_id)


@pytest.fixture(scope="module")
def job(stack: Stack, pool: str) -> Job:
    return stack.job(f"nodes-{uuid.uuid4().hex[:8]}", pool)


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout


def test_a_task_whose_node_dies_is_requeued_and_finished(stack: Stack, pool: str, job: Job) -> None:
    node = stack.nodes(pool)[0]
    job.add(
        "twice",
        # On the node that will be killed it never ends.
        f"/bin/sh -c 'echo run; case $AZ_BATCH_NODE_ID in {node.id}) exec sleep 1000;; esac'",
        affinity_info=models.BatchAffinityInfo(affinity_id=str(node.affinity_id)),
    )
    first = job.in_state("twice", "running")
    assert first.node_info is not None and first.node_info.node_id == node.id
    docker("kill", rules_pool.container_of(str(node.id)))
    ended = job.ended("twice")
    assert (ended.code, ended.execution.requeue_count, ended.execution.retry_count) == (0, 1, 0)
    assert ended.task.node_info is not None and ended.task.node_info.node_id != node.id
    assert ended.out == "run\n"
    stack.steady(pool, 2)  # the killed node came back


def test_a_reboot_runs_the_start_task_again_and_keeps_files(stack: Stack, pool: str, job: Job) -> None:
    done = job.run("before", "/bin/echo kept")
    assert done.task.node_info is not None
    node_id = str(done.task.node_info.node_id)
    before = stack.batch.get_node(pool, node_id)
    # Without options the SDK sends none at all (azure-sdk-for-python#46815); it has no public class for them.
    stack.batch.begin_reboot_node(pool, node_id, {"nodeRebootOption": "requeue"})  # type: ignore[arg-type]
    assert stack.batch.get_node(pool, node_id).state in ("rebooting", "starting", "waitingforstarttask", "idle")

    def rebooted(node: models.BatchNode) -> bool:
        assert before.last_boot_time is not None and before.start_task_info is not None
        if node.state != "idle" or node.last_boot_time is None or node.start_task_info is None:
            return False
        return (
            node.last_boot_time > before.last_boot_time
            and node.start_task_info.start_time > before.start_task_info.start_time
        )

    stack.until(lambda: stack.batch.get_node(pool, node_id), rebooted, "rebooted")
    assert done.out == "kept\n"


def test_a_pool_grows_when_it_is_resized(stack: Stack, pool: str) -> None:
    stack.batch.begin_resize_pool(pool, models.BatchPoolResizeOptions(target_dedicated_nodes=3))
    with pytest.raises(HttpResponseError) as resizing:
        stack.batch.begin_resize_pool(pool, models.BatchPoolResizeOptions(target_dedicated_nodes=1))
    assert code_of(resizing.value) == "PoolBeingResized"
    stack.steady(pool, 3)
    steady(stack, pool)


def test_a_removed_node_is_gone_with_its_container_and_its_tasks_cannot_be_reactivated(
    stack: Stack, pool: str, job: Job
) -> None:
    failed = job.run("fails", "/bin/false")
    assert failed.code == 1 and failed.task.node_info is not None
    node_id = str(failed.task.node_info.node_id)
    stack.batch.reactivate_task(job.id, "fails")  # while the node is there, it may
    again = job.ended("fails").task
    assert again.node_info is not None
    node_id = str(again.node_info.node_id)
    container = rules_pool.container_of(node_id)
    steady(stack, pool)
    stack.batch.begin_remove_nodes(pool, models.BatchNodeRemoveOptions(node_ids=[node_id]))
    left = stack.steady(pool, 2)
    assert node_id not in [node.id for node in left]
    steady(stack, pool)
    assert docker("ps", "--all", "--quiet", "--filter", f"name={container}$") == ""
    with pytest.raises(HttpResponseError) as gone:
        stack.batch.reactivate_task(job.id, "fails")
    assert gone.value.status_code == 409
    assert node_id in str(gone.value.response.text() if gone.value.response else "")
    with pytest.raises(HttpResponseError) as files:
        job.text("fails", "stdout.txt")
    assert files.value.status_code in (404, 409)


def test_a_user_made_through_the_service_logs_in_over_ssh(stack: Stack, pool: str, tmp_path: Path) -> None:
    node = stack.nodes(pool)[0]
    node_id, key = str(node.id), tmp_path / "key"
    image = docker("inspect", "--format", "{{.Image}}", rules_pool.container_of(node_id)).strip()
    # The node's image has ssh; this machine may have none. The host's network: it comes as a stranger comes.
    ssh = ["run", "--rm", "--network", "host", "--volume", f"{tmp_path}:{tmp_path}", "--entrypoint"]
    docker(*ssh, "ssh-keygen", image, "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    user = models.BatchNodeUserCreateOptions(
        name="operator", is_admin=True, ssh_public_key=key.with_suffix(".pub").read_text()
    )
    stack.batch.create_node_user(pool, node_id, user)
    where = stack.batch.get_node_remote_login_settings(pool, node_id)
    login = [
        *ssh,
        "ssh",
        image,
        "-i",
        str(key),
        "-p",
        str(where.remote_login_port),
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "BatchMode=yes",
        f"operator@{where.remote_login_ip_address}",
    ]
    assert docker(*login, "id -un; sudo -n id -un; ls /mnt/batch/tasks").split()[:2] == ["operator", "root"]
    stack.batch.delete_node_user(pool, node_id, "operator")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        docker(*login, "true")
    assert "Permission denied" in refused.value.stderr


def steady(stack: Stack, pool_id: str) -> None:
    stack.until(lambda: stack.batch.get_pool(pool_id).allocation_state, lambda state: state == "steady", "steady again")
