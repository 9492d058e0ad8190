"""ISO 8601 durations and the service's time stamps, as Batch writes them on the wire.

The service keeps both as .NET does: durations as a number of ticks (100 ns) with years of 365 and months of 30 days,
written without units that are zero; times with up to seven digits of a second (recorded: `P3Y6M4DT12H30M5S` comes back
as `P1279DT12H30M5S`, `PT60M` as `PT1H`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_DURATION = re.compile(
    r"P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:\.(?P<fraction>\d+))?S)?)?",
    re.ASCII,
)
_TICKS = 10_000_000
_SECONDS = {
    "years": 365 * 86400,
    "months": 30 * 86400,
    "weeks": 7 * 86400,
    "days": 86400,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
}
_MOST_TICKS = 2**63 - 1
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1, 1, 1, tzinfo=UTC)

UNLIMITED = "P10675199DT2H48M5.4775807S"
"""What the service answers for "no limit": the largest .NET TimeSpan (recorded in azure-cli's test recordings)."""


def duration_ticks(text: str) -> int:
    """The duration in ticks of 100 ns; ValueError when it is none, or more than the service can hold."""
    match = _DURATION.fullmatch(text)
    if match is None or text == "P":
        raise ValueError(f"{text!r} is not an ISO 8601 duration such as PT1H30M or P7D")
    parts = match.groupdict()
    ticks = sum(int(parts[name] or 0) * seconds for name, seconds in _SECONDS.items()) * _TICKS
    ticks += int((parts["fraction"] or "0")[:7].ljust(7, "0"))
    if ticks > _MOST_TICKS:
        raise ValueError(f"{text!r} is longer than the longest duration, {UNLIMITED}")
    return ticks


def parse_duration(text: str) -> timedelta:
    """The duration, or ValueError; the service's "unlimited" is a duration like any other."""
    return timedelta(microseconds=duration_ticks(text) // 10)


def canonical_duration(text: str) -> str:
    """The same duration as the service writes it; ValueError when it is none."""
    ticks = duration_ticks(text)
    minutes, ticks = divmod(ticks, 60 * _TICKS)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    seconds, fraction = divmod(ticks, _TICKS)
    time = f"{hours}H" if hours else ""
    time += f"{minutes}M" if minutes else ""
    if fraction:
        time += f"{seconds}.{fraction:07}".rstrip("0") + "S"
    elif seconds:
        time += f"{seconds}S"
    shown = f"P{days}D" if days else "P"
    return shown + (f"T{time}" if time else "" if days else "T0S")


@lru_cache(4096)
def limit_seconds(text: str | None) -> float | None:
    """The seconds of a limit, None when there is none (absent, or the service's "unlimited")."""
    if text is None:
        return None
    duration = parse_duration(text)
    return None if duration >= timedelta(days=10675199) else duration.total_seconds()


def stamp(when: datetime) -> str:
    """A time as Batch writes it in bodies: up to seven digits of a second, zeros at the end cut, in UTC (recorded)."""
    text = when.astimezone(UTC).isoformat()[: -len("+00:00")]
    return f"{text.rstrip('0')}Z" if when.microsecond else f"{text}Z"


def exact_stamp(when: datetime) -> str:
    """A time as Batch writes it in the text of an error: always seven digits of a second (recorded)."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def dotnet_ticks(when: datetime) -> int:
    """A time as .NET counts it: ticks of 100 ns since the year 1."""
    return (when.astimezone(UTC) - _EPOCH) // _MICROSECOND * 10


def parse_stamp(text: str) -> datetime:
    """A time as clients and we write it; ValueError when it is none. More than six digits of a second are cut."""
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d)?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", text, re.IGNORECASE | re.ASCII
    )
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 2026-01-31T12:00:00Z")
    whole, fraction, zone = match.groups()
    fraction = f".{fraction[:6].ljust(6, '0')}" if fraction else ""
    zone = "+00:00" if zone is None or zone.upper() == "Z" else zone
    try:
        return datetime.fromisoformat(
            f"{whole}{fraction}{zone}" if "T" in whole.upper() else whole + f"T00:00:00{zone}"
        ).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is outside of the years 1 to 9999") from error
