"""Whether a task the service has is the one we define: every field we send has the value it answers with.

The service adds fields (defaults, state), writes durations in another form and may capitalise enumerations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

# Values that are enumerations: their case does not count. Everything else is compared as it is.
ENUMERATIONS: Final = {
    "uploadCondition", "source", "scope", "elevationLevel", "workingDirectory", "jobAction", "dependencyAction",
}  # fmt: skip
_DURATION: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def difference(ours: Any, theirs: Any, name: str = "") -> str:
    """Where the service's task differs, as `containerSettings.imageName`; empty when it does not."""
    if isinstance(ours, Mapping):
        if not isinstance(theirs, Mapping):
            return name
        found = (difference(value, theirs.get(key), f"{name}.{key}".lstrip(".")) for key, value in ours.items())
        return next((place for place in found if place), "")
    if isinstance(ours, Sequence) and not isinstance(ours, str):
        if not ours and theirs is None:
            return ""
        if not isinstance(theirs, Sequence) or isinstance(theirs, str) or len(ours) != len(theirs):
            return name
        pairs = enumerate(zip(ours, theirs, strict=True))
        return next((place for index, (a, b) in pairs if (place := difference(a, b, f"{name}[{index}]"))), "")
    if ours == theirs:
        return ""
    last = name.rpartition(".")[2]
    if isinstance(ours, str) and isinstance(theirs, str):
        if (last in ENUMERATIONS or name == "id") and ours.lower() == theirs.lower():
            return ""
        if (span := _span(ours)) is not None and span == _span(theirs):
            return ""
    return name


def _span(text: str) -> float | None:
    match = _DURATION.fullmatch(text)
    if match is None or text in ("P", "PT"):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
