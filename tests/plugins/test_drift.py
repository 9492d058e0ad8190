"""Drift: what was deleted or changed behind Pulumi's back is seen by a refresh and healed by the next update.

The stand-in of azure-native against a running local ARM, one row for each type that a program may have. A refresh is
`read` with what the engine has; an update then compares the program's inputs with those that `read` returned. The image
is in `test_docker_answers.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.azure.control_plane.resource_types import Types
from local.plugins.azure_native.arm_client import ArmClient, parsed
from local.plugins.azure_native.provider import AzureNative
from local.plugins.azure_native.resources import TYPES, resource_type
from local.plugins.protocol.log import EngineLog
from local.plugins.protocol.provider import Naming, Target
from tests.azure.running import RunningAzure

IN = {"resourceGroupName": "rg"}
LOCATION = {"location": "westeurope"}
PRINCIPAL = "11111111-1111-4111-8111-111111111111"
ROLE = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
GROUP = "{sub}/resourceGroups/rg"
REGISTRY = GROUP + "/providers/Microsoft.ContainerRegistry/registries/myreg"
ACCOUNT = GROUP + "/providers/Microsoft.Batch/batchAccounts/mybatch"
SUBNET = GROUP + "/providers/Microsoft.Network/virtualNetworks/net/subnets/one"
ZONE = GROUP + "/providers/Microsoft.Network/privateDnsZones/privatelink.azurecr.io"
WORKSPACE = GROUP + "/providers/Microsoft.OperationalInsights/workspaces/logs"
ACTIONS = GROUP + "/providers/Microsoft.Insights/actionGroups/oncall"


@dataclass(frozen=True)
class Row:
    """A resource: its inputs, and a change of its body (path with slashes -> value) made by somebody else.

    Without a change where ARM changes nothing after the creation.
    """

    inputs: dict[str, Any]
    change: tuple[str, Any] | None


CRITERIA = {
    "odataType": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
    "allOf": [{
        "name": "one", "metricName": "UnusableNodeCount", "operator": "GreaterThan", "threshold": 0,
        "timeAggregation": "Total", "criterionType": "StaticThresholdCriterion",
    }],
}  # fmt: skip
TAGS = ("tags", {"by": "somebody"})
ROWS: dict[str, Row] = {  # in the order of their dependencies
    "resources:ResourceGroup": Row({**IN, **LOCATION}, TAGS),
    "managedidentity:UserAssignedIdentity": Row({**IN, **LOCATION, "resourceName": "nodes"}, TAGS),
    "managedidentity:FederatedIdentityCredential": Row(
        {**IN, "resourceName": "nodes", "federatedIdentityCredentialResourceName": "build", "issuer": "https://ci.example",
         "subject": "ours", "audiences": ["api://AzureADTokenExchange"]},
        ("properties/subject", "somebody's"),
    ),
    "keyvault:Vault": Row(
        {**IN, **LOCATION, "vaultName": "my-vault",
         "properties": {"tenantId": PRINCIPAL, "sku": {"family": "A", "name": "standard"}}},
        TAGS,
    ),
    "keyvault:Key": Row({**IN, "vaultName": "my-vault", "keyName": "state", "properties": {"kty": "RSA"}}, None),
    "containerregistry:Registry": Row(
        {**IN, **LOCATION, "registryName": "myreg", "sku": {"name": "Premium"}, "adminUserEnabled": False},
        ("properties/adminUserEnabled", True),
    ),
    "storage:StorageAccount": Row(
        {**IN, **LOCATION, "accountName": "mystore", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2",
         "allowBlobPublicAccess": False},
        ("properties/allowBlobPublicAccess", True),
    ),
    "storage:BlobServiceProperties": Row(
        {**IN, "accountName": "mystore", "blobServicesName": "default", "isVersioningEnabled": True},
        ("properties/isVersioningEnabled", False),
    ),
    "storage:BlobContainer": Row(
        {**IN, "accountName": "mystore", "containerName": "job-a", "metadata": {"a": "b"}},
        ("properties/metadata", {"a": "c"}),
    ),
    "batch:BatchAccount": Row(
        {**IN, **LOCATION, "accountName": "mybatch", "allowedAuthenticationModes": ["AAD"]},
        ("properties/allowedAuthenticationModes", ["AAD", "SharedKey"]),
    ),
    "batch:Pool": Row(
        {**IN, "accountName": "mybatch", "poolName": "p1", "vmSize": "STANDARD_D2S_V3", "taskSlotsPerNode": 2,
         "scaleSettings": {"fixedScale": {"targetDedicatedNodes": 1}}},
        ("properties/scaleSettings/fixedScale/targetDedicatedNodes", 3),
    ),
    "authorization:RoleAssignment": Row(
        {"scope": REGISTRY, "roleAssignmentName": "22222222-2222-4222-8222-222222222222", "principalId": PRINCIPAL,
         "principalType": "ServicePrincipal", "roleDefinitionId": ROLE, "description": "for nodes"},
        ("properties/description", "for somebody"),
    ),
    "monitor:ActionGroup": Row(
        {**IN, "location": "global", "actionGroupName": "oncall", "groupShortName": "oncall", "enabled": True,
         "emailReceivers": [{"name": "a", "emailAddress": "a@example.org"}]},
        ("properties/emailReceivers/0/emailAddress", "b@example.org"),
    ),
    "monitor:DiagnosticSetting": Row(
        {"resourceUri": ACCOUNT, "name": "logs", "workspaceId": WORKSPACE,
         "logs": [{"categoryGroup": "allLogs", "enabled": True}]},
        ("properties/logs/0/enabled", False),
    ),
    "monitor:MetricAlert": Row(
        {**IN, "location": "global", "ruleName": "nodes", "severity": 2, "enabled": True, "scopes": [ACCOUNT],
         "evaluationFrequency": "PT5M", "windowSize": "PT5M", "criteria": CRITERIA,
         "actions": [{"actionGroupId": ACTIONS}]},
        ("properties/criteria/allOf/0/threshold", 10),
    ),
    "monitor:ScheduledQueryRule": Row(
        {**IN, **LOCATION, "ruleName": "starts", "severity": 2, "enabled": True, "scopes": [WORKSPACE],
         "evaluationFrequency": "PT5M", "windowSize": "PT5M", "actions": {"actionGroups": [ACTIONS]},
         "criteria": {"allOf": [
             {"query": "x", "timeAggregation": "Count", "operator": "GreaterThan", "threshold": 0},
         ]}},
        ("properties/criteria/allOf/0/query", "y"),
    ),
    "monitor:ActivityLogAlert": Row(
        {**IN, "location": "global", "activityLogAlertName": "health", "scopes": ["{sub}"],
         "condition": {"allOf": [{"field": "category", "equals": "ServiceHealth"}]},
         "actions": {"actionGroups": [{"actionGroupId": ACTIONS}]}, "enabled": True},
        ("properties/enabled", False),
    ),
    "consumption:Budget": Row(
        {"scope": GROUP, "budgetName": "month", "amount": 100, "category": "Cost", "timeGrain": "Monthly",
         "timePeriod": {"startDate": "2026-12-01T00:00:00Z"}},
        ("properties/amount", 1),
    ),
    "network:PrivateEndpoint": Row(
        {**IN, **LOCATION, "privateEndpointName": "pe", "subnet": {"id": SUBNET},
         "privateLinkServiceConnections": [{"name": "c", "privateLinkServiceId": REGISTRY, "groupIds": ["registry"]}]},
        TAGS,
    ),
    "network:PrivateDnsZoneGroup": Row(
        {**IN, "privateEndpointName": "pe", "privateDnsZoneGroupName": "default",
         "privateDnsZoneConfigs": [{"name": "registry", "privateDnsZoneId": ZONE}]},
        ("properties/privateDnsZoneConfigs/0/name", "other"),
    ),
    "authorization:ManagementLockByScope": Row(
        {"scope": ACCOUNT, "lockName": "keep", "level": "CanNotDelete", "notes": "ours"}, ("properties/notes", "mine")
    ),
    "authorization:ManagementLockAtResourceGroupLevel": Row(
        {**IN, "lockName": "keep", "level": "CanNotDelete", "notes": "ours"}, ("properties/notes", "mine")
    ),
}  # fmt: skip


class Stack:
    """A provider and the state that an engine would have."""

    def __init__(self, azure: RunningAzure) -> None:
        settings = azure.cloud.settings
        self.scope = azure.cloud.subscription_scope
        self.provider = AzureNative(EngineLog())
        self.provider.configure(
            {
                "metadataHost": azure.cloud.arm_url.removeprefix("https://"),
                "subscriptionId": settings.subscription_id,
                "tenantId": settings.tenant_id,
                "clientId": settings.client_id,
                "clientSecret": settings.client_secret,
            }
        )
        self.ids: dict[str, str] = {}
        self.states: dict[str, dict[str, Any]] = {}

    @property
    def client(self) -> ArmClient:
        return self.provider._arm("testing")

    def goal(self, name: str) -> dict[str, Any]:
        """The program's inputs, checked."""
        target = self.target(name)
        inputs = _placed(copy.deepcopy(ROWS[name].inputs), self.scope)
        news, failures = self.provider.check(target, {}, inputs, Naming())
        assert not failures
        return news

    @staticmethod
    def target(name: str) -> Target:
        token = f"azure-native:{name}"
        return Target(f"urn:pulumi:s::p::{token}::x", token, "x")

    def create(self, name: str) -> None:
        target = self.target(name)
        self.ids[name], self.states[name] = self.provider.create(target, self.goal(name), preview=False, timeout=60)

    def refresh(self, name: str) -> dict[str, Any] | None:
        """The inputs after a refresh, None when the resource is gone."""
        resource = self.provider.read(self.target(name), self.ids[name], self.states[name], self.goal(name))
        if resource is None:
            return None
        self.states[name] = resource.outputs
        return resource.inputs

    def send(self, method: str, name: str, body: Any = None) -> Any:
        """As somebody else, straight to ARM; waits until nothing goes on."""
        version = resource_type(f"azure-native:{name}").api_version
        answer = self.client.send(method, self.ids[name], version, body, accept={404})
        while answer.status_code == 202:
            answer = self.client.send("GET", answer.headers["Location"], accept={404})
        return parsed(answer)


