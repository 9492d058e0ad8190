"""Private endpoints, and the networks and DNS zones that a company has already.

All are records: every service of the local Azure listens on this machine's loopback address, so no traffic goes through
an endpoint and no rule of a network keeps anybody out. What is checked is what Azure checks: the subnet, the zones and
the target exist, and the target has the named sub-resource.
Sub-resources: https://learn.microsoft.com/azure/private-link/private-endpoint-overview#private-link-resource.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from local.azure.arm.errors import BadRequest, InvalidResourceReference
from local.azure.control_plane import ids
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import (
    PRIVATE_DNS_ZONES,
    PRIVATE_ENDPOINTS,
    REGISTRIES,
    SUBNETS,
    VIRTUAL_NETWORKS,
)
from local.azure.control_plane.private_links import GROUP_IDS, connections_of, shown_connections
from local.azure.control_plane.resource_types import Document, RecordHooks
from local.azure.control_plane.resources import Resource


class EndpointHooks(RecordHooks):
    """Microsoft.Network/privateEndpoints."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """One connection, to a resource that has the sub-resource; ARM has checked the subnet."""
        if not (new.properties.get("subnet") or {}).get("id"):
            raise BadRequest(f"The private endpoint '{new.name}' names no subnet; expected 'subnet.id'.")
        connections = connections_of(new)
        if len(connections) != 1:
            raise BadRequest(
                f"The private endpoint '{new.name}' has {len(connections)} connections in "
                "privateLinkServiceConnections and manualPrivateLinkServiceConnections; expected exactly one."
            )
        wanted = connections[0].get("properties") or {}
        target = self._cloud.resources.get(str(wanted.get("privateLinkServiceId", "")))
        if target is None or target.type not in GROUP_IDS:
            raise InvalidResourceReference(
                f"Resource {wanted.get('privateLinkServiceId')} referenced by resource {new.id} was not found, or it "
                f"takes no private endpoints (types here: {', '.join(GROUP_IDS)})."
            )
        if target.type == REGISTRIES and (target.sku or {}).get("name") != "Premium":
            raise BadRequest(  # documented; the text is a GUESS
                f"The registry '{target.name}' is of the tier {(target.sku or {}).get('name')}: private endpoints need "
                "Premium."
            )
        known = GROUP_IDS[target.type]
        groups = [str(one) for one in wanted.get("groupIds") or ()]
        if len(groups) != 1 or groups[0].lower() not in {one.lower() for one in known}:
            raise BadRequest(
                f"The groupIds {groups} of private endpoint '{new.name}' are not valid for {target.type}; expected one "
                f"of: {', '.join(known)}."
            )

    def view(self, resource: Resource) -> dict[str, Any]:
        """Connections are approved at once: whoever makes one here may approve it, too."""
        approved = {"status": "Approved", "description": "Auto-Approved", "actionsRequired": "None"}
        shown: dict[str, Any] = {}
        for name in ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections"):
            shown[name] = [
                {
                    "id": f"{resource.id}/{name}/{one.get('name')}",
                    **one,
                    "properties": {
                        **(one.get("properties") or {}),
                        "provisioningState": "Succeeded",
                        "privateLinkServiceConnectionState": approved,
                    },
                }
                for one in resource.properties.get(name) or ()
            ]
        group = ids.group_of(resource.id)
        given = resource.properties.get("customNetworkInterfaceName")
        card = f"{group}/providers/Microsoft.Network/networkInterfaces/{given or f'{resource.name}.nic'}"
        return {**shown, "networkInterfaces": [{"id": card}], "customDnsConfigs": []}


class ZoneGroupHooks(RecordHooks):
    """Microsoft.Network/privateEndpoints/privateDnsZoneGroups."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Every zone exists and has its own name in the group."""
        names: set[str] = set()
        for config in new.properties.get("privateDnsZoneConfigs") or ():
            zone_id = str((config.get("properties") or {}).get("privateDnsZoneId", ""))
            zone = self._cloud.resources.get(zone_id)
            if zone is None or zone.type != PRIVATE_DNS_ZONES:
                raise InvalidResourceReference(
                    f"Resource {zone_id} referenced by resource {new.id} was not found. Please make sure that the "
                    "referenced resource exists."
                )
            name = str(config.get("name", "")).lower()
            if not name or name in names:
                raise BadRequest(f"The name '{name}' of a DNS zone config is empty or there twice.")
            names.add(name)


