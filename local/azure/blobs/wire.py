"""The XML that the blob service writes and reads itself: errors (a request id and a time in the message), keys."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from xml.sax.saxutils import escape, unescape

from aiohttp import web

from local.azure.blobs.errors import BlobError, InvalidXmlDocument

_ELEMENT: Final = re.compile(r"<(\w+)>([^<>]*)</\1>")


def error_response(error: BlobError, request: web.Request, now: datetime) -> web.Response:
    """The error for this client."""
    request_id = str(uuid.uuid4())
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
    message = f"{error.message}\nRequestId:{request_id}\nTime:{stamp}"
    details = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in error.details)
    body = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{error.code}</Code><Message>{escape(message)}</Message>{details}</Error>"
    )
    headers = {
        "x-ms-request-id": request_id,
        "x-ms-error-code": error.code,
        "x-ms-version": request.headers.get("x-ms-version", "2021-12-02"),
        **error.headers,
    }
    if client_id := request.headers.get("x-ms-client-request-id"):
        headers["x-ms-client-request-id"] = client_id
    return web.Response(body=body.encode(), status=error.status, content_type="application/xml", headers=headers)


def texts_of(document: bytes) -> dict[str, str]:
    """The elements without elements of their own, by name, of a request that names a few values."""
    try:
        found = dict(_ELEMENT.findall(document.decode("utf-8-sig")))
    except UnicodeDecodeError:
        raise InvalidXmlDocument from None
    if not found:
        raise InvalidXmlDocument
    return {name: unescape(text) for name, text in found.items()}


def delegation_key(fields: Mapping[str, str]) -> web.Response:
    """The answer to Get User Delegation Key."""
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    body = f'<?xml version="1.0" encoding="utf-8"?><UserDelegationKey>{inner}</UserDelegationKey>'
    return web.Response(body=body.encode(), content_type="application/xml")
