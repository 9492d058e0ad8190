"""Handing a request on to the program behind a service, and its answer back: streamed both ways, never held as a whole.

Owns which headers belong to a connection, and pieces. Who is asked, and what is changed on the way, is the services'.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from local.azure.platform.faults import conditions

NO_LIMIT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5)
_PIECE: Final = 1 << 18
_HOPS: Final = frozenset(("connection", "keep-alive", "te", "transfer-encoding", "upgrade"))
_NOT_SENT: Final = _HOPS | {"authorization", "expect"}  # a client's token is for us, not for who is behind us
_NOT_ANSWERED: Final = _HOPS | {"content-length", "server"}


def sent_headers(request: web.Request, *without: str) -> CIMultiDict[str]:
    """A client's headers for the program behind, without those named (small letters)."""
    return CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _NOT_SENT.union(without))


def sent_body(request: web.Request) -> AsyncIterator[bytes] | None:
    """A client's body in pieces, None without one."""
    return request.content.iter_chunked(_PIECE) if request.can_read_body else None


async def answer_with(
    request: web.Request,
    answer: aiohttp.ClientResponse,
    *,
    headers: Iterable[tuple[str, str]] | None = None,
    rewrite: Callable[[bytes], bytes] | None = None,
) -> web.StreamResponse:
    """The answer for the client; `headers` instead of its own, `rewrite` changes a body that is read as a whole."""
    given = answer.headers.items() if headers is None else headers
    shown = CIMultiDict((k, v) for k, v in given if k.lower() not in _NOT_ANSWERED)
    if rewrite is not None or conditions().withheld:
        content = await answer.read()
        return web.Response(status=answer.status, headers=shown, body=rewrite(content) if rewrite else content)
    response = web.StreamResponse(status=answer.status, headers=shown)
    if "Content-Length" in answer.headers:
        response.content_length = int(answer.headers["Content-Length"])
    await response.prepare(request)
    if request.method != "HEAD":
        async for piece in answer.content.iter_chunked(_PIECE):
            await response.write(piece)
    await response.write_eof()
    return response
