"""Who is who: Entra tokens to principals, and names of managed identities to principals.

Reads the cloud's store, which the azure process writes. Names follow Azure SQL: an identity's display name is its
resource's name, its SID is its client id, and SUSER_SNAME() of a service principal is `<client id>@<tenant>`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from local.azure.control_plane.errors import AuthenticationFailed
from local.azure.control_plane.ids import USER_ASSIGNED_IDENTITIES
from local.azure.control_plane.resources import Resources
from local.azure.control_plane.tokens import SQL_AUDIENCES, Tokens
from local.azure.platform.clock import Clock, SystemClock
from local.azure.platform.settings import load_or_create
from local.azure.platform.store import Store
from local.azure.sql.errors import TOKEN_EXPIRED, TOKEN_LOGIN, LoginFailed, PrincipalAmbiguous, PrincipalNotFound
from local.paths import Paths

# Azure SQL's texts for a token that it does not take.
_REASONS: Final = {
    "ExpiredAuthenticationToken": TOKEN_EXPIRED,
    "InvalidAuthenticationTokenAudience": (
        f"{TOKEN_LOGIN} The server is not currently configured to accept this token."
    ),
}


@dataclass(frozen=True)
class Login:
    """A verified caller: its SID and the name that the server gives it."""

    sid: bytes
    name: str
    is_admin: bool


@dataclass(frozen=True)
class SqlAccount:
    """A SQL login, for tests only: it is the administrator."""

    user: str
    password: str


class Directory:
    """The tenant as the server sees it."""

    def __init__(self, paths: Paths, clock: Clock | None = None, account: SqlAccount | None = None) -> None:
        self._store = Store(paths.database)
        self._settings = load_or_create(paths, self._store)
        self._tokens = Tokens(paths, self._settings.tenant_id, clock or SystemClock())
        self._account = account

    @property
    def administrator(self) -> Login:
        """The server's Entra administrator: the deployer."""
        return self._login(self._settings.client_id, is_admin=True)

    def by_token(self, token: str) -> Login:
        """The token's principal; LoginFailed, in Azure SQL's words, for a token that is not good here."""
        try:
            caller = self._tokens.verify(token, SQL_AUDIENCES)
        except AuthenticationFailed as error:
            raise LoginFailed(_REASONS.get(error.code, TOKEN_LOGIN)) from error
        return self._login(caller.client_id, is_admin=caller.principal_id == self._settings.deployer_object_id)

    def by_password(self, user: str, password: str) -> Login:
        """The SQL login, where one is configured."""
        account = self._account
        if account is None or user.lower() != account.user.lower() or password != account.password:
            raise LoginFailed(f"Login failed for user '{user}'.")
        return Login(sid=b"\x01", name=account.user, is_admin=True)

    def sid_of(self, name: str, object_id: str | None = None) -> bytes:
        """The SID of the identity with this display name (or object id), for CREATE USER ... FROM EXTERNAL PROVIDER."""
        found = [
            resource
            for resource in Resources(self._store).list(USER_ASSIGNED_IDENTITIES)
            if (resource.system.get("principalId") == object_id if object_id else resource.name.lower() == name.lower())
        ]
        if not found:
            raise PrincipalNotFound(name)
        if len(found) > 1:
            raise PrincipalAmbiguous(name)
        return uuid.UUID(found[0].system["clientId"]).bytes_le

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _login(self, client_id: str, *, is_admin: bool) -> Login:
        return Login(uuid.UUID(client_id).bytes_le, f"{client_id}@{self._settings.tenant_id}", is_admin)
