"""Times and spans of time as the service writes them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

_SPAN: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?")


def instant(value: str | None) -> datetime | None:
    """The service writes seven digits of a second; Python 3.11 reads them and keeps six."""
    return datetime.fromisoformat(value) if value else None


def span(value: str | None) -> timedelta | None:
    """A time span of ISO 8601 as the service writes it, with days at most; None for another."""
    match = _SPAN.fullmatch(value or "")
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
