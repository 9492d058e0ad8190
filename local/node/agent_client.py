"""Speaking with one node's agent over its Unix socket. Owns the wire; which nodes there are is the executors'."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, UnixConnector

from local.node.agent.journal import Entry
from local.node.contract import ActionRefused, FileInfo, NodeUnreachable, RunSpec, UserAccount, from_json, to_json

_BASE = "http://node"
_TIMEOUT = ClientTimeout(total=60)
_STREAM = ClientTimeout(total=None)
_PIECE_BYTES = 256 * 1024
_LONGEST_EVENT_BYTES = 16 * 2**20  # far above any: a node must not fill our memory with a line that never ends


class AgentClient:
    """One agent."""

    def __init__(self, node_id: str, socket: Path) -> None:
        self.node_id = node_id
        self._socket = socket

    async def start_run(self, run: RunSpec) -> None:
        """Start a run; one that the node knows is left as it is."""
        await self._call("PUT", "/runs", body=to_json(run))

    async def terminate_run(self, run_id: str) -> None:
        """End a run; its RunEnded follows."""
        await self._call("POST", "/runs/terminate", {"run_id": run_id})

    async def list_files(self, directory: str, recursive: bool) -> list[FileInfo]:
        """What is below a folder of the node root."""
        found = await self._call("GET", "/files", {"path": directory, "recursive": str(recursive).lower()})
        return [from_json(FileInfo, item) for item in found]

    async def stat_file(self, path: str) -> FileInfo:
        """One file's properties."""
        return from_json(FileInfo, await self._call("GET", "/files/properties", {"path": path}))

    async def read_file(self, path: str, start: int, end: int | None) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`."""
        query = {"path": path, "start": str(start)} | ({} if end is None else {"end": str(end)})
        try:
            async with self._session(_STREAM) as session, session.get(_BASE + "/files/content", params=query) as reply:
                await _checked(reply)
                async for piece in reply.content.iter_chunked(_PIECE_BYTES):
                    yield piece
        except (ClientError, OSError) as error:
            raise self._unreachable(error) from error

    async def delete_file(self, path: str, recursive: bool) -> None:
        """Remove a file or folder."""
        await self._call("DELETE", "/files", {"path": path, "recursive": str(recursive).lower()})

    async def put_user(self, user: UserAccount) -> None:
        """Add or change a login."""
        await self._call("PUT", "/users", body=to_json(user))

    async def delete_user(self, name: str) -> None:
        """Remove a login."""
        await self._call("DELETE", "/users", {"name": name})

    async def events(self, after: int) -> AsyncIterator[Entry]:
        """Journal entries later than `after`, then each new one; ends when the connection does."""
        async with (
            self._session(_STREAM) as session,
            session.get(f"{_BASE}/events", params={"after": str(after)}) as reply,
        ):
            buffer = b""
            async for piece in reply.content.iter_any():
                *lines, buffer = (buffer + piece).split(b"\n")
                if len(buffer) > _LONGEST_EVENT_BYTES:
                    raise ValueError(f"a line of more than {_LONGEST_EVENT_BYTES} bytes")
                for line in lines:
                    yield Entry.parse(line)

    async def _call(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            async with (
                self._session(_TIMEOUT) as session,
                session.request(method, _BASE + path, params=query, json=body) as reply,
            ):
                await _checked(reply)
                text = await reply.text()
                return json.loads(text) if text else None
        except FileNotFoundError:
            raise
        except (ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def _session(self, timeout: ClientTimeout) -> ClientSession:
        return ClientSession(connector=UnixConnector(str(self._socket)), timeout=timeout)

    def _unreachable(self, error: Exception) -> Exception:
        if isinstance(error, FileNotFoundError):
            return error
        return NodeUnreachable(f"node {self.node_id} does not answer: {error or type(error).__name__}")


async def _checked(reply: ClientResponse) -> None:
    if reply.status < 400:
        return
    try:
        message = json.loads(await reply.text())["message"]
    except (ValueError, KeyError):
        message = f"HTTP {reply.status}"
    raise FileNotFoundError(message) if reply.status == 404 else ActionRefused(message)
