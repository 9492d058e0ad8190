"""What ARM's accounts and pools do here."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from local.azure.batch import errors
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import Caller
from local.azure.platform.errors import AzureError
from tests.azure.batch.conftest import LocalBatch
from tests.azure.batch.data_plane.test_jobs import add, make_job

CALLER = Caller("principal", "client", "app", "audience")
ACCOUNTS, POOLS = "Microsoft.Batch/batchAccounts", "Microsoft.Batch/batchAccounts/pools"
BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"


def hooks_of(azure: LocalBatch, type_: str) -> Any:
    return azure.cloud.types.get(type_).hooks


def test_an_account_shows_its_bare_endpoint_and_azures_defaults(azure: LocalBatch) -> None:
    account = azure.cloud.resources.by_name(ACCOUNTS, "mybatch")
    assert account is not None
    shown = hooks_of(azure, ACCOUNTS).view(account)
    assert shown["accountEndpoint"] == azure.endpoint().removeprefix("https://")
    assert (shown["poolAllocationMode"], shown["allowedAuthenticationModes"]) == ("BatchService", ["AAD"])


def test_keys_are_listed_and_renewed_only_where_they_may_be_used(azure: LocalBatch) -> None:
    hooks = hooks_of(azure, ACCOUNTS)
    keyed = azure.account("keyed", allowedAuthenticationModes=None)
    keys = azure.run(hooks.action(keyed, "listKeys", {}, CALLER))
    assert keys["accountName"] == "keyed" and keys["primary"] != keys["secondary"]
    renewed = azure.run(hooks.action(keyed, "regenerateKeys", {"keyName": "Primary"}, CALLER))
    assert renewed["primary"] != keys["primary"] and renewed["secondary"] == keys["secondary"]
    entra = azure.cloud.resources.by_name(ACCOUNTS, "mybatch")
    with pytest.raises(errors.SharedKeyNotAllowed):
        azure.run(hooks.action(entra, "listKeys", {}, CALLER))


def test_a_deleted_account_leaves_nothing_behind(azure: LocalBatch) -> None:
    azure.pool(nodes=2)
    make_job(azure.client())
    add(azure.client(), "t")
    account = azure.cloud.resources.by_name(ACCOUNTS, "mybatch")
    azure.run(hooks_of(azure, ACCOUNTS).delete(account))
    assert azure.executor.nodes == {}
    assert not any(azure.cloud.store.count(f"batch.{kind}") for kind in ("job", "task", "pool", "node", "keys"))
    assert "batch/mybatch" not in azure.cloud.ports.names()


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"poolAllocationMode": "UserSubscription"}, "UserSubscription"),
        ({"publicNetworkAccess": "Disabled"}, "publicNetworkAccess"),
        ({"autoStorage": {"storageAccountId": "/nowhere"}}, "'/nowhere' does not exist"),
    ],
)
def test_an_account_that_cannot_work_is_refused(azure: LocalBatch, properties: dict[str, Any], words: str) -> None:
    with pytest.raises(AzureError, match=words):
        azure.account("other", **properties)


def test_auto_storage_by_identity_needs_the_identity_and_its_role(azure: LocalBatch) -> None:
    storage = Resource(
        id=f"{azure.group}/providers/Microsoft.Storage/storageAccounts/linked", name="linked",
        type="Microsoft.Storage/storageAccounts",
    )  # fmt: skip
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
    identity = Resource(
        id=f"{azure.group}/providers/{kind}/account", type=kind, name="account",
        properties={"principalId": "44444444-4444-4444-4444-444444444444", "clientId": "c"},
    )  # fmt: skip
    for resource in (storage, identity):
        azure.do(azure.cloud.resources.put, resource)
    linked = {"storageAccountId": storage.id, "authenticationMode": "BatchAccountManagedIdentity"}
    account_id = f"{azure.group}/providers/{ACCOUNTS}/linked"
    with pytest.raises(errors.InvalidAutoStorage, match="no managed identity"):
        azure.put(ACCOUNTS, account_id, {"autoStorage": linked})
    assigned = {"type": "UserAssigned", "userAssignedIdentities": {identity.id: {}}}
    with pytest.raises(errors.AutoStorageAuthorizationFailed, match="Storage Blob Data Contributor"):
        azure.put(ACCOUNTS, account_id, {"autoStorage": linked}, identity=assigned)
    azure.grant("44444444-4444-4444-4444-444444444444", BLOB_CONTRIBUTOR, storage.id)
    made = azure.put(ACCOUNTS, account_id, {"autoStorage": linked}, identity=assigned)
    assert hooks_of(azure, ACCOUNTS).view(made)["autoStorage"]["authenticationMode"] == "BatchAccountManagedIdentity"


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("vmSize", {"vmSize": "STANDARD_D4S_V3"}),
    ("taskSlotsPerNode", {"taskSlotsPerNode": 4}),
    ("taskSchedulingPolicy", {"taskSchedulingPolicy": {"nodeFillType": "Pack"}}),
    ("interNodeCommunication", {"interNodeCommunication": "Enabled"}),
    ("deploymentConfiguration", {"containers": True}),
    ("startTask", {"startTask": {"commandLine": "other"}}),
    ("userAccounts", {"userAccounts": [{"name": "a", "password": "new"}]}),
    ("networkConfiguration", {"networkConfiguration": {"enableAcceleratedNetworking": True}}),
]


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=[name for name, _ in CHANGES])
def test_what_batch_cannot_change_in_a_pool_is_refused_by_name(
    azure: LocalBatch, name: str, change: dict[str, Any]
) -> None:
    base: dict[str, Any] = {
        "startTask": {"commandLine": "prepare"}, "userAccounts": [{"name": "a", "password": "old"}],
    }  # fmt: skip
    azure.pool(**copy.deepcopy(base))
    azure.pool(**copy.deepcopy(base))
    with pytest.raises(errors.PropertyCannotBeUpdated) as caught:
        azure.pool(**copy.deepcopy(base | change))
    assert caught.value.details == (("PropertyName", name),)
    assert azure.client().get_pool("pool").vm_size == "STANDARD_D2S_V3"


def test_what_can_change_changes_in_place(azure: LocalBatch) -> None:
    azure.pool(nodes=1)
    before = azure.node_ids()
    resource = azure.pool(nodes=2, metadata=[{"name": "a", "value": "b"}])
    azure.settle()
    assert azure.node_ids()[:1] == before and len(azure.node_ids()) == 2
    shown = hooks_of(azure, POOLS).view(resource)
    assert (shown["allocationState"], shown["currentDedicatedNodes"]) == ("Steady", 2)
    assert shown["scaleSettings"]["fixedScale"]["targetDedicatedNodes"] == 2
    metadata = azure.client().get_pool("pool").metadata
    assert metadata is not None and metadata[0].value == "b"


def test_passwords_are_taken_out_of_the_resource_and_given_to_the_nodes(azure: LocalBatch) -> None:
    resource = azure.pool(nodes=1, userAccounts=[{"name": "admin", "password": "hush", "elevationLevel": "Admin"}])
    assert resource.properties["userAccounts"] == [{"name": "admin", "elevationLevel": "Admin"}]
    assert azure.executor.nodes[azure.node_ids()[0]].user_accounts[0].password == "hush"


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"applicationPackages": [{"id": "x"}]}, "application packages"),
        ({"networkConfiguration": {"subnetId": "/x"}}, "virtual networks"),
    ],
)
def test_what_a_pool_cannot_have_here_is_refused_by_name(
    azure: LocalBatch, properties: dict[str, Any], words: str
) -> None:
    with pytest.raises(errors.NotImplementedYet, match=words):
        azure.pool(**properties)


def test_an_unknown_image_is_refused_with_the_known_ones(azure: LocalBatch) -> None:
    machine = {"imageReference": {"publisher": "canonical", "offer": "x", "sku": "y"}, "nodeAgentSkuId": "z"}
    with pytest.raises(errors.InvalidPropertyValue, match="ubuntu-hpc/2404"):
        azure.pool(deploymentConfiguration={"virtualMachineConfiguration": machine})


def test_a_registry_identity_must_be_the_pools(azure: LocalBatch) -> None:
    registry = {"registryServer": "r", "identityReference": {"resourceId": "/stranger"}}
    machine = {
        "imageReference": {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2404"},
        "nodeAgentSkuId": "batch.node.ubuntu 24.04",
        "containerConfiguration": {"type": "DockerCompatible", "containerRegistries": [registry]},
    }
    with pytest.raises(errors.InvalidPropertyValue, match="/stranger"):
        azure.pool(deploymentConfiguration={"virtualMachineConfiguration": machine})
