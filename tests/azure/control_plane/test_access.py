"""The access matrix: who may do what where, and what ARM says to those who may not."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.batch import BatchManagementClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.resource.resources import ResourceManagementClient

from local.azure.control_plane.access import Access, covers
from local.azure.control_plane.resources import Resource, Resources
from local.azure.control_plane.roles import ROLES
from local.azure.identity.directory import Directory
from local.azure.platform.store import Store
from tests.azure.running import RunningAzure

GROUP = "/subscriptions/s/resourceGroups/g"
BATCH = f"{GROUP}/providers/Microsoft.Batch/batchAccounts/b"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/r"
ROLE_ID = {role.name: role.id for role in ROLES}
PULL = "Microsoft.ContainerRegistry/registries/pull/read"
PUSH = "Microsoft.ContainerRegistry/registries/push/write"
JOBS = "Microsoft.Batch/batchAccounts/jobs/write"
POOLS = "Microsoft.Batch/batchAccounts/pools/write"
BLOB = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write"
ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
ASSIGNMENTS = "Microsoft.Authorization/roleAssignments/write"


def grant(resources: Resources, role: str, scope: str, principal: str = "P") -> str:
    """Record an assignment."""
    name = str(uuid.uuid4())
    kind = "Microsoft.Authorization/roleAssignments"
    resource_id = f"{scope}/providers/{kind}/{name}"
    properties = {"principalId": principal, "roleDefinitionId": ROLE_ID[role], "scope": scope}
    resources.put(Resource(resource_id, kind, name, properties=properties))
    return resource_id


@pytest.mark.parametrize(
    ("role", "operation", "data", "allowed"),
    [
        ("Owner", ASSIGNMENTS, False, True),
        ("Owner", JOBS, True, False),  # an Owner has no data actions
        ("Contributor", POOLS, False, True),
        ("Contributor", PUSH, False, True),
        ("Contributor", ASSIGN, False, True),
        ("Contributor", ASSIGNMENTS, False, False),
        ("Contributor", "microsoft.authorization/roleassignments/DELETE", False, False),
        ("Contributor", BLOB, True, False),
        ("Role Based Access Control Administrator", ASSIGNMENTS, False, True),
        ("Role Based Access Control Administrator", POOLS, False, False),
        ("Reader", "Microsoft.Batch/batchAccounts/read", False, True),
        ("Reader", POOLS, False, False),
        ("AcrPull", PULL, False, True),
        ("AcrPull", PUSH, False, False),
        ("AcrPush", PUSH, False, True),
        ("Azure Batch Data Contributor", JOBS, True, True),
        ("Azure Batch Data Contributor", POOLS, False, True),
        ("Azure Batch Job Submitter", JOBS, True, True),
        ("Azure Batch Job Submitter", POOLS, False, False),
        ("Azure Batch Job Submitter", "Microsoft.Batch/batchAccounts/read", False, False),
        ("Azure Batch Job Submitter", "Microsoft.Batch/batchAccounts/pools/read", False, True),
        ("Azure Batch Account Reader", "Microsoft.Batch/batchAccounts/read", False, True),
        ("Azure Batch Account Reader", "Microsoft.Batch/locations/quotas/read", False, True),
        ("Azure Batch Account Reader", "Microsoft.Batch/batchAccounts/jobs/read", True, True),
        ("Azure Batch Account Reader", JOBS, True, False),
        ("Azure Batch Account Contributor", "Microsoft.Batch/locations/quotas/read", False, True),
        ("Contributor", "Microsoft.Authorization/locks/delete", False, False),
        ("Locks Contributor", "Microsoft.Authorization/locks/delete", False, True),
        ("Locks Contributor", ASSIGNMENTS, False, False),
        ("Network Contributor", "Microsoft.Network/virtualNetworks/subnets/join/action", False, True),
        ("Monitoring Contributor", "Microsoft.Insights/actionGroups/write", False, True),
        ("Monitoring Contributor", POOLS, False, False),
        ("Container Registry Repository Reader", PULL, False, False),
        ("Storage Blob Data Contributor", BLOB, True, True),
        ("Storage Blob Data Reader", BLOB, True, False),
        ("Managed Identity Operator", ASSIGN, False, True),
    ],
)
def test_a_role_allows_exactly_its_actions(role: str, operation: str, data: bool, allowed: bool) -> None:
    resources = Resources(Store(None))
    access = Access(resources)
    grant(resources, role, GROUP)
    assert access.allows("p", operation, BATCH, data=data) is allowed


def test_a_role_holds_at_its_scope_and_below_only() -> None:
    resources = Resources(Store(None))
    access = Access(resources)
    grant(resources, "AcrPull", REGISTRY)
    assert access.allows("p", PULL, REGISTRY.upper())
    assert not access.allows("p", PULL, REGISTRY + "2")
    assert not access.allows("p", PULL, GROUP)
    assert not access.allows("somebody else", PULL, REGISTRY)
    assert covers("/", GROUP)


def test_removing_an_assignment_has_effect_at_once_and_after_a_restart() -> None:
    store = Store(None)
    resources = Resources(store)
    access = Access(resources)
    kept, removed = grant(resources, "AcrPull", REGISTRY), grant(resources, "AcrPush", REGISTRY)
    assert access.allows("P", PUSH, REGISTRY)
    resources.delete(removed)
    assert kept
    for one in (access, Access(Resources(store))):
        assert not one.allows("P", PUSH, REGISTRY)
        assert one.allows("P", PULL, REGISTRY)


def test_a_stranger_is_refused_in_arms_words(azure: RunningAzure, client: Callable[..., Any]) -> None:
    made = Directory(azure.cloud).create_application("stranger")
    stranger = client(ResourceManagementClient, azure.credential(made.client_id, made.secret))
    with pytest.raises(HttpResponseError, match="does not have authorization to perform action") as refused:
        stranger.resource_groups.create_or_update("rg1", {"location": "westeurope"})
    assert refused.value.status_code == 403
    assert refused.value.error is not None
    assert refused.value.error.code == "AuthorizationFailed"
    assert "Microsoft.Resources/subscriptions/resourceGroups/write" in refused.value.message
    assert list(stranger.resource_groups.list()) == []


def test_attaching_an_identity_needs_a_right_of_its_own(azure: RunningAzure, client: Callable[..., Any]) -> None:
    place = {"location": "westeurope"}
    client(ResourceManagementClient).resource_groups.create_or_update("rg1", place)
    identity = client(ManagedServiceIdentityClient).user_assigned_identities.create_or_update("rg1", "node", place)
    made = Directory(azure.cloud).create_application("batch admin")
    group = f"{azure.cloud.subscription_scope}/resourceGroups/rg1"
    grant(azure.cloud.resources, "Azure Batch Account Contributor", group, made.object_id)
    batch = client(BatchManagementClient, azure.credential(made.client_id, made.secret))
    body = {**place, "identity": {"type": "UserAssigned", "userAssignedIdentities": {identity.id: {}}}}
    with pytest.raises(HttpResponseError, match="LinkedAuthorizationFailed"):
        batch.batch_account.begin_create("rg1", "mybatch", body).result()
    grant(azure.cloud.resources, "Managed Identity Operator", identity.id, made.object_id)
    account = batch.batch_account.begin_create("rg1", "mybatch", body).result()
    assert account.identity.user_assigned_identities[identity.id].client_id == identity.client_id
