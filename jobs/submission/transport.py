"""What the submitter needs of HTTP, beneath the SDK's helpers: bodies that are ready are sent, answers come as bytes.

`http.py` is the real one. Authentication and api-version are azure-batch's (`client.py` hands them over).

`in_daemon_thread` is for calls that may block for ever (a disk, an identity service): nobody waits for their threads at
the end. `asyncio.to_thread` would not do: `asyncio.run` and the interpreter wait for its threads before they end.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

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


T = TypeVar("T")


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """The call's result, or what it raised. Whoever stops waiting leaves the thread behind."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failed = None, None
        try:
            result = call()
        except Exception as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, daemon=True).start()
    return await future
