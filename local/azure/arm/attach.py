"""Attaching managed identities to a resource: they must exist, and the caller must be allowed to assign them.

Source: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources (Managed Identity Operator).
"""

from __future__ import annotations

from typing import Any

from local.azure.arm.errors import FailedIdentityOperation
from local.azure.control_plane.access import ASSIGN_IDENTITY
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.errors import NotImplementedHere
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import Caller

IDENTITY_TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"


def attach_identities(cloud: Cloud, resource: Resource, caller: Caller) -> None:
    """Check `resource.identity` and fill in each identity's principalId and clientId, as GET shows them."""
    if resource.identity is None:
        return
    kind = str(resource.identity.get("type", "None"))
    if "systemassigned" in kind.lower():
        raise NotImplementedHere(
            f"identity.type '{kind}' on {resource.type}: the local Azure has user-assigned identities only."
        )
    attached: dict[str, Any] = {}
    for given, entry in (resource.identity.get("userAssignedIdentities") or {}).items():
        if entry is None:  # PATCH: null takes an identity away
            continue
        identity = cloud.resources.get(given)
        if identity is None or identity.type != IDENTITY_TYPE:
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
    resource.identity = {"type": kind} | ({"userAssignedIdentities": attached} if attached else {})
