"""The one error that a pipeline's script ends with: fact, cause, next step."""

from __future__ import annotations


class PipelineError(Exception):
    """A script cannot do its work. Shown as one message, without a traceback."""

    def __init__(self, fact: str, *, cause: str = "", next_step: str) -> None:
        self.fact, self.cause, self.next_step = fact, cause, next_step
        super().__init__(". ".join(part for part in (fact, cause, f"Next step: {next_step}") if part))
