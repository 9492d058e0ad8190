"""The error catalogue: every refusal of the local Azure is one of these classes, one subclass per documented code.

This module owns the base class only; each service's `errors.py` holds its codes, `control_plane/errors.py` those that
several services answer. The wire form is written in each service's `wire.py`: no handler builds an error body.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Mapping, Sequence
from typing import ClassVar


class AzureError(Exception):
    """A refusal with Azure's own status and code; `message` is the text a client sees."""

    status: int = 500
    code: str = "InternalServerError"
    default: ClassVar[str] = "The server encountered an internal error. Please retry the request."
    target: ClassVar[str | None] = None
    """What ARM's answer names as the error's target."""

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message if message is not None else self.default
        self.details = tuple(details)
        self.headers = dict(headers or {})
        super().__init__(f"{self.code}: {self.message}")


class DiskFull(AzureError):
    """This machine's disk is full. Azure has no such error; 507 is HTTP's status for it, and clients do not repeat
    a request that it answers."""

    status = 507
    code = "InsufficientStorage"
    default = (
        "The disk that the local Azure keeps its state on is full, so nothing can be changed. "
        "Make room (docker system df, du -sh .local) and send the request again."
    )


def unexpected(error: Exception) -> AzureError | None:
    """What an exception from outside means to a client, where it has a name; None for a mistake of ours."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or (isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error)):
        return DiskFull()
    return None
