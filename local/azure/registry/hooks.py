"""What ARM's Microsoft.ContainerRegistry/registries does: a name, a port, an optional admin user."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from local.azure.control_plane.ids import REGISTRIES
from local.azure.control_plane.private_links import shown_connections
from local.azure.control_plane.resources import Resource, Resources
from local.azure.control_plane.tokens import Caller
from local.azure.platform.ports import HOST, Ports
from local.azure.registry.errors import CredentialOperationsRefused, UnknownRegistryAction
from local.azure.registry.grants import LEGACY
from local.azure.registry.upstream import Images

NEVER = ("webhooks", "tokens", "scopeMaps", "cacheRules", "credentialSets", "connectedRegistries", "agentPools")
"""Kinds below a registry of which there are none here: their lists are empty, making one is refused by name."""
_ADMIN_DOCUMENTATION = (
    "https://docs.microsoft.com/en-us/azure/container-registry/container-registry-authentication#admin-account"
)


def port_name(registry: str) -> str:
    """The name of a registry's port in the block."""
    return f"registry/{registry.lower()}"


def login_server(ports: Ports, registry: str) -> str:
    """Where `docker` finds the registry. An address of 127.0.0.0/8 needs no certificate authority in the engine."""
    return f"{HOST}:{ports.reserve(port_name(registry))}"


class RegistryHooks:
    """`opened` and `closed` are called when a registry's port is to be served, and no more."""

    def __init__(
        self,
        resources: Resources,
        ports: Ports,
        images: Images,
        *,
        opened: Callable[[Resource], Awaitable[None]],
        closed: Callable[[Resource], Awaitable[None]],
    ) -> None:
        self._resources = resources
        self._ports = ports
        self._images = images
        self._opened = opened
        self._closed = closed

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Nothing to add: ARM's table of types has the name rule."""

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Give the registry its port and open it."""
        new.properties.setdefault("adminUserEnabled", False)
        new.system["port"] = self._ports.reserve(port_name(new.name))
        if "passwords" not in new.system:
            new.system["passwords"] = [_password(), _password()]
        await self._opened(new)

    async def delete(self, resource: Resource) -> None:
        """Close the port and remove the images."""
        await self._closed(resource)
        self._images.delete(resource.name)
        self._ports.release(port_name(resource.name))

    async def action(self, resource: Resource, name: str, body: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """listCredentials, regenerateCredential."""
        verb = name.lower()
        if verb not in ("listcredentials", "regeneratecredential"):
            raise UnknownRegistryAction(
                f"The local Azure has no registry action '{name}'; it has listCredentials and regenerateCredential."
            )
        if not resource.properties.get("adminUserEnabled"):
            raise CredentialOperationsRefused(
                f"Cannot perform credential operations for {resource.id} as admin user is disabled. "
                f"Kindly enable admin user as per docs: {_ADMIN_DOCUMENTATION}"
            )
        if verb == "regeneratecredential":
            index = {"password": 0, "password2": 1}.get(str(body.get("name")))
            if index is None:
                raise UnknownRegistryAction(f"name {body.get('name')!r} is not one of 'password', 'password2'.")
            resource.system["passwords"][index] = _password()
            self._resources.put(resource)
        first, second = resource.system["passwords"]
        passwords = [{"name": "password", "value": first}, {"name": "password2", "value": second}]
        return {"username": resource.name, "passwords": passwords}

    def view(self, resource: Resource) -> dict[str, Any]:
        """What GET adds."""
        return {
            "loginServer": login_server(self._ports, resource.name),
            "creationDate": resource.created,
            "roleAssignmentMode": resource.properties.get("roleAssignmentMode", LEGACY),
            "privateEndpointConnections": shown_connections(self._resources, resource),
        }


def usages(names: Sequence[str], query: Mapping[str, str]) -> dict[str, Any]:
    """The limits of a Basic registry; what is used is not counted here."""
    size = {"name": "Size", "limit": 10737418240, "currentValue": 0, "unit": "Bytes"}
    return {"value": [size, {"name": "Webhooks", "limit": 2, "currentValue": 0, "unit": "Count"}]}


def replications(registry: Resource, names: Sequence[str]) -> dict[str, Any] | None:
    """The home region is the one replication that a registry always has."""
    one = {
        "id": f"{registry.id}/replications/{registry.location}",
        "name": registry.location,
        "type": f"{REGISTRIES}/replications",
        "location": registry.location,
        "properties": {
            "provisioningState": "Succeeded",
            "regionEndpointEnabled": True,
            "zoneRedundancy": "Disabled",
            "status": {"displayStatus": "Ready", "timestamp": registry.created},
        },
    }
    if not names:
        return {"value": [one]}
    return one if names[0].lower() == str(registry.location).lower() else None


def none_of(registry: Resource, names: Sequence[str]) -> dict[str, Any] | None:
    """What no registry has here: webhooks, tokens and the like are not made."""
    return None if names else {"value": []}


def _password() -> str:
    return secrets.token_urlsafe(39)
