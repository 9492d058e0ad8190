"""Codes that any service may answer for the control plane: who calls, what may be done, and names ARM does not know.

Sources: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors and the
RPC contract's `error{code,message}`; texts are those that ARM sends, as public issue threads quote them.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import ClassVar

from local.azure.platform.errors import AzureError


class AuthenticationFailed(AzureError):
    """No bearer token, or one that is not good here. `reason` is the code that ARM gives."""

    status = 401
    code = "AuthenticationFailed"
    default: ClassVar[str] = "Authentication failed. The 'Authorization' header is missing."

    def __init__(
        self, message: str | None = None, *, reason: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.code = reason or type(self).code
        super().__init__(message, headers=headers or {"WWW-Authenticate": f'Bearer error="{self.code}"'})


class AuthorizationFailed(AzureError):
    """The caller lacks a role."""

    status = 403
    code = "AuthorizationFailed"


class LinkedAuthorizationFailed(AzureError):
    """The caller may write the resource, but not attach another one to it."""

    status = 403
    code = "LinkedAuthorizationFailed"


class NotFound(AzureError):
    """A path ARM does not know, or an operation it has forgotten."""

    status = 404
    code = "NotFound"


class InvalidResourceType(AzureError):
    """A namespace we have, a type it has not."""

    status = 400
    code = "InvalidResourceType"


class InvalidResourceNamespace(AzureError):
    """A resource provider that does not exist here."""

    status = 404
    code = "InvalidResourceNamespace"


class InvalidResourceName(AzureError):
    """The name breaks the type's rule; some providers have a `code` of their own."""

    status = 400
    code = "InvalidResourceName"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        self.code = code or type(self).code
        super().__init__(message)


class NotImplementedHere(AzureError):
    """Azure has it, the local Azure does not (yet); refused by name rather than answered wrongly."""

    status = 501
    code = "NotImplementedInLocalAzure"


def nearest(given: str, known: Collection[str]) -> str:
    """Words for an error: the known name that looks most like the given one, or all when few, or nothing."""
    lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(given.lower(), list(lower), n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{lower[close[0]]}'?"
    return f" Known here: {', '.join(sorted(known))}." if 0 < len(known) <= 12 else ""
