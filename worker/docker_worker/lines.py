"""What the worker says: one JSON object a line on stdout for data, one line of words on stderr for errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TextIO

Say = Callable[..., None]


def to(stream: TextIO) -> Say:
    """A function that writes its keyword arguments as one JSON line."""

    def say(event: str, **facts: object) -> None:
        print(json.dumps({"event": event, **facts}, default=str, ensure_ascii=False), file=stream, flush=True)

    return say


def complain(text: str) -> None:
    """One line on stderr, whatever the text had in it."""
    print("docker-worker: " + " ".join(text.split()), file=sys.stderr, flush=True)
