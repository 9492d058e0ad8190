"""What ARM's accounts and pools do here."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from local.azure.batch import errors
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import Caller
from local.azure.platform.errors import AzureError
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, make_job

CALLER = Caller("principal", "client", "app", "audience")
ACCOUNTS, POOLS = "Microsoft.Batch/batchAccounts", "Microsoft.Batch/batchAccounts/pools"


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
        ({"publicNetworkAccess": "SecuredByPerimeter"}, "publicNetworkAccess"),
        (
            {"networkProfile": {"accountAccess": {"defaultAction": "Deny", "ipRules": [{"value": "10.0.0.300"}]}}},
            "value provided",
        ),
        ({"autoStorage": {"storageAccountId": "/nowhere"}}, "'/nowhere' does not exist"),
    ],
)
def test_an_account_that_cannot_work_is_refused(azure: LocalBatch, properties: dict[str, Any], words: str) -> None:
    with pytest.raises(AzureError, match=words):
        azure.account("other", **properties)


def test_auto_storage_by_identity_needs_the_identity_but_not_yet_its_role(azure: LocalBatch) -> None:
    storage = Resource(
        id=f"{azure.group}/providers/Microsoft.Storage/storageAccounts/linked",
        name="linked",
        type="Microsoft.Storage/storageAccounts",
    )
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
    identity = Resource(
        id=f"{azure.group}/providers/{kind}/account",
        type=kind,
        name="account",
        properties={"principalId": "44444444-4444-4444-4444-444444444444", "clientId": "c"},
    )
    for resource in (storage, identity):
        azure.do(azure.cloud.resources.put, resource)
    linked = {"storageAccountId": storage.id, "authenticationMode": "BatchAccountManagedIdentity"}
    account_id = f"{azure.group}/providers/{ACCOUNTS}/linked"
    with pytest.raises(errors.InvalidAutoStorage, match="no managed identity"):
        azure.put(ACCOUNTS, account_id, {"autoStorage": linked})
    assigned = {"type": "UserAssigned", "userAssignedIdentities": {identity.id: {}}}
    made = azure.put(ACCOUNTS, account_id, {"autoStorage": linked}, identity=assigned)
    assert hooks_of(azure, ACCOUNTS).view(made)["autoStorage"]["authenticationMode"] == "BatchAccountManagedIdentity"


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("vmSize", {"vmSize": "STANDARD_D4S_V3"}),
    ("taskSlotsPerNode", {"taskSlotsPerNode": 4}),
    ("taskSchedulingPolicy", {"taskSchedulingPolicy": {"nodeFillType": "Pack"}}),
    ("interNodeCommunication", {"interNodeCommunication": "Enabled"}),
    ("deploymentConfiguration", {"containers": True}),
    ("userAccounts", {"userAccounts": [{"name": "a", "password": "new"}]}),
    ("networkConfiguration", {"networkConfiguration": {"enableAcceleratedNetworking": True}}),
]


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=[name for name, _ in CHANGES])
def test_what_batch_cannot_change_in_a_pool_is_refused_by_name(
    azure: LocalBatch, name: str, change: dict[str, Any]
) -> None:
    base: dict[str, Any] = {
        "startTask": {"commandLine": "prepare"},
        "userAccounts": [{"name": "a", "password": "old"}],
    }
    azure.pool(**copy.deepcopy(base))
    azure.pool(**copy.deepcopy(base))
    with pytest.raises(errors.PropertyCannotBeUpdated) as caught:
        azure.pool(**copy.deepcopy(base | change))
    assert caught.value.details == (("PropertyName", name), ("PropertyPath", f"properties.{name}"))
    assert azure.client().get_pool("pool").vm_size == "standard_d2s_v3"


def test_what_can_change_changes_in_place(azure: LocalBatch) -> None:
    azure.pool(nodes=1)
    before = azure.node_ids()
    resource = azure.pool(nodes=2, metadata=[{"name": "a", "value": "b"}])
    azure.settle()
    assert azure.node_ids()[:1] == before and len(azure.node_ids()) == 2
    shown = hooks_of(azure, POOLS).view(resource)
    assert (shown["allocationState"], shown["currentDedicatedNodes"]) == ("Steady", 2)
    assert shown["scaleSettings"]["fixedScale"]["targetDedicatedNodes"] == 2
    status = shown["resizeOperationStatus"]
    assert (status["nodeDeallocationOption"], status["resizeTimeout"]) == ("Requeue", "PT15M")
    assert "targetLowPriorityNodes" not in status
    metadata = azure.client().get_pool("pool").metadata
    assert metadata is not None and metadata[0].value == "b"


def test_passwords_are_taken_out_of_the_resource_and_given_to_the_nodes(azure: LocalBatch) -> None:
    resource = azure.pool(nodes=1, userAccounts=[{"name": "admin", "password": "hush", "elevationLevel": "Admin"}])
    assert resource.properties["userAccounts"] == [{"name": "admin", "elevationLevel": "Admin"}]
    assert azure.executor.nodes[azure.node_ids()[0]].user_accounts[0].password == "hush"


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"applicationLicenses": ["x"]}, "application licenses"),
    ],
)
def test_what_a_pool_cannot_have_here_is_refused_by_name(
    azure: LocalBatch, properties: dict[str, Any], words: str
) -> None:
    with pytest.raises(errors.NotImplementedYet, match=words):
        azure.pool(**properties)


def machine(reference: dict[str, Any], agent: str = "batch.node.ubuntu 24.04") -> dict[str, Any]:
    return {"virtualMachineConfiguration": {"imageReference": reference, "nodeAgentSkuId": agent}}


GALLERY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/x/images/y/versions/1.0.0"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("vmSize", {"vmSize": "STANDARD_D2S_V33"}, "vmSize 'STANDARD_D2S_V33' is not supported"),
    ("vmSize", {"vmSize": "Standard_B2s"}, "'Standard_B2s' is not supported"),
    ("taskSlotsPerNode", {"taskSlotsPerNode": 1000}, "has 2 cores, so it has 1 to 8 task slots"),
    ("taskSlotsPerNode", {"taskSlotsPerNode": 0}, "1 to 8"),
    ("taskSlotsPerNode", {"taskSlotsPerNode": 257, "vmSize": "Standard_D96s_v5"}, "1 to 256"),
    ("targetDedicatedNodes", {"scaleSettings": {"fixedScale": {"targetDedicatedNodes": -1}}}, "less than 0"),
    ("targetLowPriorityNodes", {"scaleSettings": {"fixedScale": {"targetLowPriorityNodes": -1}}}, "less than 0"),
    ("resizeTimeout", {"scaleSettings": {"fixedScale": {"resizeTimeout": "PT4M59S"}}}, "between 5 minutes"),
    ("resizeTimeout", {"scaleSettings": {"fixedScale": {"resizeTimeout": "P8D"}}}, "7 days"),
    ("commandLine", {"startTask": {"commandLine": " "}}, "cannot be empty"),
    ("maxTaskRetryCount", {"startTask": {"commandLine": "x", "maxTaskRetryCount": -2}}, "less than -1"),
    (
        "imageReference",
        {"deploymentConfiguration": machine({"publisher": "a", "offer": "b", "sku": "c"}, "")},
        "The specified imageReference with publisher a offer b sku c is not supported.",
    ),
    ("imageReference", {"deploymentConfiguration": machine({"id": GALLERY, "publisher": "a"})}, "not both"),
    ("id", {"deploymentConfiguration": machine({"id": "/nowhere"})}, "not the id of a managed image"),
    ("nodeAgentSkuId", {"deploymentConfiguration": machine({"id": GALLERY}, "ubuntu")}, "'ubuntu' is not supported"),
    (
        "provision",
        {"networkConfiguration": {"publicIPAddressConfiguration": {"provision": "NoPublicIPAddresses"}}},
        "must be in a virtual network",
    ),
    (
        "ipAddressIds",
        {"networkConfiguration": {"publicIPAddressConfiguration": {"ipAddressIds": ["/x"]}}},
        "provisioning type UserManaged",
    ),
]


@pytest.mark.parametrize(("name", "properties", "reason"), REFUSED)
def test_a_value_that_batch_does_not_take_is_refused_by_its_name(
    azure: LocalBatch, name: str, properties: dict[str, Any], reason: str
) -> None:
    with pytest.raises(errors.InvalidPropertyValue) as caught:
        azure.pool(**properties)
    details = dict(caught.value.details)
    assert details["PropertyName"] == name
    assert details["PropertyPath"].startswith("properties.")
    assert reason in details["Reason"]
    assert caught.value.details[0][0] == "Reason"
    assert azure.cloud.store.count("batch.pool") == 0


@pytest.mark.parametrize(
    "properties",
    [
        {"vmSize": "standard_f4s_v2", "taskSlotsPerNode": 16},
        {"vmSize": "Standard_NC24ads_A100_v4"},
        {"deploymentConfiguration": machine({"id": GALLERY})},
        {"scaleSettings": {"fixedScale": {"targetDedicatedNodes": 0, "resizeTimeout": "PT5M"}}},
        {"startTask": {"commandLine": "x", "maxTaskRetryCount": -1}},
        {
            "networkConfiguration": {
                "subnetId": "/subnet",
                "publicIPAddressConfiguration": {"provision": "NoPublicIPAddresses"},
            },
        },
    ],
)
def test_what_batch_takes_is_taken(azure: LocalBatch, properties: dict[str, Any]) -> None:
    azure.pool(nodes=0, **properties)
    assert azure.cloud.store.count("batch.pool") == 1


def test_a_start_task_and_the_case_of_a_size_change_in_place(azure: LocalBatch) -> None:
    azure.pool(startTask={"commandLine": "one"})
    azure.pool(startTask={"commandLine": "two"}, vmSize="standard_d2s_v3")
    start_task = azure.client().get_pool("pool").start_task
    assert start_task is not None and start_task.command_line == "two"


def test_an_accounts_network_rules_and_private_endpoints_are_shown(azure: LocalBatch) -> None:
    rules = {"accountAccess": {"defaultAction": "Deny", "ipRules": [{"action": "Allow", "value": "203.0.113.0/24"}]}}
    account = azure.account("private", publicNetworkAccess="Disabled", networkProfile=rules)
    kind = "Microsoft.Network/privateEndpoints"
    endpoint = {"privateLinkServiceId": account.id.upper(), "groupIds": ["batchAccount"]}
    azure.do(
        azure.cloud.resources.put,
        Resource(
            f"{azure.group}/providers/{kind}/pe",
            kind,
            "pe",
            properties={"privateLinkServiceConnections": [{"name": "c", "properties": endpoint}]},
        ),
    )
    shown = hooks_of(azure, ACCOUNTS).view(account)
    assert shown["publicNetworkAccess"] == "Disabled"
    [connection] = shown["privateEndpointConnections"]
    assert connection["properties"]["privateEndpoint"]["id"].endswith("/pe")
    assert hooks_of(azure, ACCOUNTS).view(azure.account("other"))["privateEndpointConnections"] == []


def test_storage_keys_are_synchronised_without_a_word(azure: LocalBatch) -> None:
    storage = Resource(
        f"{azure.group}/providers/Microsoft.Storage/storageAccounts/s", "Microsoft.Storage/storageAccounts", "s"
    )
    azure.do(azure.cloud.resources.put, storage)
    account = azure.account("synced", autoStorage={"storageAccountId": storage.id})
    before = hooks_of(azure, ACCOUNTS).view(account)["autoStorage"]["lastKeySync"]
    assert azure.run(hooks_of(azure, ACCOUNTS).action(account, "syncAutoStorageKeys", {}, CALLER)) is None
    assert hooks_of(azure, ACCOUNTS).view(account)["autoStorage"]["lastKeySync"] != before
    with pytest.raises(errors.InvalidAutoStorage, match="no auto-storage account"):
        azure.run(hooks_of(azure, ACCOUNTS).action(azure.account("none"), "syncAutoStorageKeys", {}, CALLER))


def test_a_registry_identity_must_be_the_pools(azure: LocalBatch) -> None:
    registry = {"registryServer": "r", "identityReference": {"resourceId": "/stranger"}}
    wanted = machine({"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2404"})
    containers = {"type": "DockerCompatible", "containerRegistries": [registry]}
    wanted["virtualMachineConfiguration"]["containerConfiguration"] = containers
    with pytest.raises(errors.InvalidPropertyValue) as caught:
        azure.pool(deploymentConfiguration=wanted)
    assert "/stranger" in dict(caught.value.details)["Reason"]
