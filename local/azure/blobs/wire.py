"""How the blob service writes its errors: XML with a request id and a time in the message."""

from __future__ import annotations

import uuid
from datetime import datetime
from xml.sax.saxutils import escape

from aiohttp import web

from local.azure.blobs.errors import BlobError


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
