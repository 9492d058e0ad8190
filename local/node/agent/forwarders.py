"""The node's way to the local Azure: listeners inside the node, each connection relayed over the host's Unix socket.

The first line tells the host where a connection goes: `CONNECT <port>`, or `IMDS` for the identity endpoint. While the
local Azure is away (it restarts), connections wait for it, so that tasks do not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from local.node.agent.config import PLATFORM_ADDRESS, AgentConfig

PATIENCE_SECONDS = 60.0
IMDS_ADDRESS = "169.254.169.254"
_PAUSE_SECONDS = 0.1
_PIECE_BYTES = 65536


class Forwarders:
    """All listeners of a node. `imds_url` is where its identity endpoint answers."""

    def __init__(self, host_socket: Path, patience: float = PATIENCE_SECONDS) -> None:
        self._host = str(host_socket)
        self._patience = patience
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self.imds_url = f"http://{IMDS_ADDRESS}"

    async def open(self, config: AgentConfig) -> None:
        """Listen everywhere a task may ask. Without a network namespace of its own, only an identity endpoint."""
        if not config.isolated:
            port = await self.listen("127.0.0.1", 0, "IMDS")
            self.imds_url = f"http://127.0.0.1:{port}"
            return
        await self.listen(IMDS_ADDRESS, 80, "IMDS")
        for port in config.ports:
            await self.listen(["127.0.0.1", PLATFORM_ADDRESS], port, f"CONNECT {port}")

    async def listen(self, addresses: str | Sequence[str], port: int, line: str) -> int:
        """One listener whose connections begin with `line`; its port."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._relay(reader, writer, line))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

        server = await asyncio.start_server(accept, addresses, port)
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close listeners and connections."""
        for server in self._servers:
            server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str) -> None:
        try:
            host_reader, host_writer = await self._connect()
        except OSError:
            writer.close()
            return
        host_writer.write(f"{line}\n".encode())
        await splice(reader, writer, host_reader, host_writer)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        deadline = asyncio.get_running_loop().time() + self._patience
        while True:  # a socket that is not there yet has no event to wait for
            try:
                return await asyncio.open_unix_connection(self._host)
            except OSError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)


async def splice(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    other_reader: asyncio.StreamReader,
    other_writer: asyncio.StreamWriter,
) -> None:
    """Copy both ways until both sides are done; an end on one side is passed on to the other."""
    try:
        await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))
    except (ConnectionError, OSError):
        pass
    finally:
        for each in (writer, other_writer):
            each.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
