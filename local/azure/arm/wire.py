"""The JSON that leaves ARM: resources, lists and errors.

Source: the Resource Provider Contract, https://github.com/cloud-and-ai-microsoft/resource-provider-contract.
"""

from __future__ import annotations

from typing import Any

from local.azure.control_plane.resource_types import TypeSpec
from local.azure.control_plane.resources import Resource
from local.azure.platform.errors import AzureError


def resource_body(resource: Resource, spec: TypeSpec) -> dict[str, Any]:
    """A resource as GET shows it."""
    body: dict[str, Any] = {"id": resource.id, "name": resource.name, "type": resource.type}
    for key in ("location", "tags", "identity", "sku", "kind"):
        value = getattr(resource, key)
        if value is not None:
            body[key] = value
    if spec.tracked:
        body.setdefault("tags", {})
    body.update(resource.envelope)
    properties = dict(resource.properties)
    if spec.hooks is not None:
        properties.update(spec.hooks.view(resource))
    if spec.shows_state:
        properties["provisioningState"] = resource.state
    if spec.shows_etag:
        body["etag"] = resource.etag
    body["properties"] = properties
    return body


def error_body(error: AzureError) -> dict[str, Any]:
    """`{"error": {"code", "message", "details"?}}`."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.details:
        body["details"] = [{"code": code, "message": message} for code, message in error.details]
    return {"error": body}
