"""The instance metadata endpoint, as one function: the node relay answers with a node's identities, the host with none.

Source: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token and
https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from local.azure.control_plane.cloud import Cloud
from local.azure.identity import events
from local.azure.identity.audiences import resource_audience
from local.azure.platform.errors import AzureError

_LIFETIME = 86399
_SELECTORS = ("client_id", "object_id", "principal_id", "msi_res_id", "mi_res_id")
Answer = tuple[int, dict[str, str], bytes]


class NodeIdentity(Protocol):
    """What `local.node.contract.Identity` has."""

    @property
    def resource_id(self) -> str:
        """ARM id."""
        ...

    @property
    def client_id(self) -> str:
        """Application id."""
        ...

    @property
    def principal_id(self) -> str:
        """Object id."""
        ...


@dataclass(frozen=True)
class Machine:
    """The answer of `/metadata/instance`: the node's name, size and place."""

    name: str = "node"
    vm_size: str = ""
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def imds_response(
    cloud: Cloud,
    identities: Sequence[NodeIdentity],
    method: str,
    path_qs: str,
    headers: Mapping[str, str],
    machine: Machine | None = None,
) -> Answer:
    """Status, headers and body for a request to 169.254.169.254."""
    parts = urlsplit(path_qs)
    query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    lower = {name.lower(): value for name, value in headers.items()}
    if "x-forwarded-for" in lower or lower.get("metadata", "").lower() != "true":
        return _error(400, "invalid_request", "Required metadata header not specified")
    path = parts.path.rstrip("/").lower()
    if method != "GET" and not (path == "/metadata/scheduledevents" and method == "POST"):
        return _error(405, "method_not_allowed", f"The method {method} is not allowed")
    if not query.get("api-version"):
        return _error(400, "invalid_request", "Required query variable 'api-version' is missing")
    if path == "/metadata/identity/oauth2/token":
        return _token(cloud, identities, query)
    if path == "/metadata/instance":
        return _answer(200, _instance(cloud, machine or Machine()))
    if path == "/metadata/scheduledevents":
        return _answer(200, events.document(cloud.paths))
    return _error(404, "not_found", f"The path '{parts.path}' was not found")


def imds_refusal(kind: str, headers: Mapping[str, str]) -> Answer:
    """Too many requests (`throttle`), or a failure of its own: both are documented as worth trying again
    (https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling)."""
    throttled = kind == "throttle"
    status, more, body = (
        _error(429, "too_many_requests", "Too many requests")
        if throttled
        else _error(500, "unknown_error", "Failed to retrieve token from the Active directory")
    )
    return status, {**more, **headers}, body


def _token(cloud: Cloud, identities: Sequence[NodeIdentity], query: Mapping[str, str]) -> Answer:
    resource = query.get("resource")
    if not resource:
        return _error(400, "invalid_request", "Required query variable 'resource' is missing")
    given = [name for name in _SELECTORS if query.get(name)]
    if len(given) > 1:
        return _error(400, "invalid_request", f"Only one of {', '.join(given)} may be specified")
    matching = [one for one in identities if not given or _is(one, given[0], query[given[0]])]
    if len(matching) > 1:
        return _error(
            400,
            "invalid_request",
            "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the "
            "token request",
        )
    if not matching:
        return _error(400, "invalid_request", "Identity not found")
    one = matching[0]
    try:
        audience = resource_audience(cloud, resource)
    except AzureError as error:
        return _error(400, error.code, error.message)
    token = cloud.tokens.issue(
        principal_id=one.principal_id,
        client_id=one.client_id,
        audience=audience,
        lifetime_seconds=_LIFETIME,
        kind="managed_identity",
    )
    now = int(cloud.tokens.now().timestamp())
    body = {
        "access_token": token,
        "client_id": one.client_id,
        "expires_in": str(_LIFETIME),
        "expires_on": str(now + _LIFETIME),
        "ext_expires_in": str(_LIFETIME),
        "not_before": str(now - 5),
        "resource": resource,
        "token_type": "Bearer",
    }
    return _answer(200, body)


def _is(identity: NodeIdentity, selector: str, value: str) -> bool:
    own = {"client_id": identity.client_id, "object_id": identity.principal_id, "principal_id": identity.principal_id}
    return own.get(selector, identity.resource_id).strip("/").lower() == value.strip("/").lower()


def _instance(cloud: Cloud, machine: Machine) -> dict[str, Any]:
    return {
        "compute": {
            "azEnvironment": "LocalAzure",
            "location": machine.location or cloud.settings.location,
            "name": machine.name,
            "osType": "Linux",
            "subscriptionId": cloud.settings.subscription_id,
            "tagsList": [{"name": name, "value": value} for name, value in machine.tags.items()],
            "vmSize": machine.vm_size,
        },
        "network": {"interface": []},
    }


def _answer(status: int, body: Mapping[str, Any]) -> Answer:
    return status, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(body).encode()


def _error(status: int, code: str, text: str) -> Answer:
    return _answer(status, {"error": code, "error_description": text})
