"""Inbound endpoints of pools: what ARM takes, what nodes show, and who can log in."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from local.azure.batch import errors
from testbeds.batch_service import LocalBatch

ALLOW = {"priority": 150, "access": "Allow", "sourceAddressPrefix": "203.0.113.0/24"}
DENY = {"priority": 4096, "access": "Deny", "sourceAddressPrefix": "*"}
SSH: dict[str, Any] = {
    "name": "ssh",
    "protocol": "TCP",
    "backendPort": 22,
    "frontendPortRangeStart": 40000,
    "frontendPortRangeEnd": 40999,
    "networkSecurityGroupRules": [ALLOW, DENY],
}
OTHER: dict[str, Any] = {
    "name": "metrics",
    "protocol": "UDP",
    "backendPort": 9100,
    "frontendPortRangeStart": 1000,
    "frontendPortRangeEnd": 1039,
}


def network(*pools: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"endpointConfiguration": {"inboundNatPools": copy.deepcopy(list(pools))}, **more}


def open_pool(local: LocalBatch, *pools: dict[str, Any], nodes: int = 1, **more: Any) -> None:
    local.pool(nodes=nodes, networkConfiguration=network(*pools, **more))


def test_a_pool_that_maps_ssh_tells_where_it_is_answered(azure: LocalBatch) -> None:
    open_pool(azure, SSH, OTHER, nodes=2)
    client = azure.client()
    for number, node in enumerate(azure.node_ids()):
        login = client.get_node_remote_login_settings("pool", node)
        shown = client.get_node("pool", node).endpoint_configuration
        assert shown is not None and len(shown.inbound_endpoints) == 2
        ssh, other = shown.inbound_endpoints
        assert (ssh.name, ssh.backend_port, ssh.frontend_port) == (f"ssh.{number}", 22, login.remote_login_port)
        assert (other.name, other.protocol, other.frontend_port) == (f"metrics.{number}", "udp", 1000 + number)


def test_the_pool_is_shown_in_the_data_planes_words_with_the_defaults(azure: LocalBatch) -> None:
    open_pool(azure, SSH)
    found = azure.client().get_pool("pool").network_configuration
    assert found is not None and found.endpoint_configuration is not None
    pool = found.endpoint_configuration.inbound_nat_pools[0]
    assert pool.network_security_group_rules is not None
    rule = pool.network_security_group_rules[0]
    assert (pool.protocol, rule.access, rule.source_port_ranges) == ("tcp", "allow", ["*"])


@pytest.mark.parametrize("pools", [(), (OTHER,), ({**SSH, "protocol": "UDP"},)])
def test_without_a_nat_pool_for_ssh_nobody_can_log_in(azure: LocalBatch, pools: tuple[dict[str, Any], ...]) -> None:
    if pools:
        open_pool(azure, *pools)
    else:
        azure.pool(nodes=1)
    node = azure.node_ids()[0]
    with pytest.raises(HttpResponseError) as caught:
        azure.client().get_node_remote_login_settings("pool", node)
    assert caught.value.status_code == 409
    assert caught.value.error is not None and caught.value.error.code == "OperationNotValidOnNode"
    shown = azure.client().get_node("pool", node).endpoint_configuration
    assert (shown is None) is (not pools)


def with_rules(*rules: dict[str, Any]) -> dict[str, Any]:
    return {**SSH, "networkSecurityGroupRules": list(rules)}


WRONG = [
    ({**SSH, "name": "-ssh"}, "name", "-ssh"),
    ({**SSH, "name": "ssh."}, "name", "ssh."),
    ({**SSH, "name": "s" * 78}, "name", "s" * 78),
    ({**SSH, "backendPort": 0}, "backendPort", "0"),
    ({**SSH, "backendPort": 65536}, "backendPort", "65536"),
    ({**SSH, "backendPort": 29876}, "backendPort", "29876"),
    ({**SSH, "backendPort": 29877}, "backendPort", "29877"),
    ({**SSH, "frontendPortRangeEnd": 65535}, "frontendPortRangeEnd", "65535"),
    ({**SSH, "frontendPortRangeEnd": 40038}, "frontendPortRangeEnd", "40000-40038"),
    ({**SSH, "frontendPortRangeEnd": 39999}, "frontendPortRangeEnd", "40000-39999"),
    ({**SSH, "frontendPortRangeEnd": 50000}, "frontendPortRangeStart", "40000-50000"),
    (
        {**SSH, "frontendPortRangeStart": 55000, "frontendPortRangeEnd": 55100},
        "frontendPortRangeStart",
        "55000-55100",
    ),
    (with_rules({**ALLOW, "priority": 149}), "priority", "149"),
    (with_rules({**ALLOW, "priority": 4097}), "priority", "4097"),
    (with_rules(ALLOW, {**DENY, "priority": 150}), "priority", "150"),
    (with_rules({**ALLOW, "sourceAddressPrefix": "10.0.0.0/33"}), "sourceAddressPrefix", "10.0.0.0/33"),
    (with_rules({**ALLOW, "sourceAddressPrefix": ""}), "sourceAddressPrefix", ""),
    (with_rules({**ALLOW, "sourcePortRanges": ["70000"]}), "sourcePortRanges", "70000"),
    (with_rules({**ALLOW, "sourcePortRanges": ["200-100"]}), "sourcePortRanges", "200-100"),
    (with_rules({**ALLOW, "sourcePortRanges": ["22", "20-30"]}), "sourcePortRanges", "20-30"),
    (with_rules(*({**ALLOW, "priority": 150 + number} for number in range(26))), "inboundNATPools", "26"),
]


@pytest.mark.parametrize(("pool", "name", "value"), WRONG, ids=[f"{name} {value[:20]}" for _, name, value in WRONG])
def test_a_wrong_endpoint_is_refused_with_its_name_and_value(
    azure: LocalBatch, pool: dict[str, Any], name: str, value: str
) -> None:
    with pytest.raises(errors.InvalidPropertyValue) as caught:
        open_pool(azure, pool)
    details = dict(caught.value.details)
    assert (details["PropertyName"], details["PropertyValue"]) == (name, value)
    assert details["Reason"]


@pytest.mark.parametrize(
    ("pools", "more", "words"),
    [
        ([SSH, {**OTHER, "name": "SSH"}], {}, "each name of a pool must be there once"),
        ([SSH, {**OTHER, "backendPort": 22}], {}, "each backendPort of a pool must be there once"),
        ([SSH, {**OTHER, "frontendPortRangeStart": 40900, "frontendPortRangeEnd": 41000}], {}, "overlaps with that"),
        ([SSH], {"publicIPAddressConfiguration": {"provision": "NoPublicIPAddresses"}}, "without public IP addresses"),
        (
            [
                {
                    **OTHER,
                    "name": f"n{i}",
                    "backendPort": 80 + i,
                    "frontendPortRangeStart": 1000 + 100 * i,
                    "frontendPortRangeEnd": 1099 + 100 * i,
                }
                for i in range(6)
            ],
            {},
            "at most 5 items",
        ),
    ],
)
def test_endpoints_that_do_not_go_together_are_refused(
    azure: LocalBatch, pools: list[dict[str, Any]], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(errors.InvalidPropertyValue) as caught:
        open_pool(azure, *pools, **more)
    assert words in dict(caught.value.details)["Reason"]


def test_the_limits_themselves_are_taken(azure: LocalBatch) -> None:
    rules = [{**ALLOW, "priority": number, "sourceAddressPrefix": "Internet"} for number in (150, 4096)]
    first = {**SSH, "frontendPortRangeStart": 49960, "frontendPortRangeEnd": 49999, "networkSecurityGroupRules": rules}
    last = {**OTHER, "frontendPortRangeStart": 65495, "frontendPortRangeEnd": 65534, "backendPort": 65535}
    open_pool(azure, first, last)
    assert azure.client().get_node_remote_login_settings("pool", azure.node_ids()[0]).remote_login_port > 0


def test_an_endpoint_cannot_be_changed_in_place(azure: LocalBatch) -> None:
    open_pool(azure, SSH)
    open_pool(azure, SSH)
    with pytest.raises(errors.PropertyCannotBeUpdated):
        open_pool(azure, {**SSH, "frontendPortRangeEnd": 40100})
