"""`GET /metadata/endpoints`: how clients of a cloud learn its parts. No token needed, one object."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from local.azure.control_plane.cloud import Cloud
from local.azure.platform.ports import HOST


def metadata_document(cloud: Cloud) -> dict[str, Any]:
    """The cloud's description; nothing in it leads off this machine.

    Suffixes are what the SDKs append to account names; here accounts have ports instead.
    """
    url = cloud.arm_url
    return {
        "name": "LocalAzure",
        "portal": url,
        "authentication": {
            "loginEndpoint": url,
            "audiences": [url],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": url,
        "batch": cloud.batch_audience,
        "gallery": url,
        "graph": f"{url}/",
        "graphAudience": f"{url}/",
        "microsoftGraphResourceId": f"{url}/",
        "media": url,
        "sqlManagement": url,
        "vmImageAliasDoc": f"{url}/aliases.json",
        "suffixes": {
            "storage": HOST,
            "acrLoginServer": HOST,
            "keyVaultDns": "vault.azure.test",
            "sqlServerHostname": "azure.test",
        },
    }


def metadata_routes(cloud: Cloud) -> list[web.RouteDef]:
    """The one route."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(metadata_document(cloud))

    return [web.get("/metadata/endpoints", answer)]
