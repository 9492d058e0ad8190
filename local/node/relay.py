"""The host's end of the nodes' way to the local Azure: one Unix socket a node, so that it is known which node speaks.

The first line of a connection says where it goes: `CONNECT <port>` to a port of the local Azure's block and nowhere
else, or `IMDS`, answered as that node's managed identities. The other end is `agent/forwarders.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from local.node.agent.forwarders import splice
from local.node.contract import Identity

log = logging.getLogger(__name__)
Answer = tuple[int, Mapping[str, str], bytes]
Imds = Callable[[str, tuple[Identity, ...], str, str, Mapping[str, str]], Awaitable[Answer]]
_HOST = "127.0.0.1"
_PATIENCE_SECONDS = 60.0  # a service may start after the relay: its callers wait, as they do for the relay itself
_PAUSE_SECONDS = 0.1


@dataclass
class _Door:
    server: asyncio.Server
    socket: Path


class NodeRelay:
    """All nodes' sockets.

    `imds(node_id, identities, method, path and query, headers)` answers the identity endpoint; `ports` is the block.
    `local/azure/executors.py` builds one with the local Azure's own.
    """

    def __init__(self, ports: Collection[int], imds: Imds, patience: float = _PATIENCE_SECONDS) -> None:
        self._ports = ports
        self._imds = imds
        self._patience = patience
        self._doors: dict[str, _Door] = {}
        self._connections: set[asyncio.Task[None]] = set()

    async def open_node(self, node_id: str, socket: Path, identities: tuple[Identity, ...]) -> None:
        """Listen for a node. A socket left over from an earlier life is replaced."""
        await self.close_node(node_id)
        socket.unlink(missing_ok=True)  # noqa: ASYNC240 - one system call

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(reader, writer, node_id, identities))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

        server = await asyncio.start_unix_server(accept, str(socket))
        socket.chmod(0o600)  # noqa: ASYNC240 - one system call
        self._doors[node_id] = _Door(server, socket)

    async def close_node(self, node_id: str) -> None:
        """Stop listening for a node that is removed."""
        if door := self._doors.pop(node_id, None):
            door.server.close()
            door.socket.unlink(missing_ok=True)

    async def close(self) -> None:
        """Close all; the nodes wait for the next life."""
        for node_id in list(self._doors):
            await self.close_node(node_id)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, node_id: str, identities: tuple[Identity, ...]
    ) -> None:
        try:
            match (await reader.readline()).decode().split():
                case ["IMDS"]:
                    await self._answer_imds(reader, writer, node_id, identities)
                case ["CONNECT", port] if port.isdecimal() and int(port) in self._ports:
                    await splice(reader, writer, *await self._connect(int(port)))
                case words:
                    log.warning("a node asked for %s, which is no port of the local Azure", words)
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            log.debug("a node's connection ended: %s", error)
        finally:
            writer.close()

    async def _connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        deadline = asyncio.get_running_loop().time() + self._patience
        while True:  # a port where nobody listens yet has no event to wait for
            try:
                return await asyncio.open_connection(_HOST, port)
            except OSError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _answer_imds(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, node_id: str, identities: tuple[Identity, ...]
    ) -> None:
        """One small HTTP exchange: requests have no body that matters, and the connection ends after the answer."""
        request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        method, target, _ = request.split(" ", 2)
        status, answered, content = await self._imds(node_id, identities, method, target, headers)
        head = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            *(f"{name}: {value}" for name, value in answered.items()),
        ]
        head += [f"Content-Length: {len(content)}", "Connection: close", "", ""]
        writer.write("\r\n".join(head).encode() + content)
        await writer.drain()