def _placed(value: Any, scope: str) -> Any:
    if isinstance(value, dict):
        return {name: _placed(item, scope) for name, item in value.items()}
    if isinstance(value, list):
        return [_placed(item, scope) for item in value]
    return value.replace("{sub}", scope) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything deployed, with what a company has already: a subnet, a zone and a workspace."""
    with RunningAzure(tmp_path_factory.mktemp("drift") / "home") as azure, pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(azure.paths.ca))
        stack = Stack(azure)
        stack.create("resources:ResourceGroup")
        for path, body in (
            ("Microsoft.Network/virtualNetworks/net", {**LOCATION, "properties": {"subnets": [{"name": "one"}]}}),
            ("Microsoft.Network/privateDnsZones/privatelink.azurecr.io", {"location": "global"}),
            ("Microsoft.OperationalInsights/workspaces/logs", LOCATION),
        ):
            version = Types().get(path.rpartition("/")[0]).api_version
            stack.client.send("PUT", f"{GROUP.format(sub=stack.scope)}/providers/{path}", version, body)
        for name in list(ROWS)[1:]:
            stack.create(name)
        yield stack


def test_every_type_that_a_program_may_have_is_in_the_table() -> None:
    assert {f"azure-native:{name}" for name in ROWS} == set(TYPES)


@pytest.mark.parametrize("name", ROWS)
def test_nothing_changes_where_nothing_was_touched(stack: Stack, name: str) -> None:
    refreshed = stack.refresh(name)
    assert refreshed is not None
    assert not stack.provider.diff(stack.target(name), refreshed, stack.goal(name)).changes


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.change])
def test_what_was_changed_is_seen_and_changed_back(stack: Stack, name: str) -> None:
    change = ROWS[name].change
    assert change is not None
    path, value = change
    body = stack.send("GET", name)
    *steps, last = path.split("/")
    target = body
    for step in steps:
        target = target[int(step)] if step.isdigit() else target[step]
    target[last] = value
    stack.send("PUT", name, body)
    refreshed, goal = stack.refresh(name), stack.goal(name)
    assert refreshed is not None
    difference = stack.provider.diff(stack.target(name), refreshed, goal)
    assert difference.changes and not difference.replaces
    stack.states[name] = stack.provider.update(
        stack.target(name), stack.ids[name], stack.states[name], goal, preview=False, timeout=60
    )
    unchanged = stack.refresh(name)
    assert unchanged is not None
    assert not stack.provider.diff(stack.target(name), unchanged, goal).changes


@pytest.mark.parametrize("name", [name for name in reversed(ROWS) if name != "storage:BlobServiceProperties"])
def test_what_was_deleted_is_seen_and_made_again(stack: Stack, name: str) -> None:
    """Last first: nothing that another row needs is gone when its turn comes."""
    if name == "resources:ResourceGroup":
        for lock in list(ROWS)[-2:]:
            stack.send("DELETE", lock)
    stack.send("DELETE", name)
    assert stack.refresh(name) is None
    stack.create(name)
    assert stack.refresh(name) is not None
    if name.startswith("authorization:ManagementLock"):
        stack.send("DELETE", name)  # it would keep everything else from being deleted
