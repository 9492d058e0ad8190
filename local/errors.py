"""The exception of the local commands: what was found, why, and what to do next. Shown without a traceback."""

from __future__ import annotations


class LocalError(Exception):
    """A command of `python -m local` cannot go on."""

    def __init__(self, fact: str, *, cause: str = "", next_step: str = "") -> None:
        super().__init__(
            "\n".join(
                line for line in (fact, cause and f"  cause: {cause}", next_step and f"  next:  {next_step}") if line
            )
        )
