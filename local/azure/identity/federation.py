"""Workload identity federation: a token of another issuer (GitHub's) stands for a managed identity.

Owns the decision whether an assertion is good: the identity's federated credentials name issuer, subject and audience,
which are compared letter by letter; the issuer's own metadata gives the key. The authority issues the token.
Source: https://learn.microsoft.com/entra/workload-id/workload-identity-federation; the texts are those that Entra sent
to people who reported them (Azure/login#482, #283; Azure/azure-workload-identity#1200, #1232).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp
import jwt

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resources import Resource
from local.azure.identity.directory import Directory, Principal
from local.azure.identity.errors import InvalidClient, InvalidOAuthRequest
from local.azure.identity.hooks import FEDERATED_CREDENTIALS

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""RFC 7523, 2.2."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_LARGEST_DOCUMENT: Final = 256 * 1024
_SKEW_SECONDS: Final = 300
"""How far the issuer's clock may be ahead [guess: Entra's usual five minutes]."""
_MORE: Final = (
    "Check your federated identity credential Subject, Audience and Issuer against the presented assertion. "
    "https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
)


class Federation:
    """Judges the assertions of one tenant's clients."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._directory = Directory(cloud)

    async def principal(self, client_id: str, form: Mapping[str, str]) -> Principal:
        """The managed identity for which the form's assertion stands. Raises `InvalidClient`, `InvalidOAuthRequest`."""
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidOAuthRequest(
                f"AADSTS50012: Authentication failed: 'client_assertion_type' must be '{ASSERTION_TYPE}'."
            )
        principal = self._principal(client_id)
        token = form["client_assertion"]
        try:
            header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            raise InvalidOAuthRequest("AADSTS50027: JWT token is invalid or malformed.") from None
        issuer = self._matching(principal, claims)
        self._verify(token, header, issuer, await self._keys(issuer))
        return principal

    def _principal(self, client_id: str) -> Principal:
        wanted = client_id.lower()
        found = next(
            (one for one in self._directory.principals() if (one.client_id or "").lower() == wanted),
            None,
        )
        if found is None:
            raise InvalidClient(
                f"AADSTS700016: Application with identifier '{client_id}' was not found in the directory 'Local Azure'."
            )
        return found

    def _credentials(self, principal: Principal) -> list[Resource]:
        identity = f"{principal.resource_id or ''}/".lower()
        return [
            one
            for one in self._cloud.resources.list(FEDERATED_CREDENTIALS)
            if principal.resource_id and one.id.lower().startswith(identity)
        ]

    def _matching(self, principal: Principal, claims: Mapping[str, Any]) -> str:
        """The issuer, when one credential has the claims' issuer, subject and audience."""
        credentials = self._credentials(principal)
        if not credentials:
            raise InvalidClient(
                f"AADSTS70025: The client '{principal.client_id}'({principal.name}) has no configured federated "
                "identity credentials."
            )
        audience = claims.get("aud")
        given: tuple[tuple[str, str, str, Sequence[object]], ...] = (
            ("700211", "issuer", "issuer", [claims.get("iss")]),
            ("700213", "subject", "subject", [claims.get("sub")]),
            ("700212", "audience", "audiences", audience if isinstance(audience, list) else [audience]),
        )
        for number, word, key, values in given:
            credentials = [one for one in credentials if _has(one.properties.get(key), values)]
            if not credentials:
                shown = ", ".join(map(str, values))
                raise InvalidClient(
                    f"AADSTS{number}: No matching federated identity record found for presented assertion {word} "
                    f"'{shown}'. {_MORE}"
                )
        return str(claims["iss"])

    async def _keys(self, issuer: str) -> list[dict[str, Any]]:
        """The issuer's public keys, from its metadata (OpenID Connect Discovery 1.0, 4)."""
        trusted = ssl.create_default_context()
        trusted.load_verify_locations(cafile=self._cloud.paths.ca)  # issuers on this machine have our certificates
        connector = aiohttp.TCPConnector(ssl=trusted)
        try:
            async with aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector) as session:
                document = await _document(session, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                if document.get("issuer") != issuer:
                    raise ValueError(f"the metadata's issuer is {document.get('issuer')!r}")
                keys = (await _document(session, str(document.get("jwks_uri")))).get("keys")
        except (TimeoutError, aiohttp.ClientError, ValueError, OSError):
            raise InvalidOAuthRequest("AADSTS501661: Request to External OIDC endpoint failed.") from None
        return [one for one in keys if isinstance(one, dict)] if isinstance(keys, list) else []

    def _verify(self, token: str, header: Mapping[str, Any], issuer: str, keys: Sequence[dict[str, Any]]) -> None:
        name = header.get("kid")
        key = next((one for one in keys if one.get("kid") == name and one.get("kty") == "RSA"), None)
        if key is None:
            raise InvalidClient(
                f"AADSTS7000272: The certificate with identifier {name} used to sign the federated credential could "
                f"not be found in the metadata of identity provider {issuer}. Please validate that your Identity "
                "Provider's metadata exposes the key used to sign the incoming token."
            )
        times = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False, "require": ["exp"]}
        try:
            claims = jwt.decode(token, jwt.PyJWK(key), algorithms=["RS256"], options=times)  # pyright: ignore[reportArgumentType]
        except jwt.PyJWTError:
            raise InvalidClient("AADSTS700027: Client assertion failed signature validation.") from None
        now = self._cloud.tokens.now().timestamp()
        begins, ends = _seconds(claims.get("nbf"), 0.0), _seconds(claims["exp"], 0.0)
        if not begins - _SKEW_SECONDS <= now < ends:
            raise InvalidClient(
                "AADSTS700024: Client assertion is not within its valid time range. Current time: "
                f"{now:.0f}, assertion valid from {begins:.0f}, expiry time of assertion {ends:.0f}."
            )


def _has(configured: object, values: Sequence[object]) -> bool:
    """Whether a credential's property is one of the values, letter by letter."""
    wanted = configured if isinstance(configured, list) else [configured]
    return any(isinstance(value, str) and value in wanted for value in values)


async def _document(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    if not url.startswith("https://"):
        raise ValueError(f"{url} is no https address")
    async with session.get(url, allow_redirects=False) as answer:
        answer.raise_for_status()
        raw = await answer.content.read(_LARGEST_DOCUMENT)
        if answer.status != 200 or not answer.content.at_eof():
            raise ValueError(f"{url} answered {answer.status}, or more than {_LARGEST_DOCUMENT} bytes")
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise ValueError(f"{url} is no JSON object")
    return found


def _seconds(value: object, otherwise: float) -> float:
    """A NumericDate of a JWT."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
