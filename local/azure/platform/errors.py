"""The error catalogue: every refusal of the local Azure is one of these classes, one subclass per documented code.

This module owns the base class only; each service's `errors.py` holds its codes, `control_plane/errors.py` those that
several services answer. The wire form is written in each service's `wire.py`: no handler builds an error body.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class AzureError(Exception):
    """A refusal with Azure's own status and code; `message` is the text a client sees."""

    status: int = 500
    code: str = "InternalServerError"
    default: ClassVar[str] = "The server encountered an internal error. Please retry the request."

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
