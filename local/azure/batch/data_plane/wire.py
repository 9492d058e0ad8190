"""What the data plane looks like on the wire: error and list envelopes, headers. Nothing else builds a response.

Forms from public recordings (docs/azure-facts.md#forms-on-the-wire): `message` is an object, errors repeat request id
and time in their text, the reason phrase repeats the message's first line.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from local.azure.batch.data_plane.former import FIRST, encode_known
from local.azure.batch.model.durations import exact_stamp
from local.azure.platform.errors import AzureError

JSON_TYPE = "application/json;odata=minimalmetadata"
_ERROR_KIND = "Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element"


@dataclass
class Answer:
    """What an operation says; `stream` replaces the body, `entity` names it in `odata.metadata`."""

    status: int = 200
    body: dict[str, Any] | None = None
    entity: str | None = None
    etag: str | None = None
    changed: datetime | None = None
    headers: dict[str, str] = field(default_factory=dict)
    stream: AsyncIterator[bytes] | None = None
    length: int = 0  # of the stream: what a file gained since it was asked for is not sent
    content_type: str = JSON_TYPE


def rfc1123(when: datetime) -> str:
    """A time in a header."""
    return format_datetime(when, usegmt=True)


def common_headers(request: Mapping[str, str]) -> dict[str, str]:
    """What every response carries."""
    headers = {
        "request-id": str(uuid.uuid4()),
        "DataServiceVersion": "3.0",
        "Server": "Microsoft-HTTPAPI/2.0",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
    }
    if request.get("return-client-request-id", "").lower() == "true" and request.get("client-request-id"):
        headers["client-request-id"] = request["client-request-id"]
    return headers


def encode(answer: Answer, base_url: str, request: web.Request) -> web.Response:
    """The response of an operation that succeeded (not a stream)."""
    headers = {**common_headers(request.headers), **answer.headers}
    if answer.etag is not None:
        headers["ETag"] = answer.etag
    if answer.changed is not None:
        headers["Last-Modified"] = rfc1123(answer.changed)
    if answer.body is None:
        return web.Response(status=answer.status, headers=headers)
    body = answer.body
    if answer.entity is not None:
        body = {"odata.metadata": f"{base_url}/$metadata#{answer.entity}", **body}
    headers["Content-Type"] = JSON_TYPE
    content = encode_known(body, request.query.get("api-version", FIRST))
    return web.Response(status=answer.status, headers=headers, body=content)


def error_body(error: AzureError, base_url: str, request_id: str, now: datetime) -> dict[str, Any]:
    """An error's envelope; `values` only when there are details."""
    text = f"{error.message}\nRequestId:{request_id}\nTime:{exact_stamp(now)}"
    body: dict[str, Any] = {
        "odata.metadata": f"{base_url}/$metadata#{_ERROR_KIND}",
        "code": error.code,
        "message": {"lang": "en-US", "value": text},
    }
    if error.details:
        body["values"] = [{"key": key, "value": value} for key, value in error.details]
    return body


def encode_error(error: AzureError, base_url: str, request: web.Request, now: datetime) -> web.Response:
    """The response to a refused request; HEAD and 304 have no body."""
    headers = {**common_headers(request.headers), **error.headers}
    reason = error.message.splitlines()[0] if error.message else None
    if request.method == "HEAD" or error.status == 304:
        return web.Response(status=error.status, headers=headers, reason=reason)
    body = error_body(error, base_url, headers["request-id"], now)
    headers["Content-Type"] = JSON_TYPE
    return web.Response(status=error.status, headers=headers, body=json.dumps(body).encode(), reason=reason)
