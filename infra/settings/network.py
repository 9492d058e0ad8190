"""What a stack file says of networks: where nodes stand, who reaches the account. Plain data, checked."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from infra.settings.problems import Expect, Refused
from infra.settings.types import Flag, Network, Section, SubnetId, SubnetRange, ZoneId, networks_differ

MAX_ALLOWED_IPS: Final = 200
DOCKER_NETWORK: Final = ipaddress.IPv4Network("172.17.0.0/16")
"""Docker's own bridge on every node: a subnet with the same addresses would be out of the containers' reach."""
AZURE_RESERVED_ADDRESSES: Final = 5
"""Of each subnet: network, gateway, two for DNS, broadcast (learn.microsoft.com/azure/virtual-network)."""


def _zone(word: str) -> Any:
    def checked(zone_id: str) -> str:
        name = zone_id.rpartition("/")[2].lower()
        if not (name.startswith("privatelink.") and word in name):
            raise Refused("", f"the zone privatelink.{word}...", repr(name), "each service has a zone of its own")
        return zone_id

    return AfterValidator(checked)


class PrivateEndpoints(Section):
    """Private endpoints in a given subnet, with their names in given DNS zones; what is left out gets no endpoint."""

    subnet_id: SubnetId
    batch_zone_id: Annotated[ZoneId, _zone("batch")] | None = None
    registry_zone_id: Annotated[ZoneId, _zone("azurecr")] | None = None
    blob_zone_id: Annotated[ZoneId, _zone("blob")] | None = None

    @model_validator(mode="after")
    def _has_a_zone(self) -> Self:
        if not (self.batch_zone_id or self.registry_zone_id or self.blob_zone_id):
            zones = "batch_zone_id, registry_zone_id or blob_zone_id"
            raise Refused("", f"at least one of {zones}", "none", "an endpoint is made for each zone")
        return self


class NetworkSettings(Section):
    """Where nodes stand, and who reaches the account. Networks and zones exist already: the program makes none."""

    subnet_id: SubnetId | None = None
    subnet_range: SubnetRange | None = None
    """The subnet's addresses, which its id does not tell: with them every preview checks its size, and that they are
    not those of Docker's bridge. Without them only `doctor --stack` does, which asks Azure for the subnet."""
    public_ips: Annotated[Flag, Expect("true or false", "false wants subnet_id, and a way out for the nodes")] = True
    allowed_ips: (
        Annotated[
            tuple[Network, ...],
            AfterValidator(networks_differ),
            Field(max_length=MAX_ALLOWED_IPS),
            Expect("a list of networks like 203.0.113.0/24", "leave it out to let every network reach the account"),
        ]
        | None
    ) = None
    """Who reaches the Batch account over the Internet; left out: everybody (with a right), an empty list: nobody."""
    private_endpoints: Annotated[
        PrivateEndpoints | None,
        Expect("a section with subnet_id and zones", "left out: services are reached by their public endpoints"),
    ] = None

    @model_validator(mode="after")
    def _nodes_have_a_network(self) -> Self:
        if not self.public_ips and self.subnet_id is None:
            raise Refused(
                "public_ips", "subnet_id beside false", "none", "nodes without public addresses need a subnet"
            )
        if self.subnet_range is not None and self.subnet_id is None:
            fix = "add the subnet's id; the range alone moves no node"
            raise Refused("subnet_range", "subnet_id beside it", "none", fix)
        if self.subnet_range is not None and DOCKER_NETWORK.overlaps(ipaddress.IPv4Network(self.subnet_range)):
            expected = f"a range outside of {DOCKER_NETWORK}, which Docker uses on every node"
            raise Refused("subnet_range", expected, self.subnet_range, "take another subnet")
        return self

    @property
    def room(self) -> int | None:
        """How many nodes the subnet can hold; None if its range is not given."""
        if self.subnet_range is None:
            return None
        return ipaddress.IPv4Network(self.subnet_range).num_addresses - AZURE_RESERVED_ADDRESSES
