"""Who sends a request to the blob endpoint, and whether it may: by Entra token and role, or by the account's key."""

from __future__ import annotations

from aiohttp import web

from local.azure.blobs.errors import (
    AuthenticationFailed,
    AuthorizationPermissionMismatch,
    InvalidAuthenticationInfo,
    KeyBasedAuthenticationNotPermitted,
    NoAuthenticationInformation,
    NotImplementedYet,
)
from local.azure.blobs.operations import Operation
from local.azure.blobs.sharedkey import is_signed_by
from local.azure.control_plane.access import Access
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import STORAGE_AUDIENCES, Tokens, authorization
from local.azure.platform.errors import AzureError


class Authorization:
    """Decides; raises a BlobError for a refusal."""

    def __init__(self, tokens: Tokens, access: Access, authority: str) -> None:
        self._tokens, self._access, self._authority = tokens, access, authority

    def check(self, request: web.Request, account: Resource, operation: Operation) -> None:
        """Return when the request may go on."""
        scheme, token = authorization(request.headers)
        if scheme == "bearer":
            self._bearer(request, token, account, operation)
        elif scheme == "sharedkey":
            self._shared_key(request, account)
        elif scheme == "sharedkeylite":
            raise NotImplementedYet("The local Azure does not check SharedKeyLite; sign with SharedKey.")
        elif "sig" in request.query:
            raise NotImplementedYet("The local Azure does not take shared access signatures yet; use an Entra token.")
        else:
            raise NoAuthenticationInformation(headers=self._challenge())

    def _bearer(self, request: web.Request, token: str, account: Resource, operation: Operation) -> None:
        endpoint = f"https://{request.host}/{account.name}"
        own = (endpoint, f"https://{account.name}.blob.core.windows.net")
        try:
            caller = self._tokens.verify(token, (*STORAGE_AUDIENCES, *own))
        except AzureError as error:
            detail = ("AuthenticationErrorDetail", error.message)
            raise InvalidAuthenticationInfo(details=[detail], headers=self._challenge()) from error
        scope = account.id
        if operation.container is not None:
            scope += f"/blobServices/default/containers/{operation.container}"
        right = operation.right
        if not self._access.allows(caller.principal_id, right.action, scope, data=right.data):
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
