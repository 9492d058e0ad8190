"""A question before something that cannot be undone. Without a terminal there is none to ask: `--yes` is needed."""

from __future__ import annotations

import argparse
import sys

from ..errors import UsageError
from .visible import visible


def add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")


def agreed(question: str, *, yes: bool) -> bool:
    """Whether the person at the terminal says yes."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            f"there is no terminal to ask on: {question}", next_step="add --yes to go on without a question"
        )
    try:
        sys.stderr.write(f"{visible(question)} [y/N] ")
        sys.stderr.flush()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the question cannot be shown ({error}): {question}", next_step="add --yes to go on without it"
        ) from error
    return sys.stdin.readline().strip().casefold() in ("y", "yes")
