"""Lists: by group, by subscription, under a parent, and of all resources; filtered by what may be read, in pages.

Filters: https://learn.microsoft.com/rest/api/resources/resources/list, .../resource-groups/list,
https://learn.microsoft.com/rest/api/authorization/role-assignments/list-for-scope.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from aiohttp import web

from local.azure.arm.errors import (
    InvalidFilterInQueryString,
    InvalidQueryParameter,
    ParentResourceNotFound,
    ResourceGroupNotFound,
)
from local.azure.arm.locks import scope_of
from local.azure.arm.wire import resource_body
from local.azure.control_plane import ids, odata
from local.azure.control_plane.access import covers
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import RESOURCE_GROUPS
from local.azure.control_plane.resource_types import TypeSpec
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import Caller
from local.azure.control_plane.versions.api_versions import without_unknown
from local.azure.platform.faults import conditions

_PAGE = 100
_INHERITED = ("Microsoft.Authorization/roleAssignments", "Microsoft.Authorization/locks")
"""Extension types that hold below their scope: a list at a scope has those from above, too."""
_NAMES = odata.Names(
    ("name", "resourceType", "resourceGroup", "location", "tagName", "tagValue", "identity/principalId", "principalId",
     "type", "roleDefinitionId", "level", "provisioningState", "properties/provisioningState", "plan/name"),
    {"atScope": False, "assignedTo": True, "asTarget": False},
)  # fmt: skip


def page(
    cloud: Cloud, target: ids.Target, spec: TypeSpec | None, caller: Caller | None, request: web.Request
) -> web.Response:
    """One page of the resources a list path names."""
    assert caller is not None
    found = _filtered(_candidates(cloud, target, spec), target, request.query.get("$filter", ""))
    found = [one for one in found if _readable(cloud, caller, one)]
    after = request.query.get("$skiptoken", "")
    found = sorted((one for one in found if one.id.lower() > after.lower()), key=lambda one: one.id.lower())
    size = 1 if conditions().partial else _size(request)
    shown = [resource_body(one, cloud.types.get(one.type)) for one in found[:size]]
    if spec is not None:
        shown = [without_unknown(spec.type, request.query["api-version"], one) for one in shown]
    else:  # the list of all resources does not show their properties
        shown = [_outline(one, body, request.query.get("$expand", "")) for one, body in zip(found, shown, strict=False)]
    body: dict[str, Any] = {"value": shown}
    if len(found) > size:
        kept = [(name, value) for name, value in request.query.items() if name.lower() != "$skiptoken"]
        query = "&".join(f"{quote(name)}={quote(value)}" for name, value in [*kept, ("$skiptoken", found[size - 1].id)])
        body["nextLink"] = f"{cloud.arm_url}{request.path}?{query}"
    return web.json_response(body)


def _outline(resource: Resource, body: dict[str, Any], expand: str) -> dict[str, Any]:
    shown = {name: value for name, value in body.items() if name not in ("properties", "etag")}
    extra = {
        "createdTime": resource.created,
        "changedTime": resource.changed,
        "provisioningState": resource.state,
    }
    wanted = {one.strip().lower() for one in expand.split(",")}
    return shown | {name: value for name, value in extra.items() if name.lower() in wanted}


def _candidates(cloud: Cloud, target: ids.Target, spec: TypeSpec | None) -> list[Resource]:
    scope = target.scope
    group = ids.group_of(scope)
    if group is not None and cloud.resources.get(group) is None:
        raise ResourceGroupNotFound(f"Resource group '{ids.split(group)[-1]}' could not be found.")
    if spec is None:  # .../resources: what is tracked, groups aside
        every = cloud.resources.list(scope=scope)
        return [one for one in every if cloud.types.get(one.type).tracked and one.type != RESOURCE_GROUPS]
    if target.names:
        types = spec.type.split("/")[1:]
        parent = scope + f"/providers/{spec.namespace}"
        for kind, name in zip(types, target.names, strict=False):
            parent = f"{parent}/{kind}/{name}"
        holder = parent.rsplit("/blobServices/", 1)[0]
        if cloud.resources.get(holder) is None:
            raise ParentResourceNotFound(
                f"Failed to perform 'read' on resource(s) of type '{'/'.join(types)}', because the parent resource "
                f"'{holder}' could not be found."
            )
        scope = parent
    if spec.extension and spec.type not in _INHERITED:
        return [one for one in cloud.resources.list(spec.type, scope) if scope_of(one).lower() == scope.lower()]
    found = cloud.resources.list(spec.type, scope)
    if spec.extension and target.scope:  # what holds at the scope is above and below it
        known = {one.id for one in found}
        found += [
            one
            for one in cloud.resources.list(spec.type)
            if one.id not in known and covers(scope_of(one), target.scope)
        ]
    return found


def _filtered(found: list[Resource], target: ids.Target, text: str) -> list[Resource]:
    if not text.strip():
        return found
    try:
        predicate = odata.parse(text, _NAMES)
    except odata.InvalidFilter as error:
        raise InvalidFilterInQueryString(f"Invalid $filter '{text}' specified in the query string: {error}.") from None
    return [one for one in found if any(predicate(_item(one, target, *tag)) for tag in (one.tags or {"": ""}).items())]


def _item(resource: Resource, target: ids.Target, tag: str, value: str) -> dict[str, Any]:
    """What filters see of a resource, and one of its tags: `tagName` and `tagValue` are those of the same tag."""
    properties = resource.properties
    group = ids.group_of(resource.id)
    principal = properties.get("principalId")
    return {
        "name": resource.name,
        "resourcetype": resource.type,
        "type": resource.type,
        "resourcegroup": None if group is None else ids.split(group)[-1],
        "location": resource.location,
        "tagname": tag or None,
        "tagvalue": value,
        "principalid": principal,
        "identity/principalid": (resource.identity or {}).get("principalId"),
        "roledefinitionid": properties.get("roleDefinitionId"),
        "level": properties.get("level"),
        "provisioningstate": resource.state,
        "properties/provisioningstate": resource.state,
        "plan/name": None,
        "atscope()": lambda _: covers(scope_of(resource), target.scope),
        "astarget()": lambda _: False,
        "assignedto()": lambda wanted: str(principal).lower() == str(wanted).lower(),
    }


def _readable(cloud: Cloud, caller: Caller, resource: Resource) -> bool:
    kind = "Microsoft.Resources/subscriptions/resourceGroups" if resource.type == RESOURCE_GROUPS else resource.type
    return cloud.access.allows(caller.principal_id, f"{kind}/read", resource.id)


def _size(request: web.Request) -> int:
    for name in ("$top", "maxresults", "$maxpagesize"):
        given = request.query.get(name)
        if given is not None:
            if not given.isdigit() or not 1 <= int(given) <= 1000:
                raise InvalidQueryParameter(f"{name}={given}: expected 1..1000.")
            return int(given)
    return _PAGE
