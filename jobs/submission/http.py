"""The transport over HTTP: authorising a request, its bytes on a connection, and the answer.

The SDK's pipeline costs 2 to 3 ms of processor time a request, this 0.1 ms. Redirects are not followed and the address
never comes from an answer, so a token goes nowhere else. A request is authorised with the SDK's own
signing policy, or with a token that is renewed.

Answers are read by httptools (Node's parser, as in uvicorn). What the parser refuses is no answer, and what comes
unasked ends the connection. Not a client such as aiohttp: in one run a request of 100 tasks cost 0.10 ms of processor
time here and 0.27 ms there, of 0.3 ms for all the rest.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Protocol, Self
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import httptools

from ..errors import UsageError
from .transport import NoAnswer, NoCredential, Reply, in_daemon_thread

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


MOST_BYTES: Final = 64 << 20  # of one answer


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[bytes, bytes]  # names in lower case
    body: bytes


class Connection(asyncio.Protocol):
    """Used by one request at a time. `tunnel`: to a proxy, whose answer to CONNECT ends with its head."""

    def __init__(self, *, tunnel: bool = False) -> None:
        self.closed = False
        self._tunnel = tunnel
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._in_body = False

    async def ask(self, request: bytes) -> Answer:
        """Raises `NoAnswer`. Whoever stops waiting ends the connection."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._size = 0
        self._transport.write(request)
        try:
            return await self._waiting
        except asyncio.CancelledError:
            self.fail("nobody waits for it any more")
            raise

    def fail(self, why: str) -> None:
        """End the connection; whoever waits on it has no answer."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(NoAnswer(why))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            return self.fail("an answer nobody asked for")
        self._size += len(data)
        if self._size > MOST_BYTES:
            return self.fail(f"an answer of more than {MOST_BYTES >> 20} MiB")
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.fail(f"an answer that is not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None and self._in_body and not {b"content-length", b"transfer-encoding"} & self._headers.keys():
            self._answer()  # HTTP/1.0: its end is the connection's
        self.fail(f"the connection was lost: {exc}" if exc else "the connection was closed before the answer's end")

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self._waiting is None or self._waiting.done():
            self.fail("an answer nobody asked for")
        self._headers = {}
        self._parts = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._in_body = True
        if self._tunnel:
            self._answer()

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)

    def on_message_complete(self) -> None:
        self._in_body = False
        if self._parser.get_status_code() >= 200:  # no interim one
            self.closed = self.closed or not self._parser.should_keep_alive()
            self._answer()

    def _answer(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Answer(self._parser.get_status_code(), self._headers, b"".join(self._parts)))
        if self.closed and self._transport is not None:
            self._transport.close()


async def open_connection(endpoint: SplitResult, trust: ssl.SSLContext | None, proxy: SplitResult | None) -> Connection:
    """A connection to the endpoint, over the proxy when there is one. Raises `NoAnswer`."""
    loop = asyncio.get_running_loop()
    host, port = endpoint.hostname or "", endpoint.port or (443 if trust else 80)
    try:
        if proxy is None or trust is None:
            name = host if trust else None
            _, made = await loop.create_connection(Connection, host, port, ssl=trust, server_hostname=name)
            return made
        transport = await _through(proxy, f"{host}:{port}", trust)
        made = Connection()
        inner = await loop.start_tls(transport, made, trust, server_hostname=host)
        assert inner is not None
        made.connection_made(inner)
        return made
    except OSError as error:
        raise NoAnswer(f"{host}:{port} cannot be reached: {error or type(error).__name__}") from error


async def _through(proxy: SplitResult, target: str, trust: ssl.SSLContext) -> asyncio.Transport:
    """A tunnel through the proxy (RFC 9110 section 9.3.6). Raises `NoAnswer` when it refuses, `OSError`."""
    transport, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(tunnel=True),
        proxy.hostname or "",
        proxy.port or 8080,
        ssl=trust if proxy.scheme == "https" else None,
    )
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username:
        user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}")
    answer = await connection.ask("\r\n".join([*lines, "", ""]).encode())
    if answer.status != 200:
        connection.fail("refused")
        raise NoAnswer(f"the proxy {proxy.hostname} says {answer.status} to CONNECT {target}")
    return transport


CONTENT_TYPE: Final = "application/json; odata=minimalmetadata"  # what azure-batch sends


class HttpTransport:
    """`transport.Transport` to one Batch endpoint, with as many connections as there are requests at a time."""

    def __init__(
        self, *, endpoint: str, api_version: str, authority: Authority, ca: Path | None, timeout: float
    ) -> None:
        self._endpoint = urlsplit(endpoint.rstrip("/"))
        self._api_version = api_version
        self._authority = authority
        self._ca = ca
        self._timeout = timeout
        self._trust: ssl.SSLContext | None = None
        self._proxy: SplitResult | None = None
        self._idle: list[Connection] = []

    async def __aenter__(self) -> Self:
        if self._endpoint.scheme == "https":
            self._trust = self._roots()
            self._proxy = _proxy(self._endpoint.hostname or "")
        return self

    async def __aexit__(self, *details: object) -> None:
        for connection in self._idle:
            connection.fail("closed")

    async def add(self, job_id: str, body: bytes) -> Reply:
        return await self._send("POST", f"/jobs/{job_id}/addtaskcollection", {}, body)

    async def get(self, path: str, query: Mapping[str, str]) -> Reply:
        return await self._send("GET", path, query, b"")

    async def renew(self) -> None:
        await self._authority.renew()

    async def _send(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Reply:
        target = self._endpoint.path + _target(path, (*query.items(), ("api-version", self._api_version)))
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "python-m-jobs"}
        if method == "POST":
            headers |= {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(body))}
        await self._authority.authorise(method, f"{self._endpoint.scheme}://{self._endpoint.netloc}{target}", headers)
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._endpoint.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._connection()
                answer = await connection.ask("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        except TimeoutError as error:
            raise NoAnswer(f"no answer in {self._timeout:g} seconds") from error
        if not connection.closed:
            self._idle.append(connection)
        after = answer.headers.get(b"retry-after")
        return Reply(answer.status, answer.body, None if after is None else _seconds(after.decode("latin-1")))

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return await open_connection(self._endpoint, self._trust, self._proxy)

    def _roots(self) -> ssl.SSLContext:
        """The roots that the SDK's own transport trusts (certifi's) and the system's, or only the given one."""
        if self._ca is not None:
            return ssl.create_default_context(cafile=str(self._ca))
        import certifi

        trust = ssl.create_default_context(cafile=certifi.where())
        trust.load_default_certs()
        return trust


def _proxy(host: str) -> SplitResult | None:
    """What the environment (`https_proxy`, `no_proxy`) says of this host. Raises `UsageError` for other kinds."""
    found = None if proxy_bypass(host) else getproxies().get("https")
    if not found:
        return None
    proxy = urlsplit(found if "://" in found else f"http://{found}")
    if proxy.scheme not in ("http", "https") or not proxy.hostname:
        # The address alone is shown: a password may stand before it.
        where = found.rpartition("@")[2]
        raise UsageError(
            f"https_proxy: expected http://HOST:PORT or https://HOST:PORT, got {where}",
            next_step="correct that variable, or unset it",
        )
    return proxy


@lru_cache(maxsize=8)
def _target(path: str, query: tuple[tuple[str, str], ...]) -> str:
    """As it is sent and as it is signed."""
    return f"{quote(path)}?{urlencode(query, safe='$,!')}"


def _seconds(text: str) -> float | None:
    """`Retry-After`: seconds, or a date."""
    try:
        return max(0.0, float(text))
    except ValueError:
        try:
            return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError):
            return None
