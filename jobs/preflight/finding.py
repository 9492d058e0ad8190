"""One outcome of a check, with what is to be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

GOOD, WARNING, BAD = "ok", "warning", "bad"
END_NEAR: Final = timedelta(days=180)
"""How long before the end of an image's or a VM size's support a warning begins."""


@dataclass(frozen=True)
class Finding:
    """One check's outcome. `fix` is empty when nothing is to be done."""

    check: str
    outcome: str
    what: str
    fix: str = ""


def support_ends(check: str, what: str, end: datetime, now: datetime, fix: str) -> Finding:
    """Until when something is supported: good while there is half a year left."""
    outcome = BAD if end <= now else WARNING if end - now < END_NEAR else GOOD
    return Finding(check, outcome, f"{what}: supported until {end:%Y-%m-%d}", "" if outcome == GOOD else fix)
