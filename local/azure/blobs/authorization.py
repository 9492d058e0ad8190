"""Who sends a request to the blob endpoint, and whether it may: by role, by the account's key, or by a signature."""

from __future__ import annotations

from aiohttp import web

from local.azure.blobs.errors import (
    AuthenticationFailed,
    AuthorizationPermissionMismatch,
    CannotVerifyCopySource,
    InvalidAuthenticationInfo,
    KeyBasedAuthenticationNotPermitted,
    NoAuthenticationInformation,
    NotImplementedYet,
)
from local.azure.blobs.operations import Operation
from local.azure.blobs.shared_access import Policies, SharedAccess
from local.azure.blobs.sharedkey import is_signed_by
from local.azure.control_plane.access import Access
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import STORAGE_AUDIENCES, Tokens, authorization
from local.azure.platform.errors import AzureError


class Authorization:
    """Decides; raises a BlobError for a refusal."""

    def __init__(self, tokens: Tokens, access: Access, authority: str, signatures: SharedAccess) -> None:
        self._tokens = tokens
        self._access = access
        self._authority = authority
        self._signatures = signatures

    def check(
        self, request: web.Request, account: Resource, operation: Operation, policies: Policies | None = None
    ) -> str | None:
        """Return when the request may go on: whose it is, for a bearer token.

        `policies` are the container's stored access policies, for a signature that names one.
        """
        scheme, token = authorization(request.headers)
        if scheme == "bearer":
            return self._bearer(request, token, account, operation)
        elif scheme == "sharedkey":
            self._shared_key(request, account)
        elif scheme == "sharedkeylite":
            raise NotImplementedYet("The local Azure does not check SharedKeyLite; sign with SharedKey.")
        elif "sig" in request.query:
            self._signature(request, account, operation, policies)
        else:
            raise NoAuthenticationInformation(headers=self._challenge())
        return None

    def check_source(
        self,
        request: web.Request,
        account: Resource,
        source: Resource,
        operation: Operation,
        target: str,
        policies: Policies | None = None,
    ) -> None:
        """Whether the caller of a copy may read its source: by the source's own signature, as itself, or by the key of
        the same account."""
        scheme, token = authorization(request.headers)
        if "sig=" in target:
            keys = source.system.get("keys", [])
            user = self._signatures.check(source.name, keys, operation, target, request.remote, policies)
            if user is not None:
                self._require(user, source, operation)
        elif scheme == "bearer":
            self._bearer(request, token, account, operation, of=source)
        elif scheme != "sharedkey" or source.id != account.id:
            raise CannotVerifyCopySource("The copy source has no signature, and its account's key was not used.")

    def _signature(
        self, request: web.Request, account: Resource, operation: Operation, policies: Policies | None
    ) -> None:
        """A shared access signature; one with a user's key allows nothing that the user may not do."""
        keys = account.system.get("keys", [])
        delegated = "skoid" in request.query
        if account.properties.get("allowSharedKeyAccess") is False and not delegated:
            raise KeyBasedAuthenticationNotPermitted
        user = self._signatures.check(account.name, keys, operation, request.raw_path, request.remote, policies)
        if user is not None:
            self._require(user, account, operation)

    def _bearer(
        self, request: web.Request, token: str, account: Resource, operation: Operation, *, of: Resource | None = None
    ) -> str:
        endpoint = f"https://{request.host}/{account.name}"
        own = (endpoint, f"https://{account.name}.blob.core.windows.net")
        try:
            caller = self._tokens.verify(token, (*STORAGE_AUDIENCES, *own))
        except AzureError as error:
            detail = ("AuthenticationErrorDetail", error.message)
            raise InvalidAuthenticationInfo(details=[detail], headers=self._challenge()) from error
        self._require(caller.principal_id, of or account, operation)
        return caller.principal_id

    def _require(self, principal: str, account: Resource, operation: Operation) -> None:
        """The principal's roles allow it."""
        scope = account.id
        if operation.container is not None:
            scope += f"/blobServices/default/containers/{operation.container}"
        right = operation.right
        if not self._access.allows(principal, right.action, scope, data=right.data):
            raise AuthorizationPermissionMismatch

    def _shared_key(self, request: web.Request, account: Resource) -> None:
        if account.properties.get("allowSharedKeyAccess") is False:
            raise KeyBasedAuthenticationNotPermitted
        if not is_signed_by(
            account.system.get("keys", []), account.name, request.method, request.raw_path, request.headers
        ):
            raise AuthenticationFailed

    def _challenge(self) -> dict[str, str]:
        where = f"{self._authority}/{self._tokens.tenant_id}/oauth2/authorize"
        return {"WWW-Authenticate": f"Bearer authorization_uri={where} resource_id=https://storage.azure.com"}
