"""Words for the user: on stderr, at once, so that stdout stays data."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a line of words."""
    print(text, file=sys.stderr, flush=True)
