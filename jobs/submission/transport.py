"""What the submitter needs of HTTP, beneath the SDK's helpers: bodies that are ready are sent, answers come as bytes.

`http.py` is the real one. Authentication and api-version are azure-batch's (`client.py` hands them over).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from ..errors import JobsError


@dataclass(slots=True, frozen=True)
class Reply:
    """Any answer, whatever its status. `retry_after` in seconds."""

    status: int
    body: bytes
    retry_after: float | None = None


class NoAnswer(Exception):
    """The request may have been carried out or not: reset, timeout, an answer cut in two."""


class NoCredential(JobsError):
    """No token could be had."""


class Transport(Protocol):
    """One service. Raises `NoAnswer`, and `NoCredential` when no token can be had."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *details: object) -> None: ...
    async def add(self, job_id: str, body: bytes) -> Reply: ...
    async def get(self, path: str, query: Mapping[str, str]) -> Reply: ...
    async def renew(self) -> None: ...


class Account(Protocol):
    """Whoever can open a transport to one Batch account."""

    def transport(self, *, timeout: float) -> Transport: ...
