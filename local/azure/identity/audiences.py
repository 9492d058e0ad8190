"""Which audiences tokens are issued for: one table, so that a mistyped scope fails here as it does at Entra."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.tokens import (
    ARM_AUDIENCES,
    BATCH_AUDIENCES,
    GRAPH_AUDIENCES,
    REGISTRY_AUDIENCES,
    SQL_AUDIENCES,
    STORAGE_AUDIENCES,
)
from local.azure.identity.errors import InvalidOAuthRequest

KNOWN = (
    *ARM_AUDIENCES, *BATCH_AUDIENCES, *STORAGE_AUDIENCES, *REGISTRY_AUDIENCES, *SQL_AUDIENCES,
    *GRAPH_AUDIENCES, "https://vault.azure.net",
)  # fmt: skip


def audience_of(cloud: Cloud, form: Mapping[str, str]) -> str:
    """The audience that a token request names by `scope` (v2.0) or `resource` (v1)."""
    if "scope" in form:
        wanted = [one for one in form["scope"].split() if one not in ("openid", "profile", "offline_access")]
        if len(wanted) != 1 or not wanted[0].endswith("/.default"):
            raise InvalidOAuthRequest(
                "AADSTS1002012: The provided value for scope "
                f"{form['scope']} is not valid. Client credential flows must have a scope value with /.default "
                "suffixed to the resource identifier (application ID URI).",
                reason="invalid_scope",
            )
        return resource_audience(cloud, wanted[0].removesuffix("/.default"))
    if "resource" in form:
        return resource_audience(cloud, form["resource"])
    raise InvalidOAuthRequest("AADSTS900144: The request body must contain the following parameter: 'scope'.")


def resource_audience(cloud: Cloud, resource: str) -> str:
    """The resource itself when it is a known one, or belongs to this cloud, else AADSTS500011."""
    bare = resource.rstrip("/").lower()
    if bare in {one.rstrip("/").lower() for one in KNOWN}:
        return resource
    parts = urlsplit(resource)
    if parts.scheme == "https" and parts.hostname is not None:
        # a storage account's own URL, or any service of this cloud on one of its ports
        if parts.hostname.endswith(".blob.core.windows.net"):
            return resource
        if parts.hostname == "127.0.0.1" and parts.port in cloud.ports.block():
            return resource
    raise InvalidOAuthRequest(
        f"AADSTS500011: The resource principal named {resource} was not found in the tenant named Local Azure. This "
        "can happen if the application has not been installed by the administrator of the tenant or consented to by "
        "any user in the tenant. You might have sent your authentication request to the wrong tenant.",
        reason="invalid_resource",
    )
