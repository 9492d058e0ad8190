"""Who may do what: role assignments against the table of roles. One decision point for ARM and every data plane.

Owns the decision and its words. Assignments are ARM resources: removing one has effect with the next request.
"""

from __future__ import annotations

from local.azure.control_plane.errors import AuthorizationFailed, LinkedAuthorizationFailed
from local.azure.control_plane.ids import ROLE_ASSIGNMENTS, ROLE_DEFINITIONS
from local.azure.control_plane.resources import Resource, Resources
from local.azure.control_plane.roles import RoleDefinition, custom_role, role_key, role_of
from local.azure.control_plane.tokens import Caller
from local.azure.platform.faults import conditions

ASSIGN_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"


class Access:
    """Answers from assignments and custom roles that exist now (kept in memory, refreshed on every change)."""

    def __init__(self, resources: Resources) -> None:
        self._grants: dict[str, dict[str, tuple[str, str]]] = {}  # principal -> assignment -> scope, role
        self._custom: dict[str, RoleDefinition] = {}
        for one in (*resources.list(ROLE_DEFINITIONS), *resources.list(ROLE_ASSIGNMENTS)):
            self._changed(one, True)
        resources.on_change(self._changed)

    def role(self, definition_id: str) -> RoleDefinition | None:
        """The built-in or custom role of a definition's id or GUID."""
        return role_of(definition_id) or self._custom.get(role_key(definition_id))

    def allows(self, principal_id: str, operation: str, scope: str, *, data: bool = False) -> bool:
        """Whether any assignment at `scope` or above gives the principal the (data) action."""
        return not conditions().without_roles and any(
            covers(granted, scope) and (role := self.role(role_id)) is not None and role.allows(operation, data=data)
            for granted, role_id in self._grants.get(principal_id.lower(), {}).values()
        )

    def require(self, caller: Caller, operation: str, scope: str, *, data: bool = False) -> None:
        """Raise AuthorizationFailed, in ARM's words, unless it is allowed."""
        if not self.allows(caller.principal_id, operation, scope, data=data):
            raise AuthorizationFailed(
                f"The client '{caller.client_id}' with object id '{caller.principal_id}' does not have authorization "
                f"to perform action '{operation}' over scope '{scope}' or the scope is invalid. If access was "
                "recently granted, please refresh your credentials."
            )

    def require_linked(self, caller: Caller, operation: str, scope: str, linked: str, own: str) -> None:
        """Raise LinkedAuthorizationFailed unless `operation` is allowed on the `linked` resource.

        `own` is the action that the caller did have on `scope` (both appear in ARM's text).
        """
        if not self.allows(caller.principal_id, operation, linked):
            raise LinkedAuthorizationFailed(
                f"The client '{caller.client_id}' with object id '{caller.principal_id}' has permission to perform "
                f"action '{own}' on scope '{scope}'; however, it does not have permission to perform action(s) "
                f"'{operation}' on the linked scope(s) '{linked}' or the linked scope(s) "
                "are invalid."
            )

    def _changed(self, resource: Resource, exists: bool) -> None:
        if resource.type.lower() == ROLE_DEFINITIONS.lower():
            if exists:
                self._custom[role_key(resource.id)] = custom_role(resource.name, resource.properties)
            else:
                self._custom.pop(role_key(resource.id), None)
        if resource.type.lower() != ROLE_ASSIGNMENTS.lower():
            return
        grants = self._grants.setdefault(str(resource.properties["principalId"]).lower(), {})
        if exists:
            role = role_key(str(resource.properties["roleDefinitionId"]))
            grants[resource.id.lower()] = (str(resource.properties["scope"]), role)
        else:
            grants.pop(resource.id.lower(), None)


def covers(granted: str, scope: str) -> bool:
    """Whether a right at `granted` holds at `scope`: the same, or below it."""
    above, below = granted.rstrip("/").lower(), scope.rstrip("/").lower()
    return below == above or below.startswith(above + "/")
