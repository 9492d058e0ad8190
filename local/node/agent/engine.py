"""The node's own Docker engine, over its socket: images, starting and attaching, waiting, inspecting.

Creating a container is not here: Batch's run options are a fragment of a `docker create` command line, so
`containers.py` lets the client parse them. All else speaks HTTP, which keeps registry credentials off command lines.

Why no library (measured on the node image, Debian 12, November 2026): the node takes packages of Debian only, and
aiodocker is none of them. docker-py is (8 packages, 4.1 MB, 100 ms and 6 MB more for each start of the agent), but its
calls block: it needs a thread for the wait and one for the output of every running container, and of the 190 lines here
some 60 would go: waiting for the engine, the attached streams and the words of errors would stay ours.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector

SOCKET = "/var/run/docker.sock"
_BASE = "http://docker"
_PING_PAUSE_SECONDS = 0.05
_STREAMS = {1: "stdout", 2: "stderr"}


class EngineError(Exception):
    """The engine refused a request. `status` is HTTP's, 0 when there was no answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Engine:
    """A client of one engine."""

    def __init__(self, socket: str = SOCKET) -> None:
        self._socket = socket

    async def wait_ready(self, seconds: float) -> None:
        """Return when the engine answers; EngineError when it does not in time."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:  # the engine's start has no event that one could wait for
            try:
                async with self._session() as session, session.get(f"{_BASE}/_ping") as reply:
                    if reply.status == 200:
                        return
            except (ClientError, OSError):
                pass
            if asyncio.get_running_loop().time() > deadline:
                raise EngineError(0, f"the node's Docker engine does not answer on {self._socket} after {seconds:g} s")
            await asyncio.sleep(_PING_PAUSE_SECONDS)

    async def has_image(self, image: str) -> bool:
        """Whether the image is on the node."""
        try:
            await self._json("GET", f"/images/{image}/json")
        except EngineError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def pull(self, image: str, user: str = "", password: str = "") -> None:
        """Pull an image; credentials travel in a header."""
        repository, tag = split_reference(image)
        headers = {}
        if password:
            credentials = {"username": user, "password": password, "serveraddress": repository.split("/")[0]}
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(json.dumps(credentials).encode()).decode()
        query = {"fromImage": repository, "tag": tag}
        async with (
            self._session() as session,
            session.post(f"{_BASE}/images/create", params=query, headers=headers) as reply,
        ):
            if reply.status != 200:
                raise EngineError(reply.status, _message(await reply.text()))
            async for line in reply.content:
                if line.strip() and (error := json.loads(line).get("error")):
                    raise EngineError(reply.status, error)

    async def inspect(self, container: str) -> dict[str, Any]:
        """`docker inspect`."""
        return await self._json("GET", f"/containers/{container}/json")

    async def start(self, container: str) -> None:
        """Start a created container; EngineError tells why its program did not start."""
        await self._json("POST", f"/containers/{container}/start")

    async def wait(self, container: str) -> int:
        """The exit code of the container's next end. Ask before it is started: with `--rm` there is no later."""
        found = await self._json("POST", f"/containers/{container}/wait?condition=next-exit")
        return int(found["StatusCode"])

    async def kill(self, container: str, signal: str) -> None:
        """Send a signal; a container that ended already is no error."""
        try:
            await self._json("POST", f"/containers/{container}/kill?signal={signal}")
        except EngineError as error:
            if error.status not in (404, 409):
                raise

    async def remove(self, container: str) -> None:
        """Remove a container by force; one that is gone is no error."""
        try:
            await self._json("DELETE", f"/containers/{container}?force=1&v=1")
        except EngineError as error:
            if error.status not in (404, 409):
                raise

    async def labelled(self, label: str) -> list[str]:
        """Ids of all containers with this label, stopped ones included."""
        filters = json.dumps({"label": [label]})
        query = {"all": "1", "filters": filters}
        async with self._session() as session, session.get(f"{_BASE}/containers/json", params=query) as reply:
            return [entry["Id"] for entry in await reply.json()]

    @asynccontextmanager
    async def attached(self, container: str, tty: bool, stdout: BinaryIO, stderr: BinaryIO) -> AsyncIterator[None]:
        """Attach before the start, so that no line is lost; leaving the block waits for the end of the output."""
        reader, writer = await asyncio.open_unix_connection(self._socket)
        request = (
            f"POST /containers/{container}/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: docker\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
        )
        writer.write(request.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if " 101 " not in head.splitlines()[0]:
            writer.close()
            raise EngineError(0, f"the engine did not attach to {container}: {head.splitlines()[0]}")
        copying = asyncio.create_task(_copy(reader, tty, stdout, stderr))
        try:
            yield
            await copying
        finally:
            copying.cancel()
            writer.close()

    def _session(self) -> ClientSession:
        return ClientSession(connector=UnixConnector(self._socket), timeout=ClientTimeout(total=None))

    async def _json(self, method: str, path: str) -> dict[str, Any]:
        try:
            async with self._session() as session, session.request(method, _BASE + path) as reply:
                text = await reply.text()
                if reply.status >= 400:
                    raise EngineError(reply.status, _message(text))
                return json.loads(text) if text.strip() else {}
        except (ClientError, OSError) as error:
            raise EngineError(0, f"the node's Docker engine does not answer: {error}") from error


def split_reference(image: str) -> tuple[str, str]:
    """Repository and tag or digest of a reference; `latest` where it says neither."""
    if "@" in image:
        name, digest = image.split("@", 1)
        return name, digest
    head, slash, last = image.rpartition("/")
    name, colon, tag = last.partition(":")
    return head + slash + name, tag if colon else "latest"


async def _copy(reader: asyncio.StreamReader, tty: bool, stdout: BinaryIO, stderr: BinaryIO) -> None:
    """Take the two streams of an attached container apart (the engine's 8-byte frame headers; raw with a terminal)."""
    targets = {"stdout": stdout, "stderr": stderr}
    try:
        while True:
            if tty:
                if not (piece := await reader.read(65536)):
                    return
                stdout.write(piece)
                continue
            header = await reader.readexactly(8)
            targets[_STREAMS.get(header[0], "stdout")].write(
                await reader.readexactly(int.from_bytes(header[4:], "big"))
            )
    except asyncio.IncompleteReadError:
        return  # the container ended


def _message(text: str) -> str:
    try:
        return json.loads(text).get("message", text)
    except (ValueError, AttributeError):
        return text.strip()
