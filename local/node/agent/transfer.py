"""Blobs in and out: resource files before a command, output files after it, as the node's identities.

Facts: the container must exist; which files a pattern means is `outputs.py`'s. Tasks write where these files lie, so
every one is opened through `beneath.py`: without following a link, and read with the rights of the task's user.

A service that does not answer is asked again (`patience.py`): both directions may be repeated without harm.
"""

from __future__ import annotations

import asyncio
import base64
import mimetypes
import os
import urllib.parse
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO
from xml.etree import ElementTree

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from local.node.agent import failures
from local.node.agent.beneath import Beneath, NotAFile, User
from local.node.agent.outputs import PatternLeavesTask, matches
from local.node.agent.patience import patiently
from local.node.agent.tokens import STORAGE, TokenRefused, Tokens
from local.node.contract import FailureInfo, OutputFile, ResourceFile

WHOLE_BYTES = 64 * 2**20  # up to here one request, above it blocks
BLOCK_BYTES = 16 * 2**20
MOST_BLOCKS = 50_000  # of one blob (learn.microsoft.com/azure/storage/blobs/scalability-targets)
_PIECE_BYTES = 2**20
_OF_ONE_FILE = frozenset({400, 409, 412, 413})  # statuses that speak of a blob: its name, its lease, its size
_VERSION = {"x-ms-version": "2021-12-02"}
_TIMEOUT = ClientTimeout(total=None, sock_connect=90, sock_read=300)


@dataclass(frozen=True)
class Upload:
    """What became of a file of a pattern: a blob `name` of so many bytes, `skipped` for a reason, or a `failure`.

    `file` is its path below the task's folder; the pattern itself when that could not be searched for. `hopeless`: the
    container, the rights or the service were at fault, so no other file of the pattern was tried.
    """

    file: str
    name: str = ""
    size: int = 0
    skipped: str = ""
    failure: FailureInfo | None = None
    hopeless: bool = False


class Transfer:
    """A client of blob storage that speaks as the node's identities."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    @property
    def imds(self) -> str:
        """Where the identity endpoint is."""
        return self._tokens.url

    async def upload(self, output: OutputFile, task: Beneath, variables: Mapping[str, str]) -> list[Upload]:
        """Upload all files of a pattern and say what became of each: one that fails does not stop the others.

        `task` is the task's folder, read as the task's user; `variables` are those of its environment.
        """
        try:
            found = await asyncio.to_thread(lambda: list(matches(output, task, variables)))
        except (PatternLeavesTask, OSError) as error:
            failure = failures.upload(0, _bare(output.container_url), str(error))
            return [Upload(output.file_pattern, failure=failure)]
        done: list[Upload] = []
        async with ClientSession(timeout=_TIMEOUT) as session:
            for path, name in found:
                done.append(await self._upload(session, output, task, path, name))
                if done[-1].hopeless:
                    break
        return done

    async def _upload(self, session: ClientSession, output: OutputFile, task: Beneath, path: str, name: str) -> Upload:
        url = _bare(output.container_url)
        try:
            url = blob_url(output.container_url, name)
            with os.fdopen(await asyncio.to_thread(task.open_file, path), "rb") as file:
                _check_size(file)

                async def put() -> int:
                    headers = await self._headers(output.identity_client_id, output.container_url)
                    headers |= dict(output.headers)  # the task's own win over ours
                    return await _put(session, url, headers, file, name)

                return Upload(path, name=name, size=await patiently(put))
        except (NotAFile, FileNotFoundError) as error:
            return Upload(path, skipped=f"not uploaded: it {error.strerror}")
        except (ClientError, TimeoutError, TokenRefused) as error:
            status = getattr(error, "status", 0)
            failure = failures.upload(status, _bare(url), str(error))
            return Upload(path, failure=failure, hopeless=status not in _OF_ONE_FILE)
        except (OSError, UnicodeError) as error:  # the file itself, or its name
            return Upload(path, failure=failures.upload(0, _bare(url), str(error)))

    async def fetch(self, resource: ResourceFile, working_dir: Beneath, owner: User) -> None:
        """Fetch a resource file, or all blobs of a container below a prefix, and give what is written to `owner`."""
        if resource.auto_storage_container_name:
            reason = "autoStorageContainerName reached the node; the service turns it into a container URL"
            raise failures.RunFailed(failures.resource_file(0, resource.auto_storage_container_name, reason))
        source = resource.http_url or resource.storage_container_url or ""
        async with ClientSession(timeout=_TIMEOUT) as session:
            try:
                await patiently(lambda: self._fetch(session, resource, source, working_dir, owner))
            except (ClientError, TimeoutError, OSError, TokenRefused) as error:
                status = getattr(error, "status", 0)
                raise failures.RunFailed(failures.resource_file(status, _bare(source), str(error))) from error

    async def download(self, url: str, client_id: str | None, file: BinaryIO) -> None:
        """Write a blob to an open file. Raises ClientError, TimeoutError, OSError and TokenRefused."""
        async with ClientSession(timeout=_TIMEOUT) as session:

            async def attempt() -> None:
                file.seek(0)
                file.truncate()
                headers = await self._headers(client_id, url)
                async with session.get(URL(url, encoded=True), headers=headers) as reply:
                    await _check(reply)
                    await _save(reply, file)

            await patiently(attempt)

    async def _fetch(
        self, session: ClientSession, resource: ResourceFile, source: str, working_dir: Beneath, owner: User
    ) -> None:
        mode = int(resource.file_mode, 8) if resource.file_mode else 0o644
        headers = await self._headers(resource.identity_client_id, source)
        async for url, name in self._sources(session, resource, headers):
            async with session.get(URL(url, encoded=True), headers=headers) as reply:
                await _check(reply)
                with os.fdopen(_created(working_dir, name, mode, owner), "wb") as file:
                    await _save(reply, file)

    async def _sources(
        self, session: ClientSession, resource: ResourceFile, headers: dict[str, str]
    ) -> AsyncIterator[tuple[str, str]]:
        if resource.http_url:
            name = PurePosixPath(urllib.parse.urlsplit(resource.http_url).path).name
            yield resource.http_url, resource.file_path or name
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


def blob_url(container_url: str, name: str) -> str:
    """The blob's URL; a signature in the container's URL is kept."""
    parts = urllib.parse.urlsplit(container_url)
    path = f"{parts.path.rstrip('/')}/{'/'.join(map(_segment, name.split('/')))}"
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _segment(segment: str) -> str:
    """`.` and `..` encoded too: a client would take them, and a folder before them, out of the path."""
    return segment.replace(".", "%2E") if segment in (".", "..") else urllib.parse.quote(segment)


def _check_size(file: BinaryIO) -> None:
    """Refuse what no blob can hold, and a file that is mostly holes and would fill this machine's disk."""
    found, disk = os.fstat(file.fileno()), os.fstatvfs(file.fileno())
    if found.st_size > MOST_BLOCKS * BLOCK_BYTES:
        raise OSError(f"its {found.st_size} bytes are more than the {MOST_BLOCKS} blocks of {BLOCK_BYTES} of one blob")
    if found.st_blocks * 512 < found.st_size and found.st_size > disk.f_bavail * disk.f_frsize:
        raise OSError(f"it has holes, and its {found.st_size} bytes do not fit on this machine's disk")


