"""Blobs in and out: resource files before a command, output files after it, as the node's identities.

Facts (4.7): patterns are relative to the working directory; a wildcard pattern's `path` is a prefix, another pattern's
is the blob's name; the container must exist. Names keep their folders below the working directory, a leading `..` is
left out, so `../std*.txt` gives `stdout.txt` (the exact naming of nested patterns is a GUESS).

A service that does not answer is asked again (`patience.py`): both directions may be repeated without harm.
"""

from __future__ import annotations

import asyncio
import base64
import glob
import mimetypes
import re
import urllib.parse
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from local.node.agent import failures
from local.node.agent.patience import patiently
from local.node.agent.tokens import STORAGE, TokenRefused, Tokens
from local.node.contract import OutputFile, ResourceFile

WHOLE_BYTES = 64 * 2**20  # up to here one request, above it blocks
BLOCK_BYTES = 16 * 2**20
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_PIECE_BYTES = 2**20
_VERSION = {"x-ms-version": "2021-12-02"}
_TIMEOUT = ClientTimeout(total=None, sock_connect=90, sock_read=300)


class Transfer:
    """A client of blob storage that speaks as the node's identities."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    @property
    def imds(self) -> str:
        """Where the identity endpoint is."""
        return self._tokens.url

    async def upload(
        self, output: OutputFile, working_dir: Path, environment: Mapping[str, str] = MappingProxyType({})
    ) -> list[tuple[str, int]]:
        """Upload all files of a pattern; names and sizes of the blobs. RunFailed carries the service's code."""
        done = []
        async with ClientSession(timeout=_TIMEOUT) as session:
            for path, name in matches(output, working_dir, environment):
                url = blob_url(output.container_url, name)

                async def put(url: str = url, path: Path = path) -> None:
                    headers = await self._headers(output.identity_client_id, output.container_url)
                    await _put(session, url, headers, path)

                try:
                    await patiently(put)
                except (ClientError, TimeoutError, OSError, TokenRefused) as error:
                    status = getattr(error, "status", 0)
                    raise failures.RunFailed(failures.upload(status, _bare(url), str(error))) from error
                done.append((name, path.stat().st_size))
        return done

    async def fetch(self, resource: ResourceFile, working_dir: Path) -> list[Path]:
        """Fetch a resource file, or all blobs of a container below a prefix; the paths written."""
        if resource.auto_storage_container_name:
            reason = "autoStorageContainerName reached the node; the service turns it into a container URL"
            raise failures.RunFailed(failures.resource_file(0, resource.auto_storage_container_name, reason))
        source = resource.http_url or resource.storage_container_url or ""
        async with ClientSession(timeout=_TIMEOUT) as session:
            try:
                return await patiently(lambda: self._fetch(session, resource, source, working_dir))
            except (ClientError, TimeoutError, OSError, TokenRefused) as error:
                status = getattr(error, "status", 0)
                raise failures.RunFailed(failures.resource_file(status, _bare(source), str(error))) from error

    async def _fetch(
        self, session: ClientSession, resource: ResourceFile, source: str, working_dir: Path
    ) -> list[Path]:
        written = []
        headers = await self._headers(resource.identity_client_id, source)
        async for url, name in self._sources(session, resource, headers):
            target = _inside(working_dir, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            async with session.get(url, headers=headers) as reply:
                await _check(reply)
                with target.open("wb") as file:
                    async for piece in reply.content.iter_chunked(_PIECE_BYTES):
                        file.write(piece)
            if resource.file_mode:
                target.chmod(int(resource.file_mode, 8))
            written.append(target)
        return written

    async def _sources(
        self, session: ClientSession, resource: ResourceFile, headers: dict[str, str]
    ) -> AsyncIterator[tuple[str, str]]:
        if resource.http_url:
            yield resource.http_url, resource.file_path or Path(urllib.parse.urlsplit(resource.http_url).path).name
            return
        container, marker = resource.storage_container_url or "", ""
        while True:
            query = {"restype": "container", "comp": "list", "prefix": resource.blob_prefix or "", "marker": marker}
            joint = "&" if "?" in container else "?"
            async with session.get(container + joint + urllib.parse.urlencode(query), headers=headers) as reply:
                await _check(reply)
                tree = ElementTree.fromstring(await reply.text())  # noqa: S314 - our own blob service's answer
            for name in (element.text or "" for element in tree.iterfind("./Blobs/Blob/Name")):
                yield blob_url(container, name), f"{resource.file_path}/{name}" if resource.file_path else name
            if not (marker := tree.findtext("NextMarker") or ""):
                return

    async def _headers(self, client_id: str | None, url: str) -> dict[str, str]:
        """A signature in the URL, or no identity, means no token."""
        if client_id is None or "sig=" in urllib.parse.urlsplit(url).query:
            return dict(_VERSION)
        return _VERSION | {"Authorization": f"Bearer {await self._tokens.get(STORAGE, client_id)}"}


class BlobRefused(ClientError):
    """The blob service answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def matches(
    output: OutputFile, working_dir: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[Path, str]]:
    """The files of a pattern with the names of their blobs.

    As azure-batch 15.1 documents `OutputFile.file_pattern`: `$NAME` is the task's variable (GUESS: one that it does not
    have is the empty text), only `/` parts folders, and a name that begins with a dot is matched only by a dot.
    """
    pattern = _VARIABLE.sub(lambda match: environment.get(match[1], ""), output.file_pattern)
    wildcard = glob.has_magic(pattern)
    for found in sorted(glob.glob(pattern, root_dir=working_dir, recursive=True)):  # noqa: PTH207 - pathlib refuses `..`
        path = working_dir / found
        if not path.is_file():
            continue
        name = "/".join(part for part in found.split("/") if part not in ("..", "."))
        if output.path and not wildcard:
            name = output.path
        elif output.path:
            name = f"{output.path.rstrip('/')}/{name}"
        yield path, name


def blob_url(container_url: str, name: str) -> str:
    """The blob's URL; a signature in the container's URL is kept."""
    parts = urllib.parse.urlsplit(container_url)
    path = f"{parts.path.rstrip('/')}/{urllib.parse.quote(name)}"
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


async def _put(session: ClientSession, url: str, headers: dict[str, str], path: Path) -> None:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if _size(path) <= WHOLE_BYTES:
        extra = {"x-ms-blob-type": "BlockBlob", "x-ms-blob-content-type": kind, "Content-Type": kind}
        async with session.put(url, data=await asyncio.to_thread(path.read_bytes), headers=headers | extra) as reply:
            return await _check(reply)
    joint, ids = "&" if "?" in url else "?", []
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            ids.append(base64.b64encode(f"{len(ids):08d}".encode()).decode())
            query = urllib.parse.urlencode({"comp": "block", "blockid": ids[-1]})
            async with session.put(f"{url}{joint}{query}", data=block, headers=headers) as reply:
                await _check(reply)
    listed = "".join(f"<Latest>{block_id}</Latest>" for block_id in ids)
    body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'
    extra = {"x-ms-blob-content-type": kind, "Content-Type": "application/xml"}
    async with session.put(f"{url}{joint}comp=blocklist", data=body.encode(), headers=headers | extra) as reply:
        return await _check(reply)


def _size(path: Path) -> int:
    return path.stat().st_size


async def _check(reply: ClientResponse) -> None:
    if reply.status >= 400:
        code = reply.headers.get("x-ms-error-code") or (await reply.text())[:300]
        raise BlobRefused(reply.status, f"{reply.method} answered {reply.status}: {code}")


def _inside(folder: Path, name: str) -> Path:
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise failures.RunFailed(failures.resource_file(0, name, "the file path leaves the working directory"))
    return target


def _bare(url: str) -> str:
    """The URL without its query: a signature belongs in no message."""
    return urllib.parse.urlunsplit((*urllib.parse.urlsplit(url)[:3], "", ""))
