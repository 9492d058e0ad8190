"""From a resource's inputs to its ARM request: path, api-version, body. Pure, and the same for every type.

Azure's envelope: a few properties stand at the top of a body (`ENVELOPE`), all others under `properties`. Path
parameters are no part of the body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from local.plugins.azure_native.resources import WHOLE_IDS, ResourceType, resource_type
from local.plugins.protocol.errors import InvalidInput
from local.plugins.protocol.property_values import UNKNOWN

# Azure Resource Manager's resource envelope (common-types of the REST descriptions, `managedBy` of resource groups, and
# `eTag` of budgets).
ENVELOPE: Final = frozenset(
    {"location", "tags", "sku", "identity", "kind", "zones", "plan", "managedBy", "extendedLocation", "eTag"}
)


@dataclass(frozen=True)
class Request:
    """A PUT, without server and token."""

    path: str
    api_version: str
    body: dict[str, Any]


def translate(token: str, inputs: Mapping[str, Any], subscription_id: str = "{subscriptionId}") -> Request:
    """The request that creates or updates the resource with these (checked) inputs.

    Without a subscription its place stays a placeholder, which suits golden files.
    """
    kind = resource_type(token)
    return Request(resource_path(token, inputs, subscription_id), kind.api_version, _body(kind, inputs))


def resource_path(token: str, inputs: Mapping[str, Any], subscription_id: str) -> str:
    """The resource's id, from inputs that include its name."""
    kind = resource_type(token)
    path = kind.path.replace("{subscriptionId}", subscription_id)
    for name in kind.parameters:
        value = inputs.get(name)
        if value is UNKNOWN or not isinstance(value, str) or not value:
            shown = "not known yet" if value is UNKNOWN else "missing" if not value else repr(value)
            raise InvalidInput(f"{token}: '{name}' is part of the resource's path and is {shown}; give it as a string")
        path = path.replace("{" + name + "}", value.strip("/") if name in WHOLE_IDS else quote(value, safe="-._~()"))
    return f"/{path}"


def parse_path(token: str, resource_id: str) -> dict[str, str]:
    """The path parameters in an id: what `resource_path` put there."""
    kind = resource_type(token)
    pattern = re.sub(r"{(\w+)}", lambda m: f"(?P<{m[1]}>{'.+' if m[1] in WHOLE_IDS else '[^/]+'})", kind.path)
    match = re.fullmatch(pattern, resource_id.strip("/"), re.IGNORECASE)
    if match is None:
        raise InvalidInput(f"{resource_id!r} is not the id of a {token}; expected /{kind.path}")
    values = {name: value for name, value in match.groupdict().items() if name != "subscriptionId"}
    return {name: f"/{value}" if name in WHOLE_IDS else value for name, value in values.items()}


def _body(kind: ResourceType, inputs: Mapping[str, Any]) -> dict[str, Any]:
    path = set(kind.parameters)
    given = {name: v for name, v in inputs.items() if name not in path and v is not None and name[:2] != "__"}
    body = {name: _top(name, given[name]) for name in sorted(given) if name in ENVELOPE}
    rest = {name: value for name, value in given.items() if name not in ENVELOPE}
    own = rest.pop("properties", None)  # of types whose properties the SDK does not flatten: vaults and their keys
    if rest or own is not None:
        body["properties"] = _to_wire(kind.renames, {**rest, **(own or {})}, "")
    return body


def _top(name: str, value: Any) -> Any:
    """A list of user-assigned identities is a map with the ids as keys on the wire."""
    if name == "identity" and isinstance(value, dict) and isinstance(value.get("userAssignedIdentities"), list):
        return value | {"userAssignedIdentities": {str(item): {} for item in value["userAssignedIdentities"]}}
    return value


def _to_wire(renames: Mapping[str, str], value: Any, path: str) -> Any:
    if isinstance(value, dict):
        body: dict[str, Any] = {}
        for name in sorted(value):
            step = f"{path}.{name}" if path else name
            if value[name] is not None:
                *outer, wire = renames.get(step, name).split("/")
                target = body
                for container in outer:
                    target = target.setdefault(container, {})
                target[wire] = _to_wire(renames, value[name], step)
        return body
    if isinstance(value, list):
        return [_to_wire(renames, item, path) for item in value]
    return value
