"""Which private endpoints lead to a resource: what the resource itself shows of them.

Endpoints are resources of Microsoft.Network (`arm/providers/network.py`); their targets belong to other services.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from local.azure.control_plane.ids import PRIVATE_ENDPOINTS
from local.azure.control_plane.resources import Resource, Resources

GROUP_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Microsoft.Batch/batchAccounts": ("batchAccount", "nodeManagement"),
    "Microsoft.ContainerRegistry/registries": ("registry",),
    "Microsoft.Storage/storageAccounts": ("blob", "blob_secondary", "dfs", "file", "queue", "table", "web"),
}
"""Types that take private endpoints, and their sub-resources."""


def connections_of(endpoint: Resource) -> list[dict[str, Any]]:
    """The connections that a private endpoint names."""
    properties = endpoint.properties
    return [
        *(properties.get("privateLinkServiceConnections") or ()),
        *(properties.get("manualPrivateLinkServiceConnections") or ()),
    ]


def shown_connections(resources: Resources, target: Resource) -> list[dict[str, Any]]:
    """`privateEndpointConnections` of a resource."""
    found = []
    for endpoint in resources.list(PRIVATE_ENDPOINTS):
        for connection in connections_of(endpoint):
            properties = connection.get("properties") or {}
            if str(properties.get("privateLinkServiceId", "")).lower() != target.id.lower():
                continue
            name = f"{endpoint.name}.{connection.get('name')}"
            found.append(
                {
                    "id": f"{target.id}/privateEndpointConnections/{name}",
                    "name": name,
                    "type": f"{target.type}/privateEndpointConnections",
                    "properties": {
                        "provisioningState": "Succeeded",
                        "privateEndpoint": {"id": endpoint.id},
                        "groupIds": properties.get("groupIds") or [],
                        "privateLinkServiceConnectionState": {"status": "Approved", "description": "Auto-Approved"},
                    },
                }
            )
    return found
