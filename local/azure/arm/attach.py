"""What a resource is linked to: managed identities, and other resources on which the caller needs a right of its own.

Source: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources (Managed Identity Operator).
"""

from __future__ import annotations

import uuid
from typing import Any

from local.azure.arm.errors import FailedIdentityOperation, InvalidResourceReference
from local.azure.control_plane.access import ASSIGN_IDENTITY
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import USER_ASSIGNED_IDENTITIES
from local.azure.control_plane.resource_types import TypeSpec
from local.azure.control_plane.resources import SYSTEM_IDENTITY, Resource
from local.azure.control_plane.tokens import Caller


def attach_identities(cloud: Cloud, resource: Resource, caller: Caller) -> None:
    """Check `resource.identity` and fill in each identity's principalId and clientId, as GET shows them.

    A system-assigned identity is made with the resource and kept while the resource names the kind; it has no rights
    until a role is assigned to its `principalId`.
    """
    if resource.identity is None:
        resource.system.pop(SYSTEM_IDENTITY, None)
        return
    kind = str(resource.identity.get("type", "None"))
    attached: dict[str, Any] = {}
    for given, entry in (resource.identity.get("userAssignedIdentities") or {}).items():
        if entry is None:  # PATCH: null takes an identity away
            continue
        identity = cloud.resources.get(given)
        if identity is None or identity.type != USER_ASSIGNED_IDENTITIES:
            raise FailedIdentityOperation(
                f"Identity operation for resource '{resource.id}' failed with error 'Failed to perform resource "
                f"identity operation. Status: 'NotFound'. Response: the identity '{given}' does not exist.'."
            )
        own = f"{resource.type}/write"
        cloud.access.require_linked(caller, ASSIGN_IDENTITY, resource.id, identity.id, own)
        attached[given] = {
            "principalId": identity.properties["principalId"],
            "clientId": identity.properties["clientId"],
        }
    if attached and "userassigned" not in kind.lower():
        raise FailedIdentityOperation(
            f"Identity operation for resource '{resource.id}' failed with error 'The resource identity type '{kind}' "
            "does not go with user assigned identities; expected UserAssigned'."
        )
    if "userassigned" in kind.lower() and not attached:
        raise FailedIdentityOperation(
            f"Identity operation for resource '{resource.id}' failed with error 'The resource identity type '{kind}' "
            "requires at least one user assigned identity'."
        )
    resource.identity = {"type": kind} | ({"userAssignedIdentities": attached} if attached else {})
    if "systemassigned" in kind.lower():
        made = resource.system.setdefault(
            SYSTEM_IDENTITY, {"principalId": str(uuid.uuid4()), "clientId": str(uuid.uuid4())}
        )
        resource.identity |= {"principalId": made["principalId"], "tenantId": cloud.settings.tenant_id}
    else:
        resource.system.pop(SYSTEM_IDENTITY, None)


def check_links(cloud: Cloud, resource: Resource, spec: TypeSpec, caller: Caller) -> None:
    """Each resource that `spec.links` names exists, and the caller may use it."""
    for link in spec.links:
        value: Any = resource.properties
        for name in link.path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            continue
        linked = cloud.resources.get(str(value))
        if linked is None or linked.type.lower() != link.type.lower():
            raise InvalidResourceReference(
                f"Resource {value} referenced by resource {resource.id} was not found. Please make sure that the "
                "referenced resource exists, and that both resources are in the same region."
            )
        cloud.access.require_linked(caller, link.action, resource.id, linked.id, f"{resource.type}/write")
