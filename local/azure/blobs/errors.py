"""The storage account's error codes: the blob endpoint's, and ARM's own for Microsoft.Storage.

Codes and texts: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes and
https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes; [guess] where the code is documented and
our situation is not.
"""

from __future__ import annotations

from local.azure.platform.errors import AzureError

_NOT_AUTHENTICATED = (
    "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
    "including the signature."
)


class BlobError(AzureError):
    """Any refusal at the blob endpoint; encoded by `blobs/wire.py`."""


class NoAuthenticationInformation(BlobError):
    """No Authorization header."""

    status, code = 401, "NoAuthenticationInformation"
    default = (
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."
    )


class InvalidAuthenticationInfo(BlobError):
    """A bearer token that is not valid for this account; the detail has the reason."""

    status, code, default = 401, "InvalidAuthenticationInfo", _NOT_AUTHENTICATED


class AuthenticationFailed(BlobError):
    """A wrong signature."""

    status, code, default = 403, "AuthenticationFailed", _NOT_AUTHENTICATED


class AuthorizationPermissionMismatch(BlobError):
    """The caller lacks the data action."""

    status, code = 403, "AuthorizationPermissionMismatch"
    default = "This request is not authorized to perform this operation using this permission."


class AuthorizationServiceMismatch(BlobError):
    """A shared access signature for other services."""

    status, code = 403, "AuthorizationServiceMismatch"
    default = "This request is not authorized to perform this operation using this service."


class AuthorizationResourceTypeMismatch(BlobError):
    """A shared access signature for other kinds of resources."""

    status, code = 403, "AuthorizationResourceTypeMismatch"
    default = "This request is not authorized to perform this operation using this resource type."


class AuthorizationSourceIPMismatch(BlobError):
    """A shared access signature for clients elsewhere."""

    status, code = 403, "AuthorizationSourceIPMismatch"
    default = "This request is not authorized to perform this operation using this source IP."


class InvalidXmlNodeValue(BlobError):
    """A time in the request for a user delegation key that is none, is over, or is too far away."""

    status, code = 400, "InvalidXmlNodeValue"
    default = "The value for one of the XML nodes is not in the correct format."


class InvalidXmlDocument(BlobError):
    """A body that is no XML."""

    status, code = 400, "InvalidXmlDocument"
    default = "The specified XML is not syntactically valid."


class CannotVerifyCopySource(BlobError):
    """A copy from where this caller may not read, or from outside (documented; which status is [guess])."""

    status, code = 403, "CannotVerifyCopySource"
    default = "Could not verify the copy source."


class KeyBasedAuthenticationNotPermitted(BlobError):
    """Shared key on an account that takes Entra tokens only."""

    status, code = 403, "KeyBasedAuthenticationNotPermitted"
    default = "Key based authentication is not permitted on this storage account."


class AccountNotFound(BlobError):
    """No such account: on Azure its host name would not resolve [guess]."""

    status, code, default = 404, "ResourceNotFound", "The specified resource does not exist."


class InvalidUri(BlobError):
    """A control character in a blob's name, which no list of blobs could hold (XML has none). That it is refused is
    documented ("certain control characters are not allowed"), the code is a GUESS."""

    status, code = 400, "InvalidUri"
    default = "The requested URI does not represent any resource on the server."


class UnsupportedHttpVerb(BlobError):
    """No operation has this verb here."""

    status, code = 405, "UnsupportedHttpVerb"
    default = "The resource doesn't support the specified Http Verb."


class ServerBusy(BlobError):
    """Azurite does not answer, for instance while it restarts; clients try again."""

    status, code = 503, "ServerBusy"
    default = "The server is currently unable to receive requests. Please retry your request."


class OverAccountLimit(ServerBusy):
    """Too many requests (documented: 503 ServerBusy)."""

    default = "Operations per second is over the account limit."


class InternalError(BlobError):
    """The service's own mistake."""

    status, code = 500, "InternalError"
    default = "The server encountered an internal error. Please retry the request."


class NotImplementedYet(BlobError):
    """What the blob service has and the local one does not have yet."""

    status, code, default = 501, "NotImplemented", "The local Azure does not have this blob operation yet."


class StorageArmError(AzureError):
    """A refusal of ARM's Microsoft.Storage provider."""


class StorageUnavailable(StorageArmError):
    """Azurite did not answer a management request; ARM's clients try again."""

    status, code, default = 503, "StorageServiceUnavailable", "The blob service does not answer; try again."


class UnknownStorageAction(StorageArmError):
    """A POST action that the local storage provider does not have."""

    status, code, default = 501, "NotImplemented", "The local Azure does not have this storage operation yet."