class NetworkHooks(RecordHooks):
    """Microsoft.Network/virtualNetworks: subnets in its body are resources of their own."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Address ranges are networks."""
        space = new.properties.get("addressSpace")
        prefixes = space.get("addressPrefixes") if isinstance(space, Mapping) else None
        for prefix in prefixes if isinstance(prefixes, list) else ():
            _network(prefix)
        for subnet in new.properties.get("subnets") or ():
            for prefix in _prefixes(subnet.get("properties") or {}):
                _network(prefix)

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Make the subnets of the body; one that the body no longer has goes."""
        given = new.properties.pop("subnets", None)
        if given is None:
            return
        wanted = {f"{new.id}/subnets/{one['name']}": one.get("properties") or {} for one in given}
        for subnet in self._cloud.resources.list(SUBNETS, new.id):
            if subnet.id.lower() not in {one.lower() for one in wanted}:
                self._cloud.resources.delete(subnet.id)
        for subnet_id, properties in wanted.items():
            name = ids.split(subnet_id)[-1]
            self._cloud.resources.put(Resource(subnet_id, SUBNETS, name, properties=properties, created=new.changed))

    def view(self, resource: Resource) -> dict[str, Any]:
        """The subnets that it has."""
        subnets = self._cloud.resources.list(SUBNETS, resource.id)
        return {"subnets": [{"id": one.id, "name": one.name, "properties": one.properties} for one in subnets]}


class SubnetHooks(RecordHooks):
    """Microsoft.Network/virtualNetworks/subnets."""

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Its address range is a network."""
        for prefix in _prefixes(new.properties):
            _network(prefix)


def _prefixes(properties: Mapping[str, Any]) -> list[Any]:
    single, several = properties.get("addressPrefix"), properties.get("addressPrefixes")
    return [*([single] if single else []), *(several if isinstance(several, list) else [])]


def _network(prefix: Any) -> None:
    try:
        ipaddress.ip_network(str(prefix))
    except ValueError as error:
        raise BadRequest(f"The address prefix '{prefix}' is not valid: {error}.") from None


def _link_resources(target: Resource, names: Sequence[str]) -> dict[str, Any] | None:
    """`privateLinkResources` of a target: its sub-resources."""
    shown = [
        {
            "id": f"{target.id}/privateLinkResources/{group}",
            "name": group,
            "type": f"{target.type}/privateLinkResources",
            "properties": {"groupId": group, "requiredMembers": [group], "requiredZoneNames": []},
        }
        for group in GROUP_IDS[target.type]
    ]
    return _one_or_all(shown, names)


def _one_or_all(shown: list[dict[str, Any]], names: Sequence[str]) -> dict[str, Any] | None:
    if not names:
        return {"value": shown}
    return next((one for one in shown if one["name"].lower() == names[0].lower()), None)


def _publish_links(cloud: Cloud) -> None:
    """What can be linked, and what is, below every type that takes private endpoints."""

    def connections(target: Resource, names: Sequence[str]) -> dict[str, Any] | None:
        return _one_or_all(shown_connections(cloud.resources, target), names)

    for kind in GROUP_IDS:
        links, made = f"{kind}/privateLinkResources", f"{kind}/privateEndpointConnections"
        cloud.types.publish(Document(links, f"{links}/read", of=_link_resources))
        cloud.types.publish(Document(made, f"{made}/read", of=connections))


def register(cloud: Cloud) -> None:
    """Say who does the work of these types."""
    _publish_links(cloud)
    cloud.types.register(PRIVATE_ENDPOINTS, EndpointHooks(cloud))
    cloud.types.register(f"{PRIVATE_ENDPOINTS}/privateDnsZoneGroups", ZoneGroupHooks(cloud))
    cloud.types.register(VIRTUAL_NETWORKS, NetworkHooks(cloud))
    cloud.types.register(SUBNETS, SubnetHooks())
    cloud.types.register(PRIVATE_DNS_ZONES, RecordHooks())
