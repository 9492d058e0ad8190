"""ARM's own hooks that do more than keep a record: role assignments (any scope, GUID names, immutable), role
definitions, key vaults and their keys; and the roles that the deployer has from the first start (`seed_deployer`).

Source: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting and the REST reference 2022-04-01.
"""

from __future__ import annotations

import uuid
from typing import Any

from local.azure.arm.errors import (
    InvalidAssignableScopes,
    InvalidRoleAssignmentId,
    InvalidRoleDefinition,
    PrincipalNotFound,
    RoleAssignmentExists,
    RoleAssignmentUpdateNotPermitted,
    RoleDefinitionDoesNotExist,
    RoleDefinitionHasAssignments,
    RoleDefinitionIsBuiltIn,
    RoleDefinitionWithSameNameExists,
    UnmatchedPrincipalType,
)
from local.azure.control_plane import ids
from local.azure.control_plane.access import covers
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import ROLE_ASSIGNMENTS, ROLE_DEFINITIONS
from local.azure.control_plane.resource_types import RecordHooks
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.roles import ROLES, role_key, role_of
from local.azure.identity.directory import Directory


class AssignmentHooks(RecordHooks):
    """Checks before the record; `access.py` listens to the table, so the record alone has effect."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._directory = Directory(cloud)

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Role and principal exist; nothing but the description changes later."""
        _check_name(new.name)
        scope = ids.join(ids.split(new.id)[:-4])
        properties = new.properties
        role = self._cloud.access.role(str(properties["roleDefinitionId"]))
        if role is None:
            raise RoleDefinitionDoesNotExist(
                f"The specified role definition with ID '{properties['roleDefinitionId'].rsplit('/', 1)[-1]}' "
                "does not exist."
            )
        properties["scope"] = scope or "/"
        properties["roleDefinitionId"] = definition_id(self._cloud, role.id)
        self._check_principal(properties)
        if old is not None:
            fixed = ("principalId", "roleDefinitionId", "scope")
            if any(str(properties[key]).lower() != str(old.properties[key]).lower() for key in fixed):
                raise RoleAssignmentUpdateNotPermitted
        else:
            self._check_unique(new)
        now = self._cloud.clock.now().isoformat()
        properties["createdOn"] = old.properties["createdOn"] if old else now
        properties["updatedOn"] = now

    def _check_principal(self, properties: dict[str, str]) -> None:
        principal, given = str(properties["principalId"]), properties.get("principalType")
        known = self._directory.principal_type(principal)
        if known is None and given is None:
            raise PrincipalNotFound(
                f"Principal {principal.replace('-', '')} does not exist in the directory "
                f"{self._cloud.settings.tenant_id}. Check that you have the correct principal ID. If you are creating "
                "this principal and then immediately assigning a role, this error might be related to a replication "
                "delay. In this case, set the role assignment principalType property to a value, such as "
                "ServicePrincipal, User, or Group. See https://aka.ms/docs-principaltype"
            )
        if known is not None and given is not None and known != given:
            raise UnmatchedPrincipalType(
                f"The PrincipalId '{principal.replace('-', '')}' has type '{known}' , which is different from "
                f"specified PrinciaplType '{given}'. To learn more about requirements for principalType, see "
                "https://aka.ms/docs-principaltype"
            )
        properties["principalType"] = given or known or "ServicePrincipal"

    def _check_unique(self, new: Resource) -> None:
        for other in self._cloud.resources.list(ROLE_ASSIGNMENTS):
            same = all(
                str(other.properties[key]).lower() == str(new.properties[key]).lower()
                for key in ("principalId", "roleDefinitionId", "scope")
            )
            if same:
                raise RoleAssignmentExists(
                    "The role assignment already exists. The ID of the conflicting role assignment is "
                    f"{other.name.replace('-', '')}."
                )


