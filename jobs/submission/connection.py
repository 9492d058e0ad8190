"""One HTTP/1.1 connection: a request is written, its answer is read. Strict: what is not understood is no answer.

Made by hand because the hot path is one small exchange again and again: a general client costs three times as much
processor time for it. Chunked answers, interim answers and answers that end with the connection are read.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote

from .lane import NoAnswer

MOST_HEAD: Final = 65_536
MOST_BODY: Final = 64 << 20
CONNECT_SECONDS: Final = 15.0


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[bytes, bytes]  # names in lower case
    body: bytes


class Connection(asyncio.Protocol):
    """Used by one request at a time. `deadline` is watched by its owner, who calls `fail`."""

    def __init__(self) -> None:
        self.closed = False
        self.deadline = 0.0
        self._data = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None
        self._head: tuple[int, dict[bytes, bytes]] | None = None

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

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
        self._data += data
        if self._waiting is None or self._waiting.done():
            return self.fail("an answer nobody asked for")
        try:
            self._read(ended=False)
        except (ValueError, IndexError):
            self.fail("an answer that is not HTTP")

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._waiting is not None and not self._waiting.done():
            with contextlib.suppress(ValueError, IndexError):
                self._read(ended=True)
            self.fail(f"the connection was lost: {exc}" if exc else "the connection was closed before the answer")

    def _read(self, *, ended: bool) -> None:
        data = self._data
        while self._head is None:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MOST_HEAD:
                    raise ValueError
                return
            first, *lines = bytes(data[:end]).split(b"\r\n")
            version, status = first.split(b" ", 2)[:2]
            if not version.startswith(b"HTTP/1."):
                raise ValueError
            del data[: end + 4]
            if not 100 <= int(status) < 200:
                pairs = (line.split(b":", 1) for line in lines)
                headers = {name.strip().lower(): value.strip() for name, value in pairs}
                if version == b"HTTP/1.0":
                    headers.setdefault(b"connection", b"close")
                self._head = int(status), headers
        status, headers = self._head
        if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
            body, used = _chunked(data)
        elif b"content-length" in headers or status in (204, 304):
            length = int(headers.get(b"content-length", b"0")) if status not in (204, 304) else 0
            if length > MOST_BODY:
                raise ValueError
            body, used = (bytes(data[:length]), length) if len(data) >= length else (None, 0)
        else:
            body, used = (bytes(data), len(data)) if ended else (None, 0)
        if body is None:
            if len(data) > MOST_BODY:
                raise ValueError
            return
        if len(data) > used or headers.get(b"connection", b"").lower() == b"close":
            self.closed = True
            if self._transport is not None:
                self._transport.close()
        del data[:used]
        self._head = None
        assert self._waiting is not None
        self._waiting.set_result(Answer(status, headers, body))


async def open_connection(endpoint: SplitResult, trust: ssl.SSLContext | None, proxy: SplitResult | None) -> Connection:
    """A connection to the endpoint, over the proxy when there is one. Raises `NoAnswer`."""
    loop = asyncio.get_running_loop()
    host, port = endpoint.hostname or "", endpoint.port or (443 if trust else 80)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if proxy is None or trust is None:
                name = host if trust else None
                _, made = await loop.create_connection(Connection, host, port, ssl=trust, server_hostname=name)
                return made
            transport, first = await loop.create_connection(Connection, proxy.hostname or "", proxy.port or 8080)
            lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
            if proxy.username:
                user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
                lines.append(f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}")
            status = await first.ask("\r\n".join([*lines, "", ""]).encode())
            if status.status != 200:
                raise NoAnswer(f"the proxy {proxy.hostname} says {status.status} to CONNECT {host}:{port}")
            made = Connection()
            inner = await loop.start_tls(transport, made, trust, server_hostname=host)
            assert inner is not None
            made.connection_made(inner)
            return made
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{host}:{port} cannot be reached: {error or type(error).__name__}") from error


def _chunked(data: bytearray) -> tuple[bytes | None, int]:
    """The whole body of a chunked answer and its length as sent; (None, 0) when it is not all there."""
    parts: list[bytes] = []
    at = 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None, 0
        size = int(bytes(data[at:end]).split(b";", 1)[0], 16)
        if size == 0:
            tail = data.find(b"\r\n\r\n", end)
            return (b"".join(parts), tail + 4) if tail >= 0 else (None, 0)
        start, at = end + 2, end + 2 + size + 2
        if len(data) < at:
            return None, 0
        if data[at - 2 : at] != b"\r\n":
            raise ValueError
        parts.append(bytes(data[start : start + size]))
