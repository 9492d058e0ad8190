"""How a registry writes its errors: the distribution API's envelope, with ACR's challenge and correlation id."""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from local.azure.registry.errors import RegistryError, Unauthorized
from local.azure.registry.grants import Scope


def error_response(error: RegistryError, request: web.Request, needed: Scope | None = None) -> web.Response:
    """The answer for an error. A 401 names where to get a token, by the host name that the client used."""
    entry: dict[str, Any] = {"code": error.code, "message": error.message}
    headers = {"Docker-Distribution-Api-Version": "registry/2.0", **error.headers}
    if isinstance(error, Unauthorized):
        correlation = str(uuid.uuid4())
        entry["message"] += f" CorrelationId: {correlation}"
        headers["X-Ms-Correlation-Request-Id"] = correlation
        challenge = f'Bearer realm="https://{request.host}/oauth2/token",service="{request.host}"'
        if needed is not None:
            challenge += f',scope="{needed}"'
            detail = {"Type": needed.kind, "Name": needed.name}
            entry["detail"] = [detail | {"Action": action} for action in needed.actions]
            if request.headers.get("Authorization", "").startswith("Bearer "):
                challenge += ',error="insufficient_scope"'
        headers["Www-Authenticate"] = challenge
    return web.json_response({"errors": [entry]}, status=error.status, headers=headers)
