"""Private endpoints into subnets and zones that exist already, and pools in subnets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.azure.arm.plain_http import PLACE, Http, provider, settle

NETWORK = provider("Microsoft.Network/virtualNetworks/net")
SUBNET = f"{NETWORK}/subnets/nodes"
ZONE = provider("Microsoft.Network/privateDnsZones/privatelink.batch.azure.com")
ENDPOINT = provider("Microsoft.Network/privateEndpoints/pe")
BATCH = provider("Microsoft.Batch/batchAccounts/mybatch")


@pytest.fixture
def furnished(http_: Http) -> Http:
    """A cloud with a network of one subnet, a DNS zone and a Batch account."""
    subnet = {"name": "nodes", "properties": {"addressPrefix": "10.1.0.0/24"}}
    body = {**PLACE, "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}, "subnets": [subnet]}}
    assert http_("PUT", NETWORK, body)[0] == 201
    assert http_("PUT", ZONE, {"location": "global"})[0] == 201
    settle(http_, http_("PUT", BATCH, PLACE)[1]["location"])
    return http_


def endpoint(http_: Http, **change: Any) -> dict[str, Any]:
    scope = http_.azure.cloud.subscription_scope
    link = {"privateLinkServiceId": scope + BATCH, "groupIds": ["batchAccount"], **change}
    connections = [{"name": "c", "properties": link}]
    return {**PLACE, "properties": {"subnet": {"id": scope + SUBNET}, "privateLinkServiceConnections": connections}}


def test_an_endpoint_and_its_zone_group_live_and_die(furnished: Http) -> None:
    status, _, made = furnished("PUT", ENDPOINT, endpoint(furnished))
    assert status == 201, made
    [connection] = made["properties"]["privateLinkServiceConnections"]
    assert connection["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
    assert furnished("PUT", ENDPOINT, made)[0] == 200
    zone = furnished.azure.cloud.subscription_scope + ZONE
    configs = [{"name": "batch", "properties": {"privateDnsZoneId": zone}}]
    group = f"{ENDPOINT}/privateDnsZoneGroups/default"
    status, _, made = furnished("PUT", group, {"properties": {"privateDnsZoneConfigs": configs}})
    assert (status, made["properties"]["privateDnsZoneConfigs"]) == (201, configs)
    status, headers, _ = furnished("DELETE", ENDPOINT)
    assert status == 202
    assert settle(furnished, headers["location"]) == 200
    assert furnished("GET", group)[0] == 404
    assert furnished("GET", SUBNET)[0] == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"groupIds": ["blob"]}, "expected one of: batchAccount, nodeManagement"),
        ({"groupIds": []}, "expected one of"),
        ({"privateLinkServiceId": "/nowhere"}, "/nowhere"),
    ],
)
def test_an_endpoint_to_what_is_not_there_is_refused(furnished: Http, change: dict[str, Any], said: str) -> None:
    status, _, body = furnished("PUT", ENDPOINT, endpoint(furnished, **change))
    assert status == 400
    assert said in body["error"]["message"]


@pytest.mark.parametrize(("tier", "status"), [("Basic", 400), ("Premium", 201)])
def test_a_registry_takes_private_endpoints_in_its_premium_tier_only(furnished: Http, tier: str, status: int) -> None:
    registry = provider("Microsoft.ContainerRegistry/registries/myreg")
    assert furnished("PUT", registry, {**PLACE, "sku": {"name": tier}})[0] == 201
    link = {"privateLinkServiceId": furnished.azure.cloud.subscription_scope + registry, "groupIds": ["registry"]}
    assert furnished("PUT", ENDPOINT, endpoint(furnished, **link))[0] == status


@pytest.mark.parametrize("kind", ["endpoint", "pool"])
def test_a_subnet_must_exist_and_the_caller_must_be_allowed_to_join_it(furnished: Http, kind: str) -> None:
    scope = furnished.azure.cloud.subscription_scope
    path = ENDPOINT if kind == "endpoint" else f"{BATCH}/pools/p"

    def body(subnet: str) -> dict[str, Any]:
        if kind == "endpoint":
            made = endpoint(furnished)
            made["properties"]["subnet"]["id"] = subnet
            return made
        return {"properties": {"vmSize": "STANDARD_D2S_V3", "networkConfiguration": {"subnetId": subnet}}}

    missing = furnished("PUT", path, body(scope + SUBNET + "2"))
    assert (missing[0], missing[2]["error"]["code"]) == (400, "InvalidResourceReference")
    other = "11111111-1111-4111-8111-111111111111"
    token = furnished.azure.cloud.tokens.issue(
        principal_id=other, client_id="c", audience="https://management.azure.com/"
    )
    role = "4d97b98b-1d4f-4787-a291-c67834d212e7" if kind == "endpoint" else "29fe4964-1e60-436b-bd3a-77fd4c178b3c"
    furnished.grant(other, role, scope + (provider("")[:-11] if kind == "endpoint" else BATCH))
    allowed = furnished("PUT", path, body(scope + SUBNET), token=token)
    if kind == "endpoint":
        assert allowed[0] == 201
    else:
        assert (allowed[0], allowed[2]["error"]["code"]) == (403, "LinkedAuthorizationFailed")
        assert "virtualNetworks/subnets/join/action" in allowed[2]["error"]["message"]
        assert furnished("PUT", path, body(scope + SUBNET))[0] == 200


def test_subnets_of_a_networks_body_are_resources_of_their_own(furnished: Http) -> None:
    assert furnished("GET", SUBNET)[2]["properties"]["addressPrefix"] == "10.1.0.0/24"
    other = f"{NETWORK}/subnets/more"
    assert furnished("PUT", other, {"properties": {"addressPrefix": "10.1.1.0/24"}})[0] == 201
    shown = furnished("GET", NETWORK)[2]
    assert [one["name"] for one in shown["properties"]["subnets"]] == ["more", "nodes"]
    shown["properties"]["subnets"].pop(0)
    assert furnished("PUT", NETWORK, shown)[0] == 200
    assert furnished("GET", other)[0] == 404
    bad = furnished("PUT", other, {"properties": {"addressPrefix": "10.1.1.0/33"}})
    assert (bad[0], "10.1.1.0/33" in bad[2]["error"]["message"]) == (400, True)
