"""Shared access signatures of storage accounts: what is signed, with which key, and the making of one.

Owns the texts that are signed, by version; whether a request may go on is `blobs/shared_access.py`. Services that hand
out such URLs (Batch, for application packages) make them here.
Sources: https://learn.microsoft.com/rest/api/storageservices/create-service-sas, .../create-account-sas,
.../create-user-delegation-sas.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

_VERSION: Final = "2021-08-06"  # of the signatures that we make
_ANSWER: Final = ("rscc", "rscd", "rsce", "rscl", "rsct")
ANSWER_HEADERS: Final = dict(
    zip(_ANSWER, ("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type"),
        strict=True)
)  # fmt: skip
"""Query parameters that set a header of the answer."""
PARAMETERS: Final = frozenset(
    ("sv", "ss", "srt", "sr", "sp", "st", "se", "sip", "spr", "si", "sig", "ses", "sdd", "skoid", "sktid", "skt", "ske",
     "sks", "skv", "skdutid", "sduoid", "saoid", "suoid", "scid", "srh", "srq", *_ANSWER)
)  # fmt: skip
"""Every query parameter that belongs to a signature."""


def signature(key: str, text: str) -> str:
    """The text signed with a key in base64."""
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def account_text(account: str, given: Mapping[str, str]) -> str:
    """What an account's signature is made over (one line more from 2020-12-06 on)."""
    names = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"]
    if given.get("sv", "") >= "2020-12-06":
        names.append("ses")
    return "".join(f"{line}\n" for line in [account, *(given.get(name, "") for name in names)])


def service_text(resource: str, given: Mapping[str, str], snapshot: str = "") -> str:
    """What a signature for one container or blob is made over; `resource` is `account/container[/blob]`."""
    version = given.get("sv", "")
    lines = [given.get(name, "") for name in ("sp", "st", "se")] + [f"/blob/{resource}"]
    lines += [given.get(name, "") for name in ("si", "sip", "spr", "sv")]
    if version >= "2018-11-09":
        lines += [given.get("sr", ""), snapshot]
    if version >= "2020-12-06":
        lines.append(given.get("ses", ""))
    return "\n".join([*lines, *(given.get(name, "") for name in _ANSWER)])


def delegation_texts(resource: str, given: Mapping[str, str], snapshot: str = "") -> Iterator[str]:
    """What a signature with a user delegation key is made over; the newest SDKs add two lines (signed headers)."""
    version = given.get("sv", "")
    names = ["skoid", "sktid", "skt", "ske", "sks", "skv"]
    if version >= "2020-02-10":
        names += ["saoid", "suoid", "scid"]
    if version >= "2025-07-05":
        names += ["skdutid", "sduoid"]
    lines = [given.get(name, "") for name in ("sp", "st", "se")] + [f"/blob/{resource}"]
    lines += [given.get(name, "") for name in (*names, "sip", "spr", "sv", "sr")] + [snapshot]
    if version >= "2020-12-06":
        lines.append(given.get("ses", ""))
    after = [given.get(name, "") for name in _ANSWER]
    yield "\n".join([*lines, *after])
    yield "\n".join([*lines, "", "", *after])


DELEGATION_FIELDS: Final = ("skoid", "sktid", "skt", "ske", "sks", "skv")


def delegation_key(account: str, account_key: str, fields: Iterable[str]) -> str:
    """The user delegation key for these fields: the same each time, never kept, gone with the account's first key."""
    text = "\n".join(["user delegation", account, *fields])
    return base64.b64encode(hmac.new(base64.b64decode(account_key), text.encode(), hashlib.sha256).digest()).decode()


def blob_service_query(
    resource: str, account_key: str, permissions: str, start: datetime, end: datetime, user: tuple[str, str] | None
) -> str:
    """The query that opens one blob (`account/container/blob`) or container (`account/container`) from start to end.

    `user` is the principal and tenant that sign, with a key of their own, where the account's keys are not used.
    """
    level = "c" if resource.count("/") == 1 else "b"
    given = {"sv": _VERSION, "sr": level, "st": _stamp(start), "se": _stamp(end), "sp": permissions}
    if user is None:
        key, text = account_key, service_text(resource, given)
    else:
        given |= dict(zip(DELEGATION_FIELDS, (*user, given["st"], given["se"], "b", _VERSION), strict=True))
        key = delegation_key(resource.partition("/")[0], account_key, (given[name] for name in DELEGATION_FIELDS))
        text = next(delegation_texts(resource, given))
    return urlencode({**given, "sig": signature(key, text)})


def container_query(account: str, account_key: str, permissions: str, end: datetime) -> str:
    """The query with which containers and blobs of an account are made or removed."""
    given = {"sv": _VERSION, "ss": "b", "srt": "co", "se": _stamp(end), "sp": permissions}
    return urlencode({**given, "sig": signature(account_key, account_text(account, given))})


def _stamp(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"
