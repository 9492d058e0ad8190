"""The kinds of values that settings are made of: ids of Azure, networks, counts. Plain data, checked by pydantic."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from infra.settings.problems import Expect, Refused

MAX_NODES: Final = 100
"""Nodes of one kind. A typing error must not order a thousand VMs; quota usually ends far below."""

EXAMPLE_ID: Final = "11111111-2222-3333-4444-555555555555"
"""Stands in stack files and examples for an id that only a tenant knows. `up` refuses it."""

MIN_PREFIX_LENGTH: Final = 8
"""The widest network that a rule may allow: a /8 is 16 million addresses. /0 would be everybody."""


UNREACHED_FROM: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "224.0.0.0/3",
        ),
    )
)
"""Networks that no packet on the Internet comes from: private, shared, link-local, multicast, reserved (RFC
6890). Loopback is allowed: clients of the local Azure come from there."""
SMALLEST_SUBNET: Final = 29
"""learn.microsoft.com/azure/virtual-network/virtual-networks-faq."""


class Section(BaseModel):
    """Frozen, and closed: a key that is not declared is refused."""

    # Only the outermost section needs a validator of its own, which has those of all others in it.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    RETIRED: ClassVar[Mapping[str, str]] = {}
    """Keys that an older version of the program had, and what is written instead."""


Nodes = Annotated[
    int,
    Field(ge=0, le=MAX_NODES, strict=True),
    Expect(f"a whole number 0..{MAX_NODES}", "change it or raise MAX_NODES in infra/settings/types.py"),
]
Guid = Annotated[
    str,
    Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
    AfterValidator(str.lower),
    Expect(f"an object id like {EXAMPLE_ID}", "find it with `az ad signed-in-user show`"),
]
Flag = Annotated[bool, Field(strict=True)]


def _flag_of_text(value: object) -> object:
    """Values of the first level arrive as texts; of these only YAML's own two words are truth values."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


FirstLevelFlag = Annotated[Flag, BeforeValidator(_flag_of_text)]


def _id_form(provider: str, *types: str) -> str:
    kinds = "/".join(f"{kind}/NAME" for kind in types)
    return f"an id like /subscriptions/{EXAMPLE_ID}/resourceGroups/NAME/providers/{provider}/{kinds}"


def _arm_id(provider: str, *types: str) -> Callable[[str], str]:
    """A validator for the id of a resource of one type. Ids have no case: Azure's own spelling comes out."""
    parts = "/".join(f"{kind}/[A-Za-z0-9._()-]+" for kind in types)
    pattern = re.compile(
        rf"/subscriptions/[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}"
        rf"/resourceGroups/[\w.()-]{{1,90}}/providers/{re.escape(provider)}/{parts}",
        re.IGNORECASE,
    )
    spelling = {word.lower(): word for word in ("subscriptions", "resourceGroups", "providers", provider, *types)}

    def checked(text: str) -> str:
        found = text.strip().rstrip("/")
        if not pattern.fullmatch(found):
            raise Refused("", _id_form(provider, *types), repr(text), _COPY_THE_ID)
        # "", subscriptions, ID, resourceGroups, NAME, providers, PROVIDER, TYPE, NAME, ...
        words = found.lower().split("/")[:3] + found.split("/")[3:]
        return "/".join(spelling[word.lower()] if at % 2 or at == 6 else word for at, word in enumerate(words))

    return checked


def _an_id(provider: str, *types: str) -> Expect:
    return Expect(_id_form(provider, *types), _COPY_THE_ID)


_COPY_THE_ID: Final = "copy it from `az resource show --query id`"
_SUBNET: Final = ("Microsoft.Network", "virtualNetworks", "subnets")
_ZONE: Final = ("Microsoft.Network", "privateDnsZones")
_WORKSPACE: Final = ("Microsoft.OperationalInsights", "workspaces")
_REGISTRY: Final = ("Microsoft.ContainerRegistry", "registries")
_STORAGE: Final = ("Microsoft.Storage", "storageAccounts")
_IDENTITY: Final = ("Microsoft.ManagedIdentity", "userAssignedIdentities")
SubnetId = Annotated[str, AfterValidator(_arm_id(*_SUBNET)), _an_id(*_SUBNET)]
ZoneId = Annotated[str, AfterValidator(_arm_id(*_ZONE)), _an_id(*_ZONE)]
WorkspaceId = Annotated[str, AfterValidator(_arm_id(*_WORKSPACE)), _an_id(*_WORKSPACE)]
RegistryId = Annotated[str, AfterValidator(_arm_id(*_REGISTRY)), _an_id(*_REGISTRY)]
StorageId = Annotated[str, AfterValidator(_arm_id(*_STORAGE)), _an_id(*_STORAGE)]
IdentityId = Annotated[str, AfterValidator(_arm_id(*_IDENTITY)), _an_id(*_IDENTITY)]


def _ipv4_network(text: str) -> str:
    """A public IPv4 network in CIDR form, narrow enough to be somebody's; a bare address is a network of one."""
    fix = "write the networks that people come from, like 203.0.113.0/24; `curl https://ifconfig.me` shows yours"
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise Refused("", "a network like 203.0.113.0/24", repr(text), fix) from None
    if isinstance(network, ipaddress.IPv6Network):
        reason = "an IPv4 network (Batch gives nodes and account endpoints IPv4 addresses only)"
        raise Refused("", reason, repr(text), fix)
    if network.prefixlen < MIN_PREFIX_LENGTH:
        whom = "everybody" if network.prefixlen == 0 else f"{network.num_addresses:,} addresses"
        reason = f"a network of /{MIN_PREFIX_LENGTH} or narrower (this one would let {whom} in)"
        raise Refused("", reason, repr(text), fix)
    if any(network.overlaps(special) for special in UNREACHED_FROM):
        reason = "public addresses (no packet from a private or special one reaches a public endpoint)"
        raise Refused("", reason, repr(text), fix)
    return _first_address(network, text)


def _subnet_range(text: str) -> str:
    """A subnet's addresses, in a size that Azure's subnets have."""
    fix = "`az network vnet subnet show --query addressPrefix` says it"
    try:
        network = ipaddress.IPv4Network(text.strip(), strict=False)
    except ValueError:
        raise Refused("", "a subnet's range like 10.20.0.0/24", repr(text), fix) from None
    if not MIN_PREFIX_LENGTH <= network.prefixlen <= SMALLEST_SUBNET:
        raise Refused("", f"a range of /{MIN_PREFIX_LENGTH} to /{SMALLEST_SUBNET}", repr(text), fix)
    return _first_address(network, text)


def _first_address(network: ipaddress.IPv4Network, text: str) -> str:
    if str(network.network_address) != text.strip().partition("/")[0]:
        raise Refused(
            "", f"a network's first address ({network})", repr(text), f"write {network}, or the address alone"
        )
    return str(network)


Network = Annotated[str, AfterValidator(_ipv4_network), Expect("a network like 203.0.113.0/24", "in CIDR form")]
SubnetRange = Annotated[str, AfterValidator(_subnet_range), Expect("a range like 10.20.0.0/24", "for checks only")]


def networks_differ(networks: tuple[str, ...]) -> tuple[str, ...]:
    """The networks in the order of their addresses, so that another order in the file is no change."""
    known = sorted(map(ipaddress.IPv4Network, networks))
    for one, next_one in pairwise(known):
        if one.overlaps(next_one):
            raise Refused("", "networks that do not overlap", f"{one} and {next_one}", f"remove {next_one}")
    return tuple(map(str, known))


def whole_text(value: object) -> object:
    """YAML reads 2404 as a number; here it is a name."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(whole_text)]
