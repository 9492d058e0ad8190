"""Hands requests of the distribution API on to docker-registry and its answers back, streaming both ways.

Owns the prefix: upstream, a registry's repositories live under its name; clients never see that. Rights were checked
before.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from local.azure.registry.errors import UpstreamAway
from local.azure.registry.upstream import upstream_socket
from local.paths import Paths

_PIECE: Final = 1 << 18
_NO_LIMIT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5)
# Connection-level headers are each side's own; the token is for us, not for upstream.
_NOT_SENT: Final = {"authorization", "connection", "host", "keep-alive", "te", "transfer-encoding", "upgrade", "expect"}
_NOT_ANSWERED: Final = {"connection", "date", "keep-alive", "server", "transfer-encoding"}


class Proxy:
    """One client of the upstream for all registries."""

    def __init__(self, paths: Paths) -> None:
        self._socket = str(upstream_socket(paths))
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client (the upstream may come later)."""
        connector = aiohttp.UnixConnector(self._socket, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=_NO_LIMIT, auto_decompress=False)

    async def stop(self) -> None:
        """Close the client."""
        if self._session is not None:
            await self._session.close()

    async def forward(self, request: web.Request, registry: str) -> web.StreamResponse:
        """The upstream's answer for this registry's client."""
        assert self._session is not None, "forward before start"
        prefix = registry.lower()
        headers = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _NOT_SENT)
        headers["Host"] = request.host
        url = URL(f"http://registry{upstream_target(request.path, request.query_string, prefix)}", encoded=True)
        body = _pieces(request) if request.can_read_body else None
        try:
            answer = await self._session.request(request.method, url, headers=headers, data=body, allow_redirects=False)
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise UpstreamAway from error
        async with answer:
            return await self._answer(request, answer, prefix)

    async def _answer(self, request: web.Request, answer: aiohttp.ClientResponse, prefix: str) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status)
        for name, value in answer.headers.items():
            if name.lower() in ("location", "link"):
                value = client_target(value, prefix)
            if name.lower() not in _NOT_ANSWERED:
                response.headers.add(name, value)
        listing = request.method == "GET" and request.path.endswith("/tags/list")
        if listing or (answer.status >= 400 and request.method != "HEAD"):
            text = rename(await answer.read(), prefix)
            response.content_length = len(text)
            await response.prepare(request)
            await response.write(text)
        else:
            await response.prepare(request)
            if request.method != "HEAD":
                async for piece in answer.content.iter_chunked(_PIECE):
                    await response.write(piece)
        await response.write_eof()
        return response


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    async for piece in request.content.iter_chunked(_PIECE):
        yield piece


def upstream_target(path: str, query: str, prefix: str) -> str:
    """Path and query of the upstream's repository: `/v2/worker/...` -> `/v2/<registry>/worker/...`, mounts likewise."""
    rest = quote(path.removeprefix("/v2/"), safe="/:@")
    fields = [(k, f"{prefix}/{v}" if k == "from" else v) for k, v in parse_qsl(query, keep_blank_values=True)]
    return f"/v2/{f'{prefix}/{rest}' if rest else ''}" + (f"?{urlencode(fields)}" if fields else "")


def client_target(value: str, prefix: str) -> str:
    """A Location or Link for the client: relative, without the registry's name."""
    return re.sub(rf"(?:https?://[^/]+)?/v2/{re.escape(prefix)}/", "/v2/", value)


def rename(body: bytes, prefix: str) -> bytes:
    """A JSON body with the client's names in it."""
    try:
        document = json.loads(body)
    except ValueError:
        return body

    def visit(value: object) -> object:
        if isinstance(value, dict):
            return {
                key: one.removeprefix(f"{prefix}/") if key == "name" and isinstance(one, str) else visit(one)
                for key, one in value.items()
            }
        return [visit(one) for one in value] if isinstance(value, list) else value

    return json.dumps(visit(document), separators=(",", ":")).encode()
