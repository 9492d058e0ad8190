"""A pool's `endpointConfiguration`: which ports of its nodes are reached from outside, by which addresses.

Limits: the SDK's models (`BatchInboundNatPool`, `NetworkSecurityGroupRule`; azure-batch 15.1.0). Since API 2024-07-01,
and for every pool made after 30 November 2025, no port is mapped that is not named here
(https://learn.microsoft.com/azure/batch/pool-endpoint-configuration). The local Azure maps ssh only to a port of this
machine, and filters nothing: its ports are on 127.0.0.1.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from local.azure.batch.data_plane.schema import Choice, ListOf, Number, Object, Text
from local.azure.batch.errors import invalid

SSH: Final = 22
_RESERVED_BACKEND: Final = (29876, 29877)
_RESERVED_FRONTEND: Final = (50000, 55000)
_LEAST_PORTS: Final = 40
_MOST_RULES: Final = 25
_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,75}[A-Za-z0-9_])?"
_TAG: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]*")
_PORTS: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")

RULE = Object(
    {
        "priority": Number(150, 4096),
        "access": Choice(("allow", "deny")),
        "sourceAddressPrefix": Text(),
        "sourcePortRanges": ListOf(Text()),
    },
    ("priority", "access", "sourceAddressPrefix"),
    "NetworkSecurityGroupRule",
)
NAT_POOL = Object(
    {
        "name": Text(
            77, _NAME, "letters, digits, '_', '.' and '-'; begins with a letter or digit, ends not with . or -"
        ),
        "protocol": Choice(("tcp", "udp")),
        "backendPort": Number(1, 65535),
        "frontendPortRangeStart": Number(1, 65534),
        "frontendPortRangeEnd": Number(1, 65534),
        "networkSecurityGroupRules": ListOf(RULE),
    },
    ("name", "protocol", "backendPort", "frontendPortRangeStart", "frontendPortRangeEnd"),
    "InboundNatPool",
)
ENDPOINTS = Object({"inboundNATPools": ListOf(NAT_POOL, 5)}, ("inboundNATPools",), "PoolEndpointConfiguration")


def checked(network: Mapping[str, Any]) -> dict[str, Any]:
    """The network configuration (the data plane's spelling) with its endpoints checked and filled in (recorded:
    `sourcePortRanges` ["*"]). Raises InvalidPropertyValue with the path, the value and what is allowed."""
    if not network.get("endpointConfiguration"):
        return dict(network)
    path = "networkConfiguration.endpointConfiguration"
    endpoints = ENDPOINTS.check(network["endpointConfiguration"], path)
    provision = str((network.get("publicIPAddressConfiguration") or {}).get("provision", ""))
    if provision.lower() == "nopublicipaddresses":
        raise invalid(path, "inboundNATPools", "a pool without public IP addresses has no inbound NAT pools")
    pools = endpoints["inboundNATPools"]
    for name in ("name", "backendPort"):
        _distinct([str(pool[name]).lower() for pool in pools], f"{path}.inboundNATPools", name)
    rules = [rule for pool in pools for rule in pool.get("networkSecurityGroupRules", ())]
    if len(rules) > _MOST_RULES:
        raise invalid(f"{path}.inboundNATPools", len(rules), f"at most {_MOST_RULES} rules in all of a pool")
    _distinct([str(rule["priority"]) for rule in rules], f"{path}.inboundNATPools", "priority")
    for index, pool in enumerate(pools):
        _check_ports(pool, pools[:index], f"{path}.inboundNATPools[{index}]")
        for number, rule in enumerate(pool.get("networkSecurityGroupRules", ())):
            _check_rule(rule, f"{path}.inboundNATPools[{index}].networkSecurityGroupRules[{number}]")
    return {**network, "endpointConfiguration": endpoints}


def nat_pools(pool_body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """A pool's inbound NAT pools."""
    network = pool_body.get("networkConfiguration") or {}
    return (network.get("endpointConfiguration") or {}).get("inboundNATPools") or ()


def maps_ssh(pool_body: Mapping[str, Any]) -> bool:
    """Whether the nodes of a pool can be logged in to from outside."""
    return any(pool["backendPort"] == SSH and pool["protocol"] == "tcp" for pool in nat_pools(pool_body))


def _distinct(values: Sequence[str], path: str, name: str) -> None:
    for value in values:
        if values.count(value) > 1:
            raise invalid(f"{path}.{name}", value, f"each {name} of a pool must be there once")


def _check_ports(pool: Mapping[str, Any], others: Sequence[Mapping[str, Any]], path: str) -> None:
    if pool["backendPort"] in _RESERVED_BACKEND:
        raise invalid(f"{path}.backendPort", pool["backendPort"], "29876 and 29877 are the service's own")
    first, last = pool["frontendPortRangeStart"], pool["frontendPortRangeEnd"]
    shown = f"{first}-{last}"
    if last - first + 1 < _LEAST_PORTS:
        raise invalid(f"{path}.frontendPortRangeEnd", shown, f"a range has {_LEAST_PORTS} ports or more")
    low, high = _RESERVED_FRONTEND
    if first <= high and last >= low:
        raise invalid(f"{path}.frontendPortRangeStart", shown, f"ports {low} to {high} are the service's own")
    for other in others:
        if first <= other["frontendPortRangeEnd"] and last >= other["frontendPortRangeStart"]:
            raise invalid(f"{path}.frontendPortRangeStart", shown, f"it overlaps with that of '{other['name']}'")


def _check_rule(rule: dict[str, Any], path: str) -> None:
    prefix = rule["sourceAddressPrefix"]
    if not _is_source(prefix):
        reason = "expected an address, a network such as 192.168.1.0/24, a service tag such as Internet, or *"
        raise invalid(f"{path}.sourceAddressPrefix", prefix, reason)
    ranges = rule.setdefault("sourcePortRanges", ["*"])
    taken: list[tuple[int, int]] = []
    for text in ranges:
        first, last = _port_range(text, f"{path}.sourcePortRanges")
        if any(first <= high and last >= low for low, high in taken):
            raise invalid(f"{path}.sourcePortRanges", text, "it overlaps with another of them")
        taken.append((first, last))


def _is_source(prefix: str) -> bool:
    if prefix == "*" or _TAG.fullmatch(prefix):
        return True
    try:
        ipaddress.ip_network(prefix, strict=False)
    except ValueError:
        return False
    return True


def _port_range(text: str, path: str) -> tuple[int, int]:
    if text == "*":
        return 0, 65535
    match = _PORTS.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not 0 <= first <= last <= 65535:
        raise invalid(path, text, "expected *, a port such as 22, or a range such as 100-200")
    return first, last


def inbound(pool_body: Mapping[str, Any], number: int, address: str, ssh_port: int) -> Iterator[dict[str, Any]]:
    """`inboundEndpoints` of the node with this number (from 0) in its pool (recorded: `<name>.<number>`).

    ssh has the port of this machine where it is answered; the others show the port they have on Azure, where nobody
    listens here.
    """
    for pool in nat_pools(pool_body):
        ssh = pool["backendPort"] == SSH and pool["protocol"] == "tcp"
        yield {
            "name": f"{pool['name']}.{number}",
            "protocol": pool["protocol"],
            "publicIPAddress": address,
            "publicFQDN": address,
            "frontendPort": ssh_port if ssh else pool["frontendPortRangeStart"] + number,
            "backendPort": pool["backendPort"],
        }
