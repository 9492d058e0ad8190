"""Times as people write them, `90s`, `30m`, `2h`, `1d12h`: in job files and on the command line. Needs no package.

On the command line a number alone is seconds. A job file says its unit: it is read by others, later."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta
from typing import Any, Final

_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def duration(value: Any) -> timedelta:
    """A text as a time; anything else is a ValueError that shows the form."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError(f"expected a time like 90s, 30m, 2h or 1d12h, got {value!r}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    try:
        result = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"expected a time that a calendar can hold, got {value!r}") from error
    if result <= timedelta(0):
        raise ValueError(f"expected a time above zero, got {value!r}")
    return result


def argument(text: str) -> float:
    """Seconds, for argparse: a time with its unit, or a number of seconds."""
    try:
        return duration(f"{text}s" if text.isascii() and text.isdecimal() else text).total_seconds()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error} (a number alone is seconds)") from error


def words(seconds: float) -> str:
    """`3 d 4 h`, `12 min`, `40 s`: the largest unit and the next one, if there is anything of it."""
    rest = int(seconds)
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    first = next((place for place, (size, _) in enumerate(units) if rest >= size), len(units) - 1)
    parts = []
    for size, unit in units[first : first + 2]:
        if rest >= size or not parts:
            parts.append(f"{rest // size} {unit}")
        rest %= size
    return " ".join(parts)


def age(since: datetime | None, now: datetime) -> str:
    """How long ago; empty when that is not known."""
    return words(max(0.0, (now - since).total_seconds())) if since else ""
