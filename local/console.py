"""What `python -m local` writes: data to stdout, everything else to stderr, at once. Its only printer."""

from __future__ import annotations

import json
import sys
from typing import Any


def data(text: str) -> None:
    """Print a result to stdout."""
    print(text)


def json_data(value: Any) -> None:
    """Print a result to stdout as one line of JSON."""
    print(json.dumps(value))


def info(text: str) -> None:
    """Print a message to stderr."""
    print(text, file=sys.stderr, flush=True)


def is_attended() -> bool:
    """Whether a person can answer a question."""
    return sys.stdin.isatty()


def confirm(question: str) -> bool:
    """Ask a question on stderr; True only for `y` or `yes`."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in ("y", "yes")
