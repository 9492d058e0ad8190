"""The authority's OAuth2 errors, Graph's, and ARM's of identities.

Codes: https://www.rfc-editor.org/rfc/rfc6749#section-5.2; texts (AADSTS...) as Entra sends them:
https://learn.microsoft.com/entra/identity-platform/reference-error-codes.
"""

from __future__ import annotations

from local.azure.platform.errors import AzureError


class InvalidClient(AzureError):
    """An OAuth2 error of the authority; `code` is the value of the answer's `error`."""

    status = 401
    code = "invalid_client"


class InvalidOAuthRequest(AzureError):
    """A malformed token request."""

    status = 400
    code = "invalid_request"

    def __init__(self, message: str, *, reason: str = "invalid_request") -> None:
        self.code = reason
        super().__init__(message)


class AuthorityThrottled(InvalidOAuthRequest):
    """Too many sign-ins."""

    status = 429

    def __init__(self) -> None:
        super().__init__("AADSTS90055: There are too many incoming requests.", reason="temporarily_unavailable")


class AuthorityFailed(InvalidOAuthRequest):
    """The authority's own mistake."""

    status = 503

    def __init__(self) -> None:
        super().__init__(
            "AADSTS90033: A transient error has occurred. Please try again.", reason="temporarily_unavailable"
        )


class GraphThrottled(AzureError):
    """Graph: too many requests (https://learn.microsoft.com/graph/throttling)."""

    status, code, default = 429, "TooManyRequests", "Too many requests."


class GraphFailed(AzureError):
    """Graph's own mistake [guess: the text]."""

    status, code, default = 503, "serviceNotAvailable", "The service is not available. Try the request again."


class BadFederatedCredential(AzureError):
    """ARM's refusal of a federated credential."""

    status = 400
    code = "BadRequest"


class GraphNotFound(AzureError):
    """Graph: no such object."""

    status = 404
    code = "Request_ResourceNotFound"


class GraphBadRequest(AzureError):
    """Graph: a request that cannot be read."""

    status = 400
    code = "Request_BadRequest"


class GraphForbidden(AzureError):
    """Graph: only the deployer may change the directory here."""

    status = 403
    code = "Authorization_RequestDenied"
    default = "Insufficient privileges to complete the operation."
