"""Access tokens as Entra issues them: RS256 JWTs of version 1.0, signed with a key kept in the state folder.

Owns issuing and checking; not who may have one (`identity/`) nor what it allows (`access.py`).
Claims: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.azure.control_plane.errors import AuthenticationFailed
from local.azure.platform.clock import Clock, SystemClock, clients_now
from local.azure.platform.faults import conditions
from local.paths import Paths, write_private

ARM_AUDIENCES = ("https://management.azure.com/", "https://management.core.windows.net/")
BATCH_AUDIENCES = ("https://batch.core.windows.net/",)
STORAGE_AUDIENCES = ("https://storage.azure.com/",)
REGISTRY_AUDIENCES = ("https://containerregistry.azure.net",)
GRAPH_AUDIENCES = ("https://graph.microsoft.com", "https://graph.windows.net")
SQL_AUDIENCES = ("https://database.windows.net/",)


@dataclass(frozen=True)
class Caller:
    """The principal of a verified token."""

    principal_id: str
    client_id: str
    kind: str
    audience: str


class Tokens:
    """Issues and verifies the tokens of one tenant."""

    def __init__(self, paths: Paths | None, tenant_id: str, clock: Clock | None = None) -> None:
        """Read or make the key (`paths` None: a key for this object's life only, for tests)."""
        self._clock = clock or SystemClock()
        self.tenant_id = tenant_id
        self.issuer = f"https://sts.windows.net/{tenant_id}/"
        self._key = _load_key(paths)
        numbers = self._key.public_key().public_numbers()
        self._modulus = _base64(numbers.n)
        self._exponent = _base64(numbers.e)
        digest = hashlib.sha256(f"{self._modulus}.{self._exponent}".encode()).digest()
        self._key_id = base64.urlsafe_b64encode(digest[:20]).rstrip(b"=").decode()

    def now(self) -> datetime:
        """The time by which tokens are made and judged."""
        return clients_now(self._clock) + conditions().token_skew

    def issue(
        self, *, principal_id: str, client_id: str, audience: str, lifetime_seconds: int = 3600, kind: str = "app"
    ) -> str:
        """A token for the principal, good at `audience` only."""
        now = self.now()
        claims = {
            "aud": audience,
            "iss": self.issuer,
            "iat": now,
            "nbf": now - timedelta(seconds=5),
            "exp": now + timedelta(seconds=lifetime_seconds),
            "appid": client_id,
            "appidacr": "1",
            "idp": self.issuer,
            "idtyp": kind,
            "oid": principal_id,
            "sub": principal_id,
            "tid": self.tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id, "x5t": self._key_id})

    def verify(self, token: str, audiences: Collection[str]) -> Caller:
        """The caller, or AuthenticationFailed; audiences are compared without their trailing slash."""
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                issuer=self.issuer,
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "require": ["aud", "exp", "nbf", "oid", "appid"],
                },
            )
        except jwt.InvalidTokenError as error:
            raise AuthenticationFailed(f"The access token is invalid: {error}.") from error
        now = self.now().timestamp()
        if claims["exp"] <= now:
            raise AuthenticationFailed("The access token has expired.", reason="ExpiredAuthenticationToken")
        if claims["nbf"] > now + 300:
            raise AuthenticationFailed("The access token is not valid yet; compare the clocks.")
        audience = str(claims["aud"])
        if audience.rstrip("/") not in {wanted.rstrip("/") for wanted in audiences}:
            raise AuthenticationFailed(
                f"The access token has been obtained for wrong audience or resource '{audience}'. It should exactly "
                f"match with one of the allowed audiences {', '.join(repr(one) for one in sorted(audiences))}.",
                reason="InvalidAuthenticationTokenAudience",
            )
        return Caller(claims["oid"], claims["appid"], str(claims.get("idtyp", "app")), audience)

    def jwks(self) -> dict[str, Any]:
        """The public key, as the authority publishes it."""
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self._key_id, "n": self._modulus, "e": self._exponent}
        return {"keys": [key]}


def authorization(headers: Mapping[str, str]) -> tuple[str, str]:
    """The Authorization header of a request: its scheme in small letters, and what follows; empty without one."""
    scheme, _, credential = headers.get("Authorization", "").partition(" ")
    return scheme.lower(), credential.strip()


def _load_key(paths: Paths | None) -> rsa.RSAPrivateKey:
    path = None if paths is None else paths.state / "token.key"
    if path is not None and path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{path} is not an RSA key; remove it to make a new one (tokens in use become invalid)")
        return key
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if path is not None:
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, pem)
    return key


def _base64(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
