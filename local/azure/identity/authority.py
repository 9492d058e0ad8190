"""The Entra-like authority: OIDC discovery, keys and client-credential tokens (by a secret, or by an assertion of a
federated issuer), on ARM's port.

Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow and Entra's error codes.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from local.azure.control_plane.cloud import Cloud
from local.azure.identity.audiences import audience_of
from local.azure.identity.directory import Directory
from local.azure.identity.errors import AuthorityFailed, AuthorityThrottled, InvalidClient, InvalidOAuthRequest
from local.azure.identity.federation import Federation
from local.azure.platform.errors import AzureError
from local.azure.platform.http_faults import HttpFaults

_LIFETIME = 3599
_COMMON = ("common", "organizations", "consumers")


class Authority:
    """The routes of one tenant's authority."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._directory = Directory(cloud)
        self._federation = Federation(cloud)

    def routes(self) -> list[web.RouteDef]:
        """Paths as login.microsoftonline.com has them."""
        faults = HttpFaults(self._cloud.faults, "authority", self._fault)
        found = [
            web.get("/{tenant}/v2.0/.well-known/openid-configuration", self.configuration),
            web.get("/{tenant}/.well-known/openid-configuration", self.configuration),
            web.get("/common/discovery/instance", self.instance),
            web.get("/{tenant}/discovery/v2.0/keys", self.keys),
            web.get("/{tenant}/discovery/keys", self.keys),
            web.post("/{tenant}/oauth2/v2.0/token", self.token),
            web.post("/{tenant}/oauth2/token", self.token),
        ]
        return [web.route(one.method, one.path, faults.around(one.handler)) for one in found]

    async def configuration(self, request: web.Request) -> web.Response:
        """OIDC discovery."""
        tenant = request.match_info["tenant"]
        known = (*_COMMON, self._cloud.settings.tenant_id)
        if tenant.lower() not in known:
            return self._refuse(self._unknown_tenant(tenant))
        base = f"{self._cloud.arm_url}/{tenant}"
        return web.json_response(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": f"{self._cloud.arm_url}/{self._cloud.settings.tenant_id}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
                "claims_supported": ["sub", "iss", "aud", "exp", "iat", "oid", "tid", "ver"],
                "tenant_region_scope": "EU",
                "cloud_instance_name": self._cloud.arm_url.removeprefix("https://"),
            }
        )

    async def instance(self, request: web.Request) -> web.Response:
        """Instance discovery: this authority vouches for itself."""
        host = self._cloud.arm_url.removeprefix("https://")
        tenant = f"{self._cloud.arm_url}/{self._cloud.settings.tenant_id}"
        return web.json_response(
            {
                "tenant_discovery_endpoint": f"{tenant}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }
        )

    async def keys(self, request: web.Request) -> web.Response:
        """The signing key."""
        return web.json_response(self._cloud.tokens.jwks())

    async def token(self, request: web.Request) -> web.Response:
        """Client credentials for a token; v2.0 asks by scope, v1 by resource."""
        try:
            form = {name: str(value) for name, value in (await request.post()).items()}
        except (ValueError, LookupError, web.HTTPException):  # no form, or not in the encoding that it names
            return self._refuse(
                InvalidOAuthRequest(
                    "AADSTS900144: The request body must contain the following parameter: 'grant_type'."
                )
            )
        try:
            return web.json_response(await self._grant(request, form), headers={"Cache-Control": "no-store"})
        except AzureError as error:
            return self._refuse(error)

    async def _grant(self, request: web.Request, form: dict[str, str]) -> dict[str, Any]:
        tenant = request.match_info["tenant"]
        if tenant.lower() != self._cloud.settings.tenant_id:
            raise self._unknown_tenant(tenant)
        grant = form.get("grant_type", "")
        if grant != "client_credentials":
            raise InvalidOAuthRequest(
                f"AADSTS70003: The app requested an unsupported grant type '{grant}'; the local Azure has "
                "client_credentials (and managed identity through IMDS).",
                reason="unsupported_grant_type",
            )
        principal_id, client_id = await self._client(request, form)
        audience = audience_of(self._cloud, form)
        token = self._cloud.tokens.issue(
            principal_id=principal_id,
            client_id=client_id,
            audience=audience,
            lifetime_seconds=_LIFETIME,
        )
        answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": _LIFETIME, "ext_expires_in": _LIFETIME}
        if "resource" in form:  # v1 answers with strings and the resource
            expires = int(self._cloud.tokens.now().timestamp()) + _LIFETIME
            answer = {name: str(value) for name, value in answer.items()}
            answer |= {"expires_on": str(expires), "not_before": str(expires - _LIFETIME - 5), "resource": audience}
        return answer | {"access_token": token}

    async def _client(self, request: web.Request, form: Mapping[str, str]) -> tuple[str, str]:
        """Object id and client id of who proved who it is."""
        if form.get("client_assertion"):
            client_id = form.get("client_id", "")
            found = await self._federation.principal(client_id, form)
            return found.object_id, client_id
        client_id, secret = _credentials(request, form)
        application = self._directory.application(client_id)
        if application is None:
            raise InvalidClient(
                f"AADSTS700016: Application with identifier '{client_id}' was not found in the directory "
                "'Local Azure'. This can happen if the application has not been installed by the administrator of the "
                "tenant or consented to by any user in the tenant. You may have sent your authentication request to "
                "the wrong tenant."
            )
        if not application.has_secret(secret):
            raise InvalidClient(
                "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the "
                f"client secret value, not the client secret ID, for a secret added to app '{client_id}'."
            )
        return application.object_id, application.client_id

    def _fault(self, request: web.Request, kind: str) -> web.Response:
        return self._refuse(AuthorityThrottled() if kind == "throttle" else AuthorityFailed())

    def _unknown_tenant(self, tenant: str) -> InvalidOAuthRequest:
        return InvalidOAuthRequest(
            f"AADSTS90002: Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are "
            "signing into the correct cloud.",
            reason="invalid_tenant",
        )

    def _refuse(self, error: AzureError) -> web.Response:
        """OAuth's error body with Entra's additions."""
        trace, correlation = uuid.uuid4(), uuid.uuid4()
        stamp = self._cloud.clock.now().strftime("%Y-%m-%d %H:%M:%SZ")
        number = error.message.removeprefix("AADSTS").split(":", 1)[0]
        body = {
            "error": error.code,
            "error_description": f"{error.message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}",
            "error_codes": [int(number)] if number.isdigit() else [],
            "timestamp": stamp,
            "trace_id": str(trace),
            "correlation_id": str(correlation),
        }
        return web.json_response(body, status=error.status)


def _credentials(request: web.Request, form: Mapping[str, str]) -> tuple[str, str]:
    """From the form, or from HTTP Basic."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidOAuthRequest("AADSTS900144: The Authorization header is not valid Basic.") from None
        return unquote(name), unquote(secret)
    for name in ("client_id", "client_secret"):
        if not form.get(name):
            code = "900144" if name == "client_id" else "7000216"
            raise InvalidOAuthRequest(f"AADSTS{code}: The request body must contain the following parameter: '{name}'.")
    return form["client_id"], form["client_secret"]
