"""The process that keeps blobs: Azurite, its command, its environment and a client that signs for it.

Owns the secret from which the internal account keys follow (`durable.js` computes the same in Azurite, which therefore
knows every account at once, without a restart). Clients never see these keys: accounts have their own, in ARM.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote
from xml.etree import ElementTree

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from local.azure.blobs.errors import ServerBusy
from local.azure.blobs.sharedkey import signature
from local.azure.control_plane.shared_access import blob_service_query
from local.azure.platform.clock import Clock
from local.azure.platform.forwarding import NO_LIMIT
from local.azure.platform.ports import HOST, Ports
from local.azure.platform.store import Store
from local.paths import Paths

_ROOM: Final = Path(__file__).parent
_OURS_ALONE: Final = ("Content-Type", "User-Agent", "Accept", "Accept-Encoding")  # aiohttp would add unsigned ones
_EARLIER: Final = timedelta(minutes=10)
_POLICY_FIELDS: Final = {"st": "Start", "se": "Expiry", "sp": "Permission"}
_VERSION: Final = "2021-12-02"  # of our own requests; clients' versions go through unchanged


def azurite_port(ports: Ports) -> int:
    """Where Azurite listens: ready when it accepts connections."""
    return ports.reserve("azurite")


def azurite_command(paths: Paths, store: Store, ports: Ports) -> tuple[list[str], dict[str, str]]:
    """What the supervisor runs, and the environment to add."""
    location = paths.state / "azurite"
    location.mkdir(mode=0o700, parents=True, exist_ok=True)
    program = _ROOM / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    argv = [
        "node",
        "--require",
        str(_ROOM / "durable.js"),
        str(program),
        "--blobHost",
        HOST,
        "--blobPort",
        str(azurite_port(ports)),
        "--location",
        str(location),
        "--disableTelemetry",
        "--disableProductStyleUrl",
        "--skipApiVersionCheck",
        "--silent",
    ]
    return argv, {"LOCAL_AZURE_BLOBS_SECRET": base64.b64encode(_secret(store)).decode()}


class Azurite:
    """A client of Azurite that signs with the key of whichever account a request is for."""

    def __init__(self, store: Store, ports: Ports, clock: Clock) -> None:
        self._secret = _secret(store)
        self._clock = clock
        self._base = f"http://{HOST}:{azurite_port(ports)}"
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client (Azurite may come later)."""
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=NO_LIMIT, auto_decompress=False)

    async def stop(self) -> None:
        """Close the client."""
        if self._session is not None:
            await self._session.close()

    async def send(
        self,
        account: str,
        method: str,
        target: str,
        headers: Mapping[str, str] | CIMultiDictProxy[str] | None = None,
        body: AsyncIterator[bytes] | None = None,
    ) -> aiohttp.ClientResponse:
        """One request; `target` is path and query as they go over the wire, the account first. Raises ServerBusy."""
        assert self._session is not None, "send before start"
        signed: CIMultiDict[str] = CIMultiDict(headers or {"x-ms-version": _VERSION})
        signed["x-ms-date"] = format_datetime(self._clock.now(), usegmt=True)
        if body is None and method not in ("GET", "HEAD", "DELETE"):
            signed.setdefault("Content-Length", "0")
        key = hmac.new(self._secret, account.encode(), hashlib.sha256).digest()
        signed["Authorization"] = f"SharedKey {account}:{signature(key, account, method, target, signed)}"
        try:
            return await self._session.request(
                method,
                URL(self._base + target, encoded=True),
                headers=signed,
                data=body,
                allow_redirects=False,
                skip_auto_headers=_OURS_ALONE,
            )
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise ServerBusy from error

    def readable(self, account: str, target: str, by: str) -> str:
        """The address of a blob (path and query) at which Azurite may read it for a copy into the account `by`: in
        another account with a signature, which is good for a few minutes."""
        if account == by:
            return self._base + target
        path, _, query = target.partition("?")
        now = self._clock.now()
        key = base64.b64encode(hmac.new(self._secret, account.encode(), hashlib.sha256).digest()).decode()
        name = unquote(path).lstrip("/")
        signed = blob_service_query(name, key, "r", now - _EARLIER, now + _EARLIER, None)
        return f"{self._base}{path}?{query + '&' if query else ''}{signed}"

    async def create_container(self, account: str, name: str) -> bool:
        """False when it exists."""
        async with await self.send(account, "PUT", f"/{account}/{name}?restype=container") as answer:
            return _expect(answer, 201, 409) == 201

    async def delete_container(self, account: str, name: str) -> bool:
        """False when it does not exist."""
        async with await self.send(account, "DELETE", f"/{account}/{name}?restype=container") as answer:
            return _expect(answer, 202, 404) == 202

    async def containers(self, account: str) -> list[str]:
        """Names of the account's containers (at most 5,000, Azurite's page)."""
        async with await self.send(account, "GET", f"/{account}?comp=list") as answer:
            _expect(answer, 200)
            return re.findall(r"<Name>([^<]+)</Name>", await answer.text())

    async def policies(self, account: str, container: str) -> dict[str, dict[str, str]]:
        """The container's stored access policies by id (`shared_access.Policies`); none of one that does not exist."""
        target = f"/{account}/{container}?restype=container&comp=acl"
        async with await self.send(account, "GET", target) as answer:
            if _expect(answer, 200, 404) == 404:
                return {}
            tree = ElementTree.fromstring(await answer.text())  # noqa: S314 - Azurite's answer
        found = {}
        for one in tree.iterfind("SignedIdentifier"):
            fields = {name: one.findtext(f"AccessPolicy/{tag}") for name, tag in _POLICY_FIELDS.items()}
            found[one.findtext("Id", "")] = {name: value for name, value in fields.items() if value}
        return found


def _secret(store: Store) -> bytes:
    with store.transaction():
        kept = store.get("blobs", "secret")
        if kept is None:
            kept = {"secret": secrets.token_hex(32)}
            store.put("blobs", "secret", kept)
    return bytes.fromhex(kept["secret"])


def _expect(answer: aiohttp.ClientResponse, *statuses: int) -> int:
    if answer.status not in statuses:
        raise ServerBusy(f"Azurite answered {answer.status} to {answer.method} {answer.url.path}; see its log.")
    return answer.status
