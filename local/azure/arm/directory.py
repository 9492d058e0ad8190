"""What ARM answers without a resource behind it: subscriptions, tenants, providers, locations, role definitions, names.

Owns read-only documents. Each is a method found by the path's type in `TABLE`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

from local.azure.arm.errors import (
    CannotUnregister,
    InvalidFilterInQueryString,
    LocationNotAvailableForResourceType,
    LocationRequired,
    MissingSubscriptionRegistration,
    ResourceNotFound,
    RoleDefinitionDoesNotExist,
    SubscriptionNotFound,
)
from local.azure.arm.hooks import definition_id
from local.azure.control_plane import ids, odata
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.errors import InvalidResourceName, InvalidResourceNamespace, nearest
from local.azure.control_plane.ids import ROLE_DEFINITIONS
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.roles import ROLES, RoleDefinition

ALWAYS_REGISTERED = frozenset(("microsoft.authorization", "microsoft.consumption", "microsoft.resources"))
"""Providers without registration ("Resource providers and types" of Azure Resource Manager's documentation)."""
_UNREGISTERED = "unregistered-provider"  # documents of the store
_ROLE_NAMES = odata.Names(("roleName", "type"), {"atScope": False, "atScopeAndBelow": False, "atScopeAndAbove": False})
Query = Mapping[str, str]
Document = dict[str, Any]


# https://learn.microsoft.com/azure/reliability/regions-list (most of it; restricted pairs left out)
_DISPLAY_NAMES = (
    "Australia Central", "Australia East", "Australia Southeast", "Austria East", "Belgium Central", "Brazil South",
    "Canada Central", "Canada East", "Central India", "Central US", "Chile Central", "East Asia", "East US",
    "East US 2", "France Central", "Germany West Central", "Indonesia Central", "Israel Central", "Italy North",
    "Japan East", "Japan West", "Korea Central", "Korea South", "Malaysia West", "Mexico Central",
    "New Zealand North", "North Central US", "North Europe", "Norway East", "Poland Central", "Qatar Central",
    "South Africa North", "South Central US", "South India", "Southeast Asia", "Spain Central", "Sweden Central",
    "Switzerland North", "UAE North", "UK South", "UK West", "West Central US", "West Europe", "West India",
    "West US", "West US 2", "West US 3",
)  # fmt: skip
LOCATIONS = {name.replace(" ", "").lower(): name for name in _DISPLAY_NAMES}


class Directory:
    """The documents of one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.table: Mapping[tuple[str, str], Callable[[ids.Target, Query, Document], Document]] = {
            ("GET", "microsoft.resources/subscriptions"): self.subscriptions,
            ("GET", "microsoft.resources/tenants"): self.tenants,
            ("GET", "microsoft.resources/locations"): self.locations,
            ("GET", "microsoft.resources/providers"): self.providers,
            ("GET", "microsoft.authorization/roledefinitions"): self.role_definitions,
            ("GET", "microsoft.resources/tagnames"): self.tag_names,
            ("GET", "microsoft.resources/deployments"): self.none,
            ("GET", "microsoft.authorization/policyassignments"): self.none,
            ("GET", "microsoft.authorization/denyassignments"): self.none,
        }

    def find(self, method: str, target: ids.Target) -> Callable[[ids.Target, Query, Document], Document] | None:
        """The document's maker, or None when the path is a resource's."""
        last = target.types[-1].lower()
        if method == "POST" and last in ("register", "unregister") and len(target.types) == 1:
            return self.register
        if method == "POST" and last == "checknameavailability":
            return self.check_name
        return self.table.get((method, target.type.lower()))

    def subscriptions(self, target: ids.Target, query: Query, body: Document) -> Document:
        """The one subscription, alone or in a list."""
        settings = self._cloud.settings
        document = {
            "id": self._cloud.subscription_scope,
            "subscriptionId": settings.subscription_id,
            "tenantId": settings.tenant_id,
            "displayName": "Local Azure",
            "state": "Enabled",
            "authorizationSource": "RoleBased",
            "managedByTenants": [],
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01",
                "quotaId": "PayAsYouGo_2014-09-01",
                "spendingLimit": "Off",
            },
        }
        if not target.is_item:
            return {"value": [document], "count": {"type": "Total", "value": 1}}
        self.check_subscription(target.names[0])
        return document

    def check_subscription(self, given: str) -> None:
        """Raise SubscriptionNotFound for another subscription."""
        if given.lower() != self._cloud.settings.subscription_id:
            raise SubscriptionNotFound(f"The subscription '{given}' could not be found.")

    def tenants(self, target: ids.Target, query: Query, body: Document) -> Document:
        """The one tenant."""
        tenant = self._cloud.settings.tenant_id
        one = {"id": f"/tenants/{tenant}", "tenantId": tenant, "displayName": "Local Azure", "tenantCategory": "Home"}
        return {"value": [one]}

    def locations(self, target: ids.Target, query: Query, body: Document) -> Document:
        """All regions."""
        scope = self._cloud.subscription_scope
        return {
            "value": [
                {
                    "id": f"{scope}/locations/{name}",
                    "name": name,
                    "type": "Region",
                    "displayName": display,
                    "regionalDisplayName": display,
                    "metadata": {"regionType": "Physical"},
                }
                for name, display in LOCATIONS.items()
            ]
        }

    def providers(self, target: ids.Target, query: Query, body: Document) -> Document:
        """The namespaces and whether they are registered; all are in a new local Azure."""
        if target.is_item:
            return self._provider(target.names[0])
        return {"value": [self._provider(one) for one in self._cloud.types.namespaces()]}

    def tag_names(self, target: ids.Target, query: Query, body: Document) -> Document:
        """The names and values of all tags, with how often each is there (Tags - List)."""
        found: dict[str, Counter[str]] = {}
        for resource in self._cloud.resources.list():
            for name, value in (resource.tags or {}).items():
                found.setdefault(name, Counter())[value] += 1
        scope = f"{self._cloud.subscription_scope}/tagNames"
        return {
            "value": [
                {
                    "id": f"{scope}/{name}",
                    "tagName": name,
                    "count": {"type": "Total", "value": sum(values.values())},
                    "values": [
                        {
                            "id": f"{scope}/{name}/tagValues/{value}",
                            "tagValue": value,
                            "count": {"type": "Total", "value": count},
                        }
                        for value, count in sorted(values.items())
                    ],
                }
                for name, values in sorted(found.items())
            ]
        }

    def none(self, target: ids.Target, query: Query, body: Document) -> Document:
        """What there is none of here: template deployments, policies. One by its name is not found."""
        if target.is_item:
            raise ResourceNotFound(f"The {target.type} '{target.names[-1]}' could not be found.")
        return {"value": []}

    def register(self, target: ids.Target, query: Query, body: Document) -> Document:
        """Register or unregister a provider, at once (Azure takes up to some minutes); it stays so over a restart."""
        shown = self._provider(target.namespace)
        name = str(shown["namespace"])
        if target.types[-1].lower() == "register":
            self._cloud.store.delete(_UNREGISTERED, name.lower())
            return self._provider(name)
        if name.lower() in ALWAYS_REGISTERED:
            raise CannotUnregister(f"The resource provider '{name}' is registered in every subscription.")
        if any(one.type.lower().startswith(f"{name.lower()}/") for one in self._cloud.resources.list()):
            raise CannotUnregister(f"The resource provider '{name}' cannot be unregistered: it has resources.")
        self._cloud.store.put(_UNREGISTERED, name.lower(), {})
        return self._provider(name)

    def is_registered(self, namespace: str) -> bool:
        """Whether the subscription may use the provider."""
        return self._cloud.store.get(_UNREGISTERED, namespace.lower()) is None

    def require_registered(self, namespace: str) -> None:
        """Raise MissingSubscriptionRegistration for a provider that is not registered."""
        if not self.is_registered(namespace):
            raise MissingSubscriptionRegistration(
                f"The subscription is not registered to use namespace '{namespace}'. "
                "See https://aka.ms/rps-not-found for how to register subscriptions."
            )

    def role_definitions(self, target: ids.Target, query: Query, body: Document) -> Document:
        """Built-in and custom roles, filtered by `roleName` and `type`."""
        custom = self._cloud.resources.list(ROLE_DEFINITIONS)
        every = [*(self._role(role) for role in ROLES), *(self._custom(one) for one in custom)]
        if target.is_item:
            found = next((one for one in every if one["name"].lower() == target.names[0].lower()), None)
            if found is None:
                raise RoleDefinitionDoesNotExist(
                    f"The specified role definition with ID '{target.names[0]}' does not exist."
                )
            return found
        text = query.get("$filter", "").strip()
        if not text:
            return {"value": every}
        try:
            predicate = odata.parse(text, _ROLE_NAMES)
        except odata.InvalidFilter as error:
            raise InvalidFilterInQueryString(
                f"Invalid $filter '{text}' specified in the query string: {error}."
            ) from None
        return {"value": [one for one in every if predicate(_role_item(one))]}

    def _custom(self, definition: Resource) -> Document:
        return {
            "id": definition.id,
            "type": definition.type,
            "name": definition.name,
            "properties": definition.properties,
        }

    def check_name(self, target: ids.Target, query: Query, body: Document) -> Document:
        """Whether a global name is free."""
        types = self._cloud.types.namespaces().get(target.namespace.lower(), [])
        spec = next((one for one in types if one.unique), None)
        if spec is None:
            raise InvalidResourceNamespace(f"The resource namespace '{target.namespace}' has no global names.")
        name = str(body.get("name", ""))
        batch = spec.namespace == "Microsoft.Batch"
        try:
            spec.check_name(name)
        except InvalidResourceName as error:
            if batch:
                return {"nameAvailable": False, "reason": "Invalid", "message": _batch_name_problem(name)}
            return {"nameAvailable": False, "reason": spec.invalid_name or "Invalid", "message": error.message}
        if self._cloud.resources.by_name(spec.type, name) is not None:
            message = (
                f"An account named '{name}' is already in use." if batch else f"The name '{name}' is already taken."
            )
            return {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
        return {"nameAvailable": True}

    def _provider(self, namespace: str) -> Document:
        rows = self._cloud.types.namespaces().get(namespace.lower())
        if rows is None:
            known = [spec[0].namespace for spec in self._cloud.types.namespaces().values()]
            raise InvalidResourceNamespace(
                f"The resource namespace '{namespace}' is invalid.{nearest(namespace, known)}"
            )
        name = rows[0].namespace
        return {
            "id": f"{self._cloud.subscription_scope}/providers/{name}",
            "namespace": name,
            "registrationState": "Registered" if self.is_registered(name) else "Unregistered",
            "registrationPolicy": "RegistrationFree" if name.lower() in ALWAYS_REGISTERED else "RegistrationRequired",
            "resourceTypes": [
                {
                    "resourceType": spec.type.split("/", 1)[1],
                    "locations": list(LOCATIONS.values()),
                    "apiVersions": list(spec.versions),
                    "capabilities": "SupportsTags, SupportsLocation" if spec.tracked else "None",
                }
                for spec in rows
            ],
        }

    def _role(self, role: RoleDefinition) -> Document:
        return {
            "id": definition_id(self._cloud, role.id),
            "type": "Microsoft.Authorization/roleDefinitions",
            "name": role.id,
            "properties": {
                "roleName": role.name,
                "type": "BuiltInRole",
                "description": role.description,
                "assignableScopes": ["/"],
                "permissions": [
                    {
                        "actions": list(role.actions),
                        "notActions": list(role.not_actions),
                        "dataActions": list(role.data_actions),
                        "notDataActions": list(role.not_data_actions),
                    }
                ],
            },
        }


def _role_item(shown: Document) -> Document:
    """What filters see of a role; all roles are the subscription's, so each is in every scope."""
    scopes = dict.fromkeys(("atscope()", "atscopeandbelow()", "atscopeandabove()"), lambda _: True)
    return {"rolename": shown["properties"]["roleName"], "type": shown["properties"]["type"], **scopes}


def _batch_name_problem(name: str) -> str:
    """Batch's own text (recorded for the length)."""
    if not 3 <= len(name) <= 24:
        return "Account name must be at least 3 characters and at most 24 characters."
    return "Account name must contain only lowercase letters and numbers."


def location_name(given: object, type: str, places: Collection[str] = ()) -> str:
    """`West Europe` as `westeurope`; an error for anything that is no region, or not one of `places` if there are."""
    if given is None or not str(given).strip():
        raise LocationRequired
    name = str(given).replace(" ", "").lower()
    known = places or LOCATIONS
    if name not in known:
        raise LocationNotAvailableForResourceType(
            f"The provided location '{given}' is not available for resource type '{type}'. List of available regions "
            f"for the resource type is '{','.join(known)}'."
        )
    return name
