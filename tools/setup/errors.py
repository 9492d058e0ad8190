"""The one exception of the set-up: fact, cause and next step, and never a traceback."""

from __future__ import annotations


class SetupError(Exception):
    """A step cannot be done on this machine; the message says what was found, why, and what to do."""

    def __init__(self, fact: str, *, cause: str = "", next_step: str = "") -> None:
        super().__init__(
            "\n".join(
                line for line in (fact, cause and f"  cause: {cause}", next_step and f"  next:  {next_step}") if line
            )
        )
