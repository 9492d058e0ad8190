"""If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since: 412, or 304 for a read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from local.azure.errors.batch import ConditionNotMet, InvalidHeaderValue, NotModified


def check_conditions(headers: Mapping[str, str], etag: str | None, changed: datetime, *, read: bool) -> None:
    """Raise unless the resource fulfils the request's conditions. Dates have whole seconds."""
    second = changed.astimezone(UTC).replace(microsecond=0)
    match, none_match = headers.get("If-Match"), headers.get("If-None-Match")
    since, not_since = _date(headers, "If-Modified-Since"), _date(headers, "If-Unmodified-Since")
    if match is not None and match != "*" and _bare(match) != _bare(etag or ""):
        raise ConditionNotMet
    if not_since is not None and second > not_since:
        raise ConditionNotMet
    if none_match is not None and (none_match == "*" or _bare(none_match) == _bare(etag or "")):
        raise NotModified if read else ConditionNotMet
    if since is not None and second <= since:
        raise NotModified if read else ConditionNotMet


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _date(headers: Mapping[str, str], name: str) -> datetime | None:
    text = headers.get(name)
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError as error:
        details = [("HeaderName", name), ("HeaderValue", text), ("Reason", "expected an RFC 1123 date")]
        raise InvalidHeaderValue(details=details) from error
