"""ACR's two tokens and the rights they carry: a refresh token names the caller, an access token what it may do.

Owns signing, checking and the table from registry actions to Azure operations. Lifetimes and shape:
https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md. Rights are read from role assignments when an access token is
made, as ACR does: a removed role works on until the token ends.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import jwt
from jwt.types import Options

from local.azure.control_plane.access import Access
from local.azure.control_plane.ids import REGISTRIES
from local.azure.control_plane.resources import Resource
from local.azure.platform.clock import Clock, clients_now
from local.azure.platform.store import Store
from local.azure.registry.errors import InvalidRequest, Unauthorized

ISSUER: Final = "Azure Container Registry"
TOKEN_USER: Final = str(uuid.UUID(int=0))
REFRESH_LIFE: Final = timedelta(hours=3)
ACCESS_LIFE: Final = timedelta(minutes=75)
ADMIN: Final = "admin-user"  # the principal of a registry's admin user: may do all, in its registry

_PULL, _PUSH, _DELETE = f"{REGISTRIES}/pull/read", f"{REGISTRIES}/push/write", f"{REGISTRIES}/artifacts/delete"
# Actions, and the data actions of the repository roles:
# https://learn.microsoft.com/azure/role-based-access-control/permissions/containers#microsoftcontainerregistry;
# which action metadata and catalog need is a guess: reading needs pull, writing needs push.
OPERATIONS: Final = {
    "repository": {"pull": _PULL, "push": _PUSH, "delete": _DELETE, "metadata_read": _PULL, "metadata_write": _PUSH},
    "registry": {"catalog:*": _PULL},
}
DATA_OPERATIONS: Final = {
    "repository": {
        "pull": f"{REGISTRIES}/repositories/content/read", "push": f"{REGISTRIES}/repositories/content/write",
        "delete": f"{REGISTRIES}/repositories/content/delete",
        "metadata_read": f"{REGISTRIES}/repositories/metadata/read",
        "metadata_write": f"{REGISTRIES}/repositories/metadata/write",
    },
    "registry": {"catalog:*": f"{REGISTRIES}/catalog/read"},
}  # fmt: skip
ABAC: Final = "AbacRepositoryPermissions"
LEGACY: Final = "LegacyRegistryPermissions"
"""`roleAssignmentMode`: with ABAC, actions (AcrPull, AcrPush, Contributor, Owner) give no right on images; the data
actions of the repository roles give theirs in both modes. Conditions on role assignments are not known here.
docs/azure-facts.md#roles-of-a-registry"""


@dataclass(frozen=True)
class Scope:
    """`repository:NAME:ACTION,ACTION` of a token request."""

    kind: str
    name: str
    actions: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Read one scope; repository names have no colon."""
        parts = text.split(":")
        if len(parts) != 3 or parts[0] not in OPERATIONS:
            raise InvalidRequest(
                f"scope {text!r} is not of the form repository:NAME:ACTIONS or registry:catalog:*; correct the request"
            )
        return cls(parts[0], parts[1], tuple(action for action in parts[2].split(",") if action))

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(self.actions)}"


class Grants:
    """Makes and reads the tokens of all registries; each token is good at one registry only."""

    def __init__(self, store: Store, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        with store.transaction():
            kept = store.get("registry", "signing")
            if kept is None:
                kept = {"key": secrets.token_hex(32)}
                store.put("registry", "signing", kept)
        self._key: str = kept["key"]

    def refresh_token(self, registry: Resource, principal: str) -> str:
        """For a principal with any right on the registry; Unauthorized for others, as ACR answers the exchange."""
        rights = [(kind, action) for kind, actions in OPERATIONS.items() for action in actions]
        if not any(self._may(registry, principal, kind, action) for kind, action in rights):
            raise Unauthorized
        return self._sign(registry, principal, REFRESH_LIFE, {"grant_type": "refresh_token"})

    def access_token(self, registry: Resource, principal: str, scopes: list[Scope]) -> str:
        """With those of the asked rights that role assignments give; possibly none."""
        granted = [{"type": s.kind, "name": s.name, "actions": self._granted(registry, principal, s)} for s in scopes]
        access = [grant for grant in granted if grant["actions"]]
        return self._sign(registry, principal, ACCESS_LIFE, {"grant_type": "access_token", "access": access})

    def principal(self, registry: Resource, refresh_token: str) -> str:
        """Whose refresh token this is."""
        return self._read(registry, refresh_token, "refresh_token")["sub"]

    def check(self, registry: Resource, access_token: str, needed: Scope | None) -> None:
        """Unauthorized unless the access token has every needed right."""
        claims = self._read(registry, access_token, "access_token")
        if needed is None:
            return
        has = {
            action
            for grant in claims["access"]
            if grant["type"] == needed.kind and grant["name"] == needed.name
            for action in grant["actions"]
        }
        if not has.issuperset(needed.actions):
            raise Unauthorized

    def _granted(self, registry: Resource, principal: str, scope: Scope) -> list[str]:
        table = OPERATIONS[scope.kind]
        if scope.kind == "registry":
            wanted = [action for action in scope.actions if f"{scope.name}:{action}" in table]
            return [a for a in wanted if self._may(registry, principal, scope.kind, f"{scope.name}:{a}")]
        wanted = list(table) if "*" in scope.actions else [action for action in scope.actions if action in table]
        return [action for action in wanted if self._may(registry, principal, scope.kind, action)]

    def _may(self, registry: Resource, principal: str, kind: str, action: str) -> bool:
        """Whether the principal has the right `OPERATIONS[kind][action]`, in the registry's mode."""
        if principal == ADMIN:
            return True
        if self._access.allows(principal, DATA_OPERATIONS[kind][action], registry.id, data=True):
            return True
        legacy = registry.properties.get("roleAssignmentMode", LEGACY) != ABAC
        return legacy and self._access.allows(principal, OPERATIONS[kind][action], registry.id, data=False)

    def _sign(self, registry: Resource, principal: str, life: timedelta, claims: dict[str, Any]) -> str:
        now = clients_now(self._clock)
        body = {"iss": ISSUER, "sub": principal, "aud": registry.id.lower(), "iat": now, "exp": now + life, **claims}
        return jwt.encode(body | {"jti": secrets.token_hex(16)}, self._key, "HS256")

    def _read(self, registry: Resource, token: str, kind: str) -> dict[str, Any]:
        unchecked: Options = {"verify_exp": False, "verify_iat": False, "require": ["exp", "sub"]}
        audience = registry.id.lower()
        try:
            claims = jwt.decode(token, self._key, ["HS256"], audience=audience, issuer=ISSUER, options=unchecked)
        except jwt.InvalidTokenError as error:
            raise Unauthorized from error
        if claims["grant_type"] != kind or claims["exp"] <= clients_now(self._clock).timestamp():
            raise Unauthorized
        return claims
