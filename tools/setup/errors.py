"""The one exception of the set-up: fact, cause and next step, and never a traceback."""

from __future__ import annotations


class SetupError(Exception):
    """A step cannot be done on this machine; the message says what was found, why, what to do, where the log is."""

    def __init__(self, fact: str, *, cause: str = "", next_step: str = "", log: str = "") -> None:
        self.cause = cause
        parts = (fact, cause and f"  cause: {cause}", next_step and f"  next:  {next_step}", log and f"  log:   {log}")
        super().__init__("\n".join(part for part in parts if part))
