"""The service is stopped without warning and started again on the same state; nodes live on."""

from __future__ import annotations

from azure.core.rest import HttpRequest

from local.azure.control_plane.resources import Resource
from local.node.contract import Identity
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, make_job


def test_waiting_and_running_work_goes_on(manual: LocalBatch) -> None:
    manual.pool(nodes=1)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    client = manual.client()
    make_job(client)
    add(client, "runs", "waits")
    manual.settle()
    run = manual.executor.run_of("runs")
    manual.do(manual.executor.begin, run)
    manual.restart()
    assert manual.client().get_task("job", "runs").state == "running"
    assert manual.executor.starts == [run]
    manual.do(manual.executor.end, run, 0)
    assert manual.client().get_task("job", "runs").state == "completed"
    assert manual.client().get_task("job", "waits").state == "preparing"


def test_a_run_that_ended_meanwhile_is_picked_up(manual: LocalBatch) -> None:
    manual.pool(nodes=1)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    client = manual.client()
    make_job(client, all_tasks_complete_mode="terminatejob")
    add(client, "t")
    manual.settle()
    run = manual.executor.run_of("t")
    manual.stop()
    manual.executor.end(run, 0)
    manual._open()
    manual.settle()
    info = manual.client().get_task("job", "t").execution_info
    assert info is not None and info.result == "success"
    assert manual.client().get_job("job").state == "completed"


def test_what_was_begun_is_finished(manual: LocalBatch) -> None:
    """A node that leaves and a job that terminates while the service dies."""
    manual.pool(nodes=2)
    for node in manual.node_ids():
        manual.do(manual.executor.node_up, node)
    client = manual.client()
    make_job(client)
    add(client, "t")
    manual.settle()
    node = client.get_task("job", "t").node_info
    assert node is not None and node.node_id is not None
    manual.executor.unreachable.add(node.node_id)

    async def silent(node_id: str, run_id: str) -> None:
        """The order to end does not arrive."""

    arrives = manual.executor.terminate_run
    manual.executor.terminate_run = silent  # type: ignore[method-assign]
    address = f"{manual.endpoint()}/jobs/job/terminate?api-version=2025-06-01"
    assert client.send_request(HttpRequest("POST", address)).status_code == 202
    assert client.get_job("job").state == "terminating"
    manual.executor.terminate_run = arrives  # type: ignore[method-assign]
    manual.executor.unreachable.clear()
    manual.restart()
    assert manual.client().get_job("job").state == "completed"


def test_ports_and_keys_stay(azure: LocalBatch) -> None:
    azure.account("keyed", allowedAuthenticationModes=None)
    before = (azure.endpoint("keyed"), azure.key("keyed").named_key.key)
    azure.restart()
    assert (azure.endpoint("keyed"), azure.key("keyed").named_key.key) == before


def test_a_pools_identities_are_known_for_its_nodes_only(azure: LocalBatch) -> None:
    identity_id = f"{azure.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/node"
    facts = {"clientId": "client-id", "principalId": "principal-id"}
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
    azure.do(azure.cloud.resources.put, Resource(id=identity_id, type=kind, name="node", properties=facts))
    azure.pool(nodes=1, identity={"type": "UserAssigned", "userAssignedIdentities": {identity_id: {}}})
    expected = Identity(resource_id=identity_id, client_id="client-id", principal_id="principal-id")
    azure.restart()
    assert azure.service.node_identities(azure.node_ids()[0]) == (expected,)
    assert azure.service.node_identities("nobody") == ()


def test_a_node_that_cannot_be_made_again_gives_its_tasks_back(manual: LocalBatch) -> None:
    manual.pool(nodes=1)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    client = manual.client()
    make_job(client)
    add(client, "t")
    manual.settle()

    async def fail(spec: object) -> None:
        raise RuntimeError("the engine is gone")

    manual.executor.create_node = fail  # type: ignore[method-assign]
    manual.restart()
    task = manual.client().get_task("job", "t")
    assert task.state == "active" and task.execution_info is not None and task.execution_info.requeue_count == 1
    assert manual.executor.nodes == {} and list(manual.client().list_nodes("pool")) == []
