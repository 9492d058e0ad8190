"""Text that others wrote, and what can be stored and said of it."""

from __future__ import annotations

import re
from typing import Final

# NUL ends a text for many programs, and PostgreSQL refuses it; half of a surrogate pair cannot be encoded at all. Other
# control characters would drive a terminal that shows them.
_UNSTORABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def units(text: str) -> int:
    """The length of a text as NVARCHAR counts it: a character beyond the first 65,536 takes two."""
    return len(text) + sum(character > "\uffff" for character in text)


def storable(text: str, most: int) -> str:
    """A text for an NVARCHAR column of `most` units: what cannot be stored becomes an escape, the rest is cut."""
    text = _UNSTORABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text[:most])
    return text.encode("utf-16-le")[: 2 * most].decode("utf-16-le", "ignore")  # never half of a character
