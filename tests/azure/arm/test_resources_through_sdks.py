"""ARM as the real management SDKs see it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.batch import BatchManagementClient
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient

from tests.azure.running import RunningAzure

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., Any]
PLACE = {"location": "westeurope"}
ACCOUNT = {"location": "West Europe", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}


def test_a_group_is_made_read_listed_and_deleted(azure: RunningAzure, client: Make) -> None:
    resources = client(ResourceManagementClient)
    made = resources.resource_groups.create_or_update("rg1", {"location": "West Europe", "tags": {"a": "b"}})
    assert (made.name, made.location, made.tags) == ("rg1", "westeurope", {"a": "b"})
    assert made.properties.provisioning_state == "Succeeded"
    assert resources.resource_groups.check_existence("RG1")
    assert [one.name for one in resources.resource_groups.list()] == ["rg1"]
    resources.resource_groups.begin_delete("rg1").result()
    assert not resources.resource_groups.check_existence("rg1")


def test_deleting_a_group_deletes_what_was_made_last_first(azure: RunningAzure, client: Make) -> None:
    resources, storage = client(ResourceManagementClient), client(StorageManagementClient)
    batch = client(BatchManagementClient)
    resources.resource_groups.create_or_update("rg1", PLACE)
    storage.storage_accounts.begin_create("rg1", "mystorage", ACCOUNT).result()
    storage.blob_containers.create("rg1", "mystorage", "job-a", {})
    batch.batch_account.begin_create("rg1", "mybatch", PLACE).result()
    batch.pool.create("rg1", "mybatch", "p1", {"vmSize": "STANDARD_D2S_V3"})
    order: list[str] = []
    for hooks in azure.hooks.values():
        hooks.calls = _Tagged(order)
    resources.resource_groups.begin_delete("rg1").result()
    assert order == ["p1", "mybatch", "job-a", "mystorage"]
    with pytest.raises(ResourceNotFoundError, match="ResourceGroupNotFound"):
        batch.batch_account.get("rg1", "mybatch")


class _Tagged(list[tuple[str, str]]):
    def __init__(self, order: list[str]) -> None:
        super().__init__()
        self._order = order

    def append(self, call: tuple[str, str]) -> None:
        self._order.append(call[1])


def test_a_storage_account_is_created_as_a_long_running_operation(azure: RunningAzure, client: Make) -> None:
    client(ResourceManagementClient).resource_groups.create_or_update("rg1", PLACE)
    storage = client(StorageManagementClient)
    statuses: list[int] = []
    poller = storage.storage_accounts.begin_create(
        "rg1", "mystorage", ACCOUNT, raw_response_hook=lambda answer: statuses.append(answer.http_response.status_code)
    )
    assert poller.result().properties.provisioning_state == "Succeeded"
    assert statuses[0] == 202
    assert storage.storage_accounts.list_keys("rg1", "mystorage").keys_property[0].key_name == "key1"
    assert storage.storage_accounts.get_properties("rg1", "mystorage").kind == "StorageV2"
    storage.storage_accounts.delete("rg1", "mystorage")
    storage.storage_accounts.delete("rg1", "mystorage")
    assert list(storage.storage_accounts.list()) == []


def test_a_registry_answers_201_and_is_deleted_through_its_operation(azure: RunningAzure, client: Make) -> None:
    client(ResourceManagementClient).resource_groups.create_or_update("rg1", PLACE)
    registries = client(ContainerRegistryManagementClient).registries
    body = {"location": "westeurope", "sku": {"name": "Basic"}, "properties": {"adminUserEnabled": False}}
    made = registries.begin_create("rg1", "myRegistry", body).result()
    assert made.name == "myRegistry"
    assert [one.name for one in registries.list_by_resource_group("rg1")] == ["myRegistry"]
    registries.begin_delete("rg1", "myregistry").result()
    assert list(registries.list()) == []


def test_a_pool_takes_numbers_as_strings_and_enums_in_any_case(azure: RunningAzure, client: Make) -> None:
    client(ResourceManagementClient).resource_groups.create_or_update("rg1", PLACE)
    batch = client(BatchManagementClient)
    batch.batch_account.begin_create("rg1", "mybatch", PLACE).result()
    body = {
        "properties": {
            "vmSize": "STANDARD_D2S_V3",
            "interNodeCommunication": "disabled",
            "scaleSettings": {"fixedScale": {"targetDedicatedNodes": "0"}},
        }
    }
    made = batch.pool.create("rg1", "mybatch", "p1", body)
    assert made.scale_settings.fixed_scale.target_dedicated_nodes == 0
    assert made.inter_node_communication == "Disabled"
    assert made.etag
    patched = batch.pool.update("rg1", "mybatch", "p1", {"properties": {"scaleSettings": {"fixedScale": {}}}})
    assert patched.vm_size == "STANDARD_D2S_V3"
    batch.pool.begin_delete("rg1", "mybatch", "p1").result()
    with pytest.raises(ResourceNotFoundError):
        batch.pool.get("rg1", "mybatch", "p1")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"location": "westeurope", "properties": {"autoStorag": {}}}, "Did you mean 'autoStorage'"),
        ({"location": "westeurope", "properties": {"poolAllocationMode": "Sometimes"}}, "allowed: BatchService"),
        ({"location": "westeurope", "properties": {"autoStorage": {}}}, "autoStorage.storageAccountId' is missing"),
        ({"location": "narnia"}, "LocationNotAvailableForResourceType"),
        ({}, "location"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused_by_name(client: Make, body: dict[str, Any], said: str) -> None:
    client(ResourceManagementClient).resource_groups.create_or_update("rg1", PLACE)
    batch = client(BatchManagementClient)
    with pytest.raises(HttpResponseError, match=said) as refused:
        batch.batch_account.begin_create("rg1", "mybatch", _raw(body)).result()
    assert refused.value.status_code == 400


def _raw(body: dict[str, Any]) -> Any:
    import io
    import json

    return io.BytesIO(json.dumps(body).encode())


def test_an_identity_keeps_its_principal_for_life(azure: RunningAzure, client: Make) -> None:
    client(ResourceManagementClient).resource_groups.create_or_update("rg1", PLACE)
    identities = client(ManagedServiceIdentityClient).user_assigned_identities
    first = identities.create_or_update("rg1", "node-id", PLACE)
    again = identities.create_or_update("rg1", "node-id", {**PLACE, "tags": {"x": "y"}})
    assert (first.principal_id, first.client_id) == (again.principal_id, again.client_id)
    assert first.tenant_id == azure.cloud.settings.tenant_id
    identities.delete("rg1", "node-id")


def test_an_identity_that_does_not_exist_cannot_be_attached(azure: RunningAzure, client: Make) -> None:
    client(ResourceManagementClient).resource_groups.create_or_update("rg1", PLACE)
    missing = (
        f"{azure.cloud.subscription_scope}/resourceGroups/rg1/providers/Microsoft.ManagedIdentity/"
        "userAssignedIdentities/nobody"
    )
    body = {**PLACE, "identity": {"type": "UserAssigned", "userAssignedIdentities": {missing: {}}}}
    with pytest.raises(HttpResponseError, match="FailedIdentityOperation"):
        client(BatchManagementClient).batch_account.begin_create("rg1", "mybatch", body).result()


def test_roles_are_found_by_name_and_assignments_never_change(azure: RunningAzure, client: Make) -> None:
    client(ResourceManagementClient).resource_groups.create_or_update("rg1", PLACE)
    roles = client(AuthorizationManagementClient)
    scope = f"{azure.cloud.subscription_scope}/resourceGroups/rg1"
    found = list(roles.role_definitions.list(scope, filter="roleName eq 'AcrPull'"))
    assert [one.name for one in found] == ["7f951dda-4ed3-4680-a7ca-43fe172d538d"]
    principal = str(uuid.uuid4())
    name, other = str(uuid.uuid4()), str(uuid.uuid4())
    body: dict[str, Any] = {"properties": {"roleDefinitionId": found[0].id, "principalId": principal}}
    with pytest.raises(HttpResponseError, match="PrincipalNotFound"):
        roles.role_assignments.create(scope, name, body)
    body["properties"]["principalType"] = "ServicePrincipal"
    made = roles.role_assignments.create(scope, name, body)
    assert (made.scope, made.principal_id) == (scope, principal)
    with pytest.raises(HttpResponseError, match="RoleAssignmentExists"):
        roles.role_assignments.create(scope, other, body)
    changed = {"properties": {**body["properties"], "principalId": str(uuid.uuid4())}}
    with pytest.raises(HttpResponseError, match="RoleAssignmentUpdateNotPermitted"):
        roles.role_assignments.create(scope, name, changed)
    assert [one.name for one in roles.role_assignments.list_for_scope(scope, filter="atScope()")].count(name) == 1
    roles.role_assignments.delete(scope, name)
    assert roles.role_assignments.delete(scope, name) is None


def test_lists_come_in_pages(azure: RunningAzure, client: Make) -> None:
    resources = client(ResourceManagementClient)
    for number in range(5):
        resources.resource_groups.create_or_update(f"rg{number}", PLACE)
    assert [one.name for one in resources.resource_groups.list(top=2)] == [f"rg{number}" for number in range(5)]


def test_a_creation_that_fails_leaves_nothing_and_says_why(azure: RunningAzure, client: Make) -> None:
    from local.azure.control_plane.errors import InvalidResourceName

    client(ResourceManagementClient).resource_groups.create_or_update("rg1", PLACE)
    azure.hooks["Microsoft.Storage/storageAccounts"].fail = InvalidResourceName("the disk is full")
    storage = client(StorageManagementClient)
    with pytest.raises(HttpResponseError, match="the disk is full"):
        storage.storage_accounts.begin_create("rg1", "mystorage", ACCOUNT).result()
    assert list(storage.storage_accounts.list()) == []
