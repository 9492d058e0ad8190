"""Hands requests of the distribution API on to docker-registry and its answers back, streaming both ways.

Owns the prefix: upstream, a registry's repositories live under its name; clients never see that. Rights were checked
before.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, urlencode

import aiohttp
from aiohttp import web
from yarl import URL

from local.azure.platform.forwarding import NO_LIMIT, answer_with, sent_body, sent_headers
from local.azure.registry.errors import UpstreamAway
from local.azure.registry.upstream import upstream_socket
from local.paths import Paths


class Proxy:
    """One client of the upstream for all registries."""

    def __init__(self, paths: Paths) -> None:
        self._socket = str(upstream_socket(paths))
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client (the upstream may come later)."""
        connector = aiohttp.UnixConnector(self._socket, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=NO_LIMIT, auto_decompress=False)

    async def stop(self) -> None:
        """Close the client."""
        if self._session is not None:
            await self._session.close()

    async def forward(self, request: web.Request, registry: str) -> web.StreamResponse:
        """The upstream's answer for this registry's client."""
        assert self._session is not None, "forward before start"
        prefix = registry.lower()
        headers = sent_headers(request)
        headers["Host"] = request.host
        url = URL(f"http://registry{upstream_target(request.path, request.query_string, prefix)}", encoded=True)
        body = sent_body(request)
        try:
            answer = await self._session.request(request.method, url, headers=headers, data=body, allow_redirects=False)
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise UpstreamAway from error
        async with answer:
            listing = request.method == "GET" and request.path.endswith("/tags/list")
            renamed = listing or (answer.status >= 400 and request.method != "HEAD")
            rewrite = functools.partial(rename, prefix=prefix) if renamed else None
            return await answer_with(request, answer, headers=_client_headers(answer, prefix), rewrite=rewrite)


def _client_headers(answer: aiohttp.ClientResponse, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in answer.headers.items():
        if name.lower() != "date":
            yield name, client_target(value, prefix) if name.lower() in ("location", "link") else value


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
