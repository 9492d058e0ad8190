"""The JSON that leaves ARM: resources, lists and errors.

Source: the Resource Provider Contract, https://github.com/cloud-and-ai-microsoft/resource-provider-contract.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from local.azure.control_plane.resource_types import TypeSpec
from local.azure.control_plane.resources import Resource
from local.azure.platform.errors import AzureError

ETAG = "etag"
"""In a view: the etag, where the record's own is not the one to show."""


def resource_body(resource: Resource, spec: TypeSpec) -> dict[str, Any]:
    """A resource as GET shows it."""
    body: dict[str, Any] = {"id": resource.id, "name": resource.name, "type": resource.type}
    for key in ("location", "tags", "identity", "sku", "kind"):
        value = getattr(resource, key)
        if value is not None:
            body[key] = value
    if spec.empty_tags:
        body.setdefault("tags", {})
    elif not resource.tags:
        body.pop("tags", None)
    if spec.shows_identity:
        body.setdefault("identity", {"type": "None"})
    body.update(resource.envelope)
    properties = dict(resource.properties)
    if spec.hooks is not None:
        properties.update(spec.hooks.view(resource))
    etag = properties.pop(ETAG, resource.etag)
    if spec.shows_state:
        properties["provisioningState"] = resource.state
    if spec.shows_etag:
        body["etag"] = etag
    body["properties"] = properties
    return body


def shown_etag(resource: Resource, spec: TypeSpec) -> str:
    """The etag as GET shows it: a pool, which the data plane changes, too, has one of its own."""
    return resource.etag if spec.hooks is None else str(spec.hooks.view(resource).get(ETAG, resource.etag))


def error_body(error: AzureError, request_id: str, now: datetime) -> dict[str, Any]:
    """`{"error": {"code", "message", "target"?, "details"?}}`.

    Batch's errors have a target, and the request's id and time at the end of the message (reported: Azure/Batch#85).
    """
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.target is not None:
        time = f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
        body |= {"message": f"{error.message}\nRequestId:{request_id}\nTime:{time}", "target": error.target}
    if error.details:
        body["details"] = [{"code": code, "message": message} for code, message in error.details]
    return {"error": body}
