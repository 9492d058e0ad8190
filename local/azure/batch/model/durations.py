"""ISO 8601 durations and the service's time stamps, as Batch writes them on the wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)

UNLIMITED = "P10675199DT2H48M5.4775807S"
"""What the service answers for "no limit": the largest .NET TimeSpan (recorded in azure-cli's test recordings)."""


def parse_duration(text: str) -> timedelta:
    """The duration, or ValueError; the service's "unlimited" is a duration like any other."""
    match = _DURATION.fullmatch(text)
    if match is None or text in ("P", "PT") or text.endswith("T"):
        raise ValueError(f"{text!r} is not an ISO 8601 duration such as PT1H30M or P7D")
    parts = {name: float(value) for name, value in match.groupdict().items() if value}
    return timedelta(**parts)


def limit_seconds(text: str | None) -> float | None:
    """The seconds of a limit, None when there is none (absent, or the service's "unlimited")."""
    if text is None:
        return None
    duration = parse_duration(text)
    return None if duration >= timedelta(days=10675199) else duration.total_seconds()


def stamp(when: datetime) -> str:
    """A time as Batch writes it: seven digits of a second, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def parse_stamp(text: str) -> datetime:
    """A time as clients and we write it; ValueError when it is none. More than six digits of a second are cut."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d)?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 2026-01-31T12:00:00Z")
    whole, fraction, zone = match.groups()
    fraction = f".{fraction[:6].ljust(6, '0')}" if fraction else ""
    zone = "+00:00" if zone is None or zone.upper() == "Z" else zone
    return datetime.fromisoformat(
        f"{whole}{fraction}{zone}" if "T" in whole else whole + f"T00:00:00{zone}"
    ).astimezone(UTC)
