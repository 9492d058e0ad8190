"""Whether a task the service has is the one we define: every field we send has the value it answers with.

The service adds fields (defaults, state), writes durations in another form and may capitalise enumerations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..service.times import span

# Values that are enumerations: their case does not count. Everything else is compared as it is.
ENUMERATIONS: Final = {
    "uploadCondition",
    "source",
    "scope",
    "elevationLevel",
    "workingDirectory",
    "jobAction",
    "dependencyAction",
}


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
        if (seconds := span(ours)) is not None and seconds == span(theirs):
            return ""
    return name
