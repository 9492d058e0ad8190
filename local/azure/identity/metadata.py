"""`GET /metadata/endpoints`: how clients of a cloud learn its parts. No token needed, one object."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from local.azure.control_plane.cloud import Cloud
from local.azure.platform.ports import HOST

_ONE_CLOUD = "2022-09-01"


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
    """The one route. Versions before 2022-09-01 answered a list of clouds, which azure-cli reads by
    ARM_CLOUD_METADATA_URL; later ones (and no version at all) answer this cloud."""

    async def answer(request: web.Request) -> web.Response:
        document = metadata_document(cloud)
        version = request.query.get("api-version", _ONE_CLOUD)
        return web.json_response(document if version >= _ONE_CLOUD else [document])

    return [web.get("/metadata/endpoints", answer)]
