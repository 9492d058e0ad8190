"""Answers to read only that clients ask for beside a resource, and what they PUT back of what they GOT."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import Any

import pytest

from local.azure.arm.check import check
from local.azure.batch.hooks.documents import outbound
from local.azure.control_plane.resource_types import Types
from local.azure.control_plane.resources import Resource
from local.azure.registry.hooks import NEVER, none_of, replications
from tests.azure.arm.plain_http import PLACE, Http, provider
from tests.azure.running import RunningAzure

ACCOUNT = "Microsoft.Batch/batchAccounts/mybatch"


@pytest.fixture
def account(http_: Http) -> str:
    location = http_("PUT", provider(ACCOUNT), PLACE)[1]["location"]
    for _ in range(500):
        if http_("GET", location)[0] == 200:
            break
    return provider(ACCOUNT)


def names(answer: Any) -> list[str]:
    return [one["name"] for one in answer["value"]]


def test_what_can_be_linked_privately_is_listed_and_shown(http_: Http, account: str) -> None:
    query = "api-version=2024-07-01"
    assert names(http_("GET", f"{account}/privateLinkResources", query=query)[2]) == ["batchAccount", "nodeManagement"]
    status, _, one = http_("GET", f"{account}/privateLinkResources/nodemanagement", query=query)
    assert (status, one["properties"]["groupId"]) == (200, "nodeManagement")
    assert http_("GET", f"{account}/privateLinkResources/no", query=query)[2]["error"]["code"] == "ResourceNotFound"
    assert http_("GET", f"{account}/privateEndpointConnections", query=query)[2] == {"value": []}
    status, _, missing = http_(
        "GET", provider("Microsoft.Batch/batchAccounts/nobody/privateLinkResources"), query=query
    )
    assert (status, missing["error"]["code"]) == (404, "ResourceNotFound")


def test_the_categories_of_a_resource_are_listed(http_: Http, account: str) -> None:
    kind = f"{account}/providers/Microsoft.Insights/diagnosticSettingsCategories"
    query = "api-version=2021-05-01-preview"
    assert {"ServiceLog", "AllMetrics"} <= set(names(http_("GET", kind, query=query)[2]))
    one = http_("GET", f"{kind}/ServiceLog", query=query)[2]
    assert one["properties"]["categoryType"] == "Logs"
    assert http_("GET", f"{kind}/Nothing", query=query)[0] == 404


def test_what_nodes_connect_to_has_azures_four_categories() -> None:
    types = Types()

    class Hooks:
        def view(self, resource: Resource) -> dict[str, Any]:
            return {"accountEndpoint": "127.0.0.1:21000", "nodeManagementEndpoint": "127.0.0.1:21000"}

    types.register("Microsoft.Batch/batchAccounts", Hooks())  # type: ignore[arg-type]
    shown = outbound(types, Resource("/x", "Microsoft.Batch/batchAccounts", "x"))["value"]
    assert [one["category"] for one in shown] == [
        "Azure Batch",
        "Azure Storage",
        "Microsoft Package Repository",
        "Azure Key Vault",
    ]
    assert shown[0]["endpoints"][0] == {"domainName": "127.0.0.1", "endpointDetails": [{"port": 21000}]}
    assert shown[3]["endpoints"][0]["endpointDetails"] == [{"port": 443}]


def test_a_registry_has_its_home_region_and_none_of_what_is_not_made_here() -> None:
    registry = Resource("/r", "Microsoft.ContainerRegistry/registries", "r", location="westeurope")
    found = replications(registry, ())
    assert found is not None and names(found) == ["westeurope"]
    assert replications(registry, ("northeurope",)) is None
    assert "webhooks" in NEVER and none_of(registry, ()) == {"value": []} and none_of(registry, ("x",)) is None


def test_the_metadata_is_a_list_of_clouds_before_it_was_one_cloud(azure: RunningAzure) -> None:
    context = ssl.create_default_context(cafile=str(azure.paths.ca))

    def document(query: str) -> Any:
        url = f"{azure.cloud.arm_url}/metadata/endpoints{query}"
        with urllib.request.urlopen(url, context=context) as answer:
            return json.load(answer)

    (one,) = document("?api-version=2019-05-01")
    assert one == document("?api-version=2022-09-01") == document("")
    assert one["authentication"]["loginEndpoint"] == azure.cloud.arm_url


def test_what_only_answers_have_may_come_back_at_any_depth() -> None:
    spec = Types().get("Microsoft.Batch/batchAccounts")
    linked = {"storageAccountId": "/s", "authenticationMode": "StorageKeys"}
    body = {
        "location": "westeurope",
        "properties": {"autoStorage": {**linked, "lastKeySync": "2026-01-01T00:00:00Z"}, "accountEndpoint": "x"},
    }
    for version in spec.versions:
        kept = check(body, spec.shape(update=False, version=version), spec.read_shape())
        assert kept["properties"] == {"autoStorage": linked}


def test_tags_are_counted_and_what_there_is_none_of_is_an_empty_list(http_: Http) -> None:
    for name in ("a1", "a2"):
        http_("PUT", f"/resourceGroups/{name}", {**PLACE, "tags": {"team": "x", "only": name}})
    found = {one["tagName"]: one for one in http_("GET", "/tagNames", query="api-version=2021-04-01")[2]["value"]}
    assert found["team"]["count"]["value"] == 2 and [one["tagValue"] for one in found["only"]["values"]] == ["a1", "a2"]
    deployments = "/resourceGroups/rg1/providers/Microsoft.Resources/deployments"
    assert http_("GET", deployments, query="api-version=2021-04-01")[2] == {"value": []}
    assert http_("GET", f"{deployments}/x", query="api-version=2021-04-01")[0] == 404
    policies = "/providers/Microsoft.Authorization/policyAssignments"
    assert http_("GET", policies, query="api-version=2022-06-01")[2] == {"value": []}
