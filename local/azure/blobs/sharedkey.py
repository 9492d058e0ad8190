"""Shared Key: the signature over a request, for checking clients and for signing to Azurite.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key (2015-02-21 and later). Both sides put
the account twice into the resource, because path-style URLs have it in the path as well.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

_SIGNED = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip


def signature(key: bytes, account: str, method: str, target: str, headers: Mapping[str, str]) -> str:
    """The signature, in base64; `target` is path and query as they go over the wire."""
    text = string_to_sign(account, method, target, headers)
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()


def string_to_sign(account: str, method: str, target: str, headers: Mapping[str, str]) -> str:
    """What is signed."""
    lower = {name.lower(): value for name, value in headers.items()}
    if lower.get("content-length") == "0":
        lower["content-length"] = ""
    if "x-ms-date" in lower:
        lower["date"] = ""
    own = sorted(name for name in lower if name.startswith("x-ms-"))
    path, _, query = target.partition("?")
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        fields.setdefault(name.lower(), []).append(value)
    lines = [method.upper(), *(lower.get(name, "") for name in _SIGNED)]
    lines += [name + ":" + re.sub(r"\s+", " ", lower[name]).strip() for name in own]
    lines.append(f"/{account}{path}")
    lines += [f"{name}:{','.join(sorted(fields[name]))}" for name in sorted(fields)]
    return "\n".join(lines)


def is_signed_by(keys: list[str], account: str, method: str, target: str, headers: Mapping[str, str]) -> bool:
    """Whether the Authorization header holds a signature by one of the account's keys (in base64)."""
    scheme, _, credential = headers.get("Authorization", "").partition(" ")
    name, _, given = credential.partition(":")
    if scheme != "SharedKey" or name != account:
        return False
    made = [signature(base64.b64decode(key), account, method, target, headers) for key in keys]
    return any(hmac.compare_digest(given.encode(), one.encode()) for one in made)
