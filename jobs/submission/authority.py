"""Authorising a request the SDK did not make: with the SDK's own signing policy, or with a token that is renewed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, MutableMapping
from types import SimpleNamespace
from typing import Any, Final, Protocol

from .daemon import in_daemon_thread
from .transport import NoAnswer, NoCredential

EARLY: Final = 300.0  # seconds before its end a token is renewed
AGAIN: Final = 5.0  # seconds in which many refused requests ask for one new token only


class Authority(Protocol):
    async def authorise(self, method: str, url: str, headers: MutableMapping[str, str]) -> None: ...
    async def renew(self) -> None: ...


class SharedKeyAuthority:
    """azure-batch's policy over a request that has what it reads. Every attempt is signed anew: it has a date."""

    def __init__(self, policy: Any) -> None:
        self._sign = policy.on_request

    async def authorise(self, method: str, url: str, headers: MutableMapping[str, str]) -> None:
        self._sign(SimpleNamespace(http_request=SimpleNamespace(method=method, url=url, headers=headers)))

    async def renew(self) -> None:
        """A signature is made for each attempt; there is nothing to renew."""


class TokenAuthority:
    """A token for the Batch audience. `make_credential` gives a new credential, whose cache is empty, after a 401."""

    def __init__(self, make_credential: Callable[[], Any], scopes: tuple[str, ...]) -> None:
        self._make = make_credential
        self._credential: Any = None
        self._scopes = scopes
        self._header = ""
        self._until = 0.0
        self._fetched = 0.0
        self._lock = asyncio.Lock()

    async def authorise(self, method: str, url: str, headers: MutableMapping[str, str]) -> None:
        if time.time() > self._until - EARLY:
            async with self._lock:
                if time.time() > self._until - EARLY:
                    await self._fetch()
        headers["Authorization"] = self._header

    async def renew(self) -> None:
        async with self._lock:
            if time.monotonic() - self._fetched > AGAIN:
                self._credential = None
                await self._fetch()

    async def _fetch(self) -> None:
        try:
            if self._credential is None:
                self._credential = await in_daemon_thread(self._make)
            token = await in_daemon_thread(lambda: self._credential.get_token(*self._scopes))
        except Exception as error:
            if self._header and time.time() < self._until:
                return  # the old one still serves; asked again with the next request
            said = " ".join(str(error).split())
            if self._header:  # there was one, so who we are is known: an outage, which is waited for
                raise NoAnswer(f"no new token could be had: {said}") from error
            raise NoCredential(f"no token could be had: {said}. Log in (az login), and resume") from error
        self._header = f"Bearer {token.token}"
        # A token that lives shorter than EARLY is used to its end, not fetched for every request.
        self._until = max(float(token.expires_on), time.time() + EARLY + 1.0)
        self._fetched = time.monotonic()
