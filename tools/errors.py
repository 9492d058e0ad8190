"""The layout of an error of this repository's commands: what was found, then cause, next step and log, a line each.

`SetupError` (tools/setup) and `LocalError` (local) are read like this; both are shown without a traceback.
"""

from __future__ import annotations


class ExplainedError(Exception):
    """An expected failure. Parts that are empty have no line."""

    def __init__(self, fact: str, *, cause: str = "", next_step: str = "", log: str = "") -> None:
        self.fact = fact
        self.cause = cause
        self.next_step = next_step
        parts = (fact, cause and f"  cause: {cause}", next_step and f"  next:  {next_step}", log and f"  log:   {log}")
        super().__init__("\n".join(part for part in parts if part))


class SetupError(ExplainedError):
    """A step of `tools/setup` cannot be done on this machine."""
