"""Times and spans of time as the service writes them."""

from __future__ import annotations

from datetime import datetime, timedelta

import isodate


def instant(value: str | None) -> datetime | None:
    """The service writes seven digits of a second; Python 3.11 reads them and keeps six."""
    return datetime.fromisoformat(value) if value else None


def span(value: str | None) -> timedelta | None:
    """A time span of ISO 8601. None for a text that is none, and for years and months, which have no fixed length."""
    try:
        found = isodate.parse_duration(value or "")
    except (isodate.ISO8601Error, OverflowError):
        return None
    return found if isinstance(found, timedelta) else None
