"""ACR's token endpoints: an Entra token is exchanged for a refresh token, which buys access tokens for scopes.

Described in https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md. Owns the requests' fields, not the rights
(`grants.py`).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from multidict import MultiDictProxy

from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import ARM_AUDIENCES, REGISTRY_AUDIENCES, Tokens
from local.azure.platform.errors import AzureError
from local.azure.registry.errors import InvalidRequest, Unauthorized
from local.azure.registry.grants import ADMIN, TOKEN_USER, Grants, Scope

_EXCHANGES = ("access_token", "access_token_refresh_token", "refresh_token")


class OAuth:
    """`/oauth2/exchange` and `/oauth2/token`."""

    def __init__(self, tokens: Tokens, grants: Grants) -> None:
        self._tokens = tokens
        self._grants = grants

    async def exchange(self, request: web.Request, registry: Resource) -> web.Response:
        """POST /oauth2/exchange."""
        form = await _form(request)
        kind = _field(form, "grant_type")
        if kind not in _EXCHANGES:
            raise InvalidRequest(f"grant_type {kind!r} is not one of {', '.join(_EXCHANGES)}; correct the request")
        if kind == "refresh_token":
            raise InvalidRequest("an Entra refresh token cannot be exchanged here; send grant_type=access_token")
        _field(form, "service")
        principal = self._entra_principal(_field(form, "access_token"))
        return web.json_response({"refresh_token": self._grants.refresh_token(registry, principal)})

    async def token(self, request: web.Request, registry: Resource) -> web.Response:
        """GET (with basic authorization) or POST (with a refresh token) /oauth2/token."""
        if request.method == "POST":
            form = await _form(request)
            scopes = " ".join(str(scope) for scope in form.getall("scope", []))
            principal = self._posted_principal(form, registry)
        else:
            scopes = " ".join(request.query.getall("scope", []))
            principal = self._basic_principal(request.headers.get("Authorization", ""), registry)
        token = self._grants.access_token(registry, principal, [Scope.parse(text) for text in scopes.split()])
        return web.json_response(
            {"access_token": token, "token": token} if request.method == "GET" else {"access_token": token}
        )

    def _posted_principal(self, form: Mapping[str, object], registry: Resource) -> str:
        kind = _field(form, "grant_type")
        if kind == "refresh_token":
            return self._grants.principal(registry, _field(form, "refresh_token"))
        if kind == "password":
            return self._password_principal(_field(form, "username"), _field(form, "password"), registry)
        raise InvalidRequest(f"grant_type {kind!r} is not one of refresh_token, password; correct the request")

    def _basic_principal(self, header: str, registry: Resource) -> str:
        scheme, _, credentials = header.partition(" ")
        try:
            user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Unauthorized from error
        if scheme.lower() != "basic":
            raise Unauthorized
        return self._password_principal(user, password, registry)

    def _password_principal(self, user: str, password: str, registry: Resource) -> str:
        if user == TOKEN_USER:
            return self._grants.principal(registry, password)
        kept = registry.system.get("passwords", [])
        right = any(hmac.compare_digest(password.encode(), one.encode()) for one in kept)
        if registry.properties.get("adminUserEnabled") and user.lower() == registry.name.lower() and right:
            return ADMIN
        raise Unauthorized

    def _entra_principal(self, token: str) -> str:
        try:
            return self._tokens.verify(token, (*REGISTRY_AUDIENCES, *ARM_AUDIENCES)).principal_id
        except AzureError as error:
            raise Unauthorized from error


async def _form(request: web.Request) -> MultiDictProxy[Any]:
    try:
        return await request.post()
    except (ValueError, LookupError, web.HTTPException) as error:  # no form, or not in the encoding that it names
        raise InvalidRequest("the body is not a form; send application/x-www-form-urlencoded") from error


def _field(form: Mapping[str, object], name: str) -> str:
    value = form.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"the field {name!r} is missing; add it to the form")
    return value