class DefinitionHooks(RecordHooks):
    """Custom roles. Built-in ones are no resources: they are in a table (`control_plane/roles.py`).

    Source: https://learn.microsoft.com/azure/role-based-access-control/custom-roles; codes as users report them.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Its name is a GUID and free, it has permissions, and it may be assigned somewhere in the subscription."""
        _check_name(new.name)
        properties = new.properties
        if role_of(new.name) is not None:
            raise RoleDefinitionIsBuiltIn(f"The role definition '{new.name}' is built in and cannot be changed.")
        wanted = str(properties.get("roleName") or "")
        if not wanted or not properties.get("permissions"):
            raise InvalidRoleDefinition("A role definition needs a roleName and permissions.")
        scopes = properties.get("assignableScopes") or []
        if not scopes or not all(covers(self._cloud.subscription_scope, str(one)) for one in scopes):
            raise InvalidAssignableScopes(
                f"The assignable scopes {scopes} are not valid: at least one, each within "
                f"{self._cloud.subscription_scope}."
            )
        same = [*ROLES, *(self._cloud.access.role(one.id) for one in self._cloud.resources.list(ROLE_DEFINITIONS))]
        if any(one and one.name.lower() == wanted.lower() and one.id != new.name.lower() for one in same):
            raise RoleDefinitionWithSameNameExists(f"A custom role with the name '{wanted}' exists in this directory.")
        now = self._cloud.clock.now().isoformat()
        new.properties = {
            "description": "",
            **properties,
            "type": "CustomRole",
            "updatedOn": now,
            "createdOn": old.properties.get("createdOn", now) if old else now,
        }

    async def check_delete(self, resource: Resource) -> None:
        """Not while it is assigned."""
        key = role_key(resource.id)
        if any(
            role_key(one.properties["roleDefinitionId"]) == key for one in self._cloud.resources.list(ROLE_ASSIGNMENTS)
        ):
            raise RoleDefinitionHasAssignments("There are existing role assignments referencing role.")


class VaultHooks(RecordHooks):
    """A key vault's record, with its address. Its data plane is not here: nothing of the platform asks a vault."""

    def view(self, resource: Resource) -> dict[str, Any]:
        """Where its data plane would answer."""
        return {"vaultUri": f"https://{resource.name.lower()}.vault.azure.net/"}


class KeyHooks(RecordHooks):
    """A key's record. ARM makes the key once; a later PUT leaves it as it is (Keys - Create If Not Exist)."""

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """A key that exists keeps its properties, whatever the PUT says."""
        if old is not None:
            new.properties = dict(old.properties)

    def view(self, resource: Resource) -> dict[str, Any]:
        """Its addresses, without and with its version."""
        vault, name = resource.id.split("/")[-3], resource.name
        address = f"https://{vault.lower()}.vault.azure.net/keys/{name}"
        version = uuid.uuid5(uuid.NAMESPACE_URL, f"{resource.id.lower()}{resource.created}").hex
        return {"keyUri": address, "keyUriWithVersion": f"{address}/{version}"}


def definition_id(cloud: Cloud, role_id: str) -> str:
    """A role definition's id, as the subscription shows it."""
    return f"{cloud.subscription_scope}/providers/Microsoft.Authorization/roleDefinitions/{role_id}"


_DEPLOYER_ROLES = (
    "b24988ac-6180-42a0-ab88-20f7382dd24c",  # Contributor
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168",  # Role Based Access Control Administrator
    "28bf596f-4eb7-45ce-b5bc-6cf482fec137",  # Locks Contributor
)


def seed_deployer(cloud: Cloud) -> None:
    """The deployer's roles on the subscription, each made once: removing one later is respected."""
    seeded = cloud.store.get("settings", "seeded") or {}
    made = seeded.get("roles", list(_DEPLOYER_ROLES[:2]) if seeded else [])
    missing = [role_id for role_id in _DEPLOYER_ROLES if role_id not in made]
    if not missing:
        return
    now = cloud.clock.now().isoformat()
    for role_id in missing:
        name = str(uuid.uuid5(uuid.UUID(cloud.settings.deployer_object_id), role_id))
        properties = {
            "roleDefinitionId": definition_id(cloud, role_id),
            "principalId": cloud.settings.deployer_object_id,
            "principalType": "ServicePrincipal",
            "scope": cloud.subscription_scope,
            "createdOn": now,
            "updatedOn": now,
        }
        resource_id = f"{cloud.subscription_scope}/providers/{ROLE_ASSIGNMENTS}/{name}"
        cloud.resources.put(
            Resource(resource_id, ROLE_ASSIGNMENTS, name, properties=properties, created=now, changed=now)
        )
    cloud.store.put("settings", "seeded", {"at": now, "roles": list(_DEPLOYER_ROLES)})


def _check_name(name: str) -> None:
    try:
        uuid.UUID(name)
    except ValueError:
        raise InvalidRoleAssignmentId(
            f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID."
        ) from None
