"""The logs of a node that a client has uploaded to a container: one file, with what the service knows of the node.

A local node runs no agent of Azure's, so there is nothing else. The upload is tried while the client waits, and given
up after a few seconds: Azure answers before it, and tells nobody how it went.
"""

from __future__ import annotations

import json
import logging
import ssl
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from local.azure.batch.account.account import Account
from local.azure.batch.model import Node
from local.azure.batch.model.durations import stamp
from local.azure.control_plane.tokens import STORAGE_AUDIENCES

FILE: Final = "agent-debug.log"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=3)
_log = logging.getLogger("local.azure.batch")


def text(node: Node) -> bytes:
    """One line of JSON each: the node as it is, and the tasks that it ran last."""
    facts = {
        "node": node.id,
        "pool": node.pool_id,
        "state": node.state.value,
        "booted": stamp(node.booted),
        "tasksRun": node.tasks_run,
        "tasksSucceeded": node.tasks_succeeded,
        "errors": node.errors,
    }
    lines = [facts, *({"task": one} for one in node.recent)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


async def upload(account: Account, node: Node, body: dict[str, Any], folder: str) -> int:
    """Send the file to the container, by the signature in its URL or as an identity of the pool; how many files."""
    base, _, query = body["containerUrl"].partition("?")
    url = f"{base.rstrip('/')}/{quote(folder)}/{FILE}" + (f"?{query}" if query else "")
    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"}
    identity_id = str((body.get("identityReference") or {}).get("resourceId", "")).lower()
    pool = account.state.pools[node.pool_id.lower()]
    for identity in account.specs.identities(pool):
        if identity.resource_id.lower() == identity_id:
            token = account.cloud.tokens.issue(
                principal_id=identity.principal_id, client_id=identity.client_id, audience=STORAGE_AUDIENCES[0]
            )
            headers["Authorization"] = f"Bearer {token}"
    trusted = ssl.create_default_context()
    trusted.load_verify_locations(cafile=str(account.cloud.paths.ca))
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, connector=aiohttp.TCPConnector(ssl=trusted)) as session,
            session.put(url, data=text(node), headers=headers) as answer,
        ):
            reason = str(answer.status)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        reason = type(error).__name__
    if reason != "201":
        _log.warning("logs of a node were not uploaded", extra={"node": node.id, "answer": reason})
    return 1