async def _put(session: ClientSession, url: str, headers: dict[str, str], file: BinaryIO, name: str) -> int:
    """The bytes sent. A file that still grows is sent as far as it goes when it is read."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    file.seek(0)
    content = await asyncio.to_thread(file.read, WHOLE_BYTES + 1)
    if len(content) <= WHOLE_BYTES:
        extra = {"x-ms-blob-type": "BlockBlob", "x-ms-blob-content-type": kind, "Content-Type": kind}
        async with session.put(URL(url, encoded=True), data=content, headers=extra | headers) as reply:
            await _check(reply)
        return len(content)
    del content
    file.seek(0)
    joint, ids, size = "&" if "?" in url else "?", [], 0
    while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
        if len(ids) == MOST_BLOCKS:
            raise BlobRefused(413, f"it grew beyond the {MOST_BLOCKS} blocks of one blob")
        ids.append(base64.b64encode(f"{len(ids):08d}".encode()).decode())
        size += len(block)
        query = urllib.parse.urlencode({"comp": "block", "blockid": ids[-1]})
        async with session.put(URL(f"{url}{joint}{query}", encoded=True), data=block, headers=headers) as reply:
            await _check(reply)
    listed = "".join(f"<Latest>{block_id}</Latest>" for block_id in ids)
    body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'
    sent = {"x-ms-blob-content-type": kind} | headers | {"Content-Type": "application/xml"}
    async with session.put(URL(f"{url}{joint}comp=blocklist", encoded=True), data=body.encode(), headers=sent) as reply:
        await _check(reply)
    return size


async def _save(reply: ClientResponse, file: BinaryIO) -> None:
    async for piece in reply.content.iter_chunked(_PIECE_BYTES):
        file.write(piece)


async def _check(reply: ClientResponse) -> None:
    if reply.status >= 400:
        code = reply.headers.get("x-ms-error-code") or (await reply.text())[:300]
        raise BlobRefused(reply.status, f"{reply.method} answered {reply.status}: {code}")


def _created(working_dir: Beneath, name: str, mode: int, owner: User) -> int:
    try:
        return working_dir.create_file(name, mode=mode, owner=owner)
    except OSError as error:
        reason = f"it cannot be written below the working directory: {error.strerror or error}"
        raise failures.RunFailed(failures.resource_file(0, name, reason)) from error


def _bare(url: str) -> str:
    """The URL without its query: a signature belongs in no message."""
    return urllib.parse.urlunsplit((*urllib.parse.urlsplit(url)[:3], "", ""))
