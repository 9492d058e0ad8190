"""Lists: by group, by subscription, under a parent, and of all resources; filtered by what may be read, in pages."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from aiohttp import web

from local.azure.arm.errors import InvalidQueryParameter, ParentResourceNotFound, ResourceGroupNotFound
from local.azure.arm.wire import resource_body
from local.azure.control_plane import ids
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.errors import NotImplementedHere
from local.azure.control_plane.resource_types import TypeSpec
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import Caller

_PAGE = 100
_GROUPS = "Microsoft.Resources/resourceGroups"
_ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"
_FILTERS = {
    "type": re.compile(r"resourceType\s+eq\s+'([^']+)'", re.IGNORECASE),
    "principal": re.compile(r"(?:principalId\s+eq\s+|assignedTo\()'([^']+)'\)?", re.IGNORECASE),
    "name": re.compile(r"name\s+eq\s+'([^']+)'", re.IGNORECASE),
}


def page(
    cloud: Cloud, target: ids.Target, spec: TypeSpec | None, caller: Caller | None, request: web.Request
) -> web.Response:
    """One page of the resources a list path names."""
    assert caller is not None
    found = _candidates(cloud, target, spec)
    found = _filtered(found, spec, target, request.query.get("$filter", ""))
    found = [one for one in found if _readable(cloud, caller, one)]
    after = request.query.get("$skiptoken", "")
    found = sorted((one for one in found if one.id.lower() > after.lower()), key=lambda one: one.id.lower())
    size = _size(request)
    body: dict[str, Any] = {"value": [resource_body(one, cloud.types.get(one.type)) for one in found[:size]]}
    if len(found) > size:
        kept = [(name, value) for name, value in request.query.items() if name.lower() != "$skiptoken"]
        query = "&".join(f"{quote(name)}={quote(value)}" for name, value in [*kept, ("$skiptoken", found[size - 1].id)])
        body["nextLink"] = f"{cloud.arm_url}{request.path}?{query}"
    return web.json_response(body)


def _candidates(cloud: Cloud, target: ids.Target, spec: TypeSpec | None) -> list[Resource]:
    scope = target.scope
    group = ids.group_of(scope)
    if group is not None and cloud.resources.get(group) is None:
        raise ResourceGroupNotFound(f"Resource group '{ids.split(group)[-1]}' could not be found.")
    if spec is None:  # .../resources: what is tracked, groups aside
        every = cloud.resources.list(scope=scope)
        return [one for one in every if cloud.types.get(one.type).tracked and one.type != _GROUPS]
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
    found = cloud.resources.list(spec.type, scope)
    if spec.extension and target.scope:  # what holds at the scope is above and below it
        above = [one for one in cloud.resources.list(spec.type) if _above(one, target.scope)]
        found = [*found, *(one for one in above if one.id not in {other.id for other in found})]
    return found


def _above(assignment: Resource, scope: str) -> bool:
    own = str(assignment.properties.get("scope", "")).rstrip("/").lower()
    return scope.lower().startswith(own + "/")


def _filtered(found: list[Resource], spec: TypeSpec | None, target: ids.Target, text: str) -> list[Resource]:
    text = text.strip()
    if not text:
        return found
    if spec is None and (match := _FILTERS["type"].fullmatch(text)):
        return [one for one in found if one.type.lower() == match[1].lower()]
    if spec is not None and spec.type == _ASSIGNMENTS:
        if text.lower() == "atscope()":
            return [one for one in found if not one.id.lower().startswith(f"{target.scope}/".lower() + "resource")]
        if match := _FILTERS["principal"].search(text):
            return [one for one in found if str(one.properties["principalId"]).lower() == match[1].lower()]
    if match := _FILTERS["name"].fullmatch(text):
        return [one for one in found if one.name.lower() == match[1].lower()]
    raise NotImplementedHere(
        f"$filter '{text}' on a list of {spec.type if spec else 'resources'} is not supported here."
    )


def _readable(cloud: Cloud, caller: Caller, resource: Resource) -> bool:
    kind = "Microsoft.Resources/subscriptions/resourceGroups" if resource.type == _GROUPS else resource.type
    return cloud.access.allows(caller.principal_id, f"{kind}/read", resource.id)


def _size(request: web.Request) -> int:
    for name in ("$top", "maxresults", "$maxpagesize"):
        given = request.query.get(name)
        if given is not None:
            if not given.isdigit() or not 1 <= int(given) <= 1000:
                raise InvalidQueryParameter(f"{name}={given}: expected 1..1000.")
            return int(given)
    return _PAGE
