"""What every script here is made of: its exit codes, its one error, what it prints, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum

from tools.errors import ExplainedError


class Exit(IntEnum):
    """What a shell or a workflow is told. `ci.deploy` and `ci.image` pass on the code of a command that failed."""

    DONE = 0
    FAILED = 1
    """It was done, and the answer is no: a preview failed or a policy refuses it, something is left, or differs."""
    NOT_DONE = 2
    """It could not be done, or not be told: a wrong word, no sign-in, no CLI, no answer of GitHub's."""
    DIFFERS = 7
    """`ci.drift` without an issue: Azure is not what the program says (Pulumi's own code for it)."""
    INTERRUPTED = 130


class PipelineError(ExplainedError):
    """A script cannot do its work. Shown as one message, without a traceback."""

    def __init__(self, fact: str, *, cause: str = "", next_step: str) -> None:
        super().__init__(fact, cause=cause, next_step=next_step)


def words(text: str) -> None:
    """For a person who reads the log."""
    print(text, file=sys.stderr, flush=True)


def data(text: str) -> None:
    """For whoever asked."""
    print(text, flush=True)


def run(work: Callable[[], int]) -> int:
    """The script's exit code; what it cannot help is one message."""
    try:
        return work()
    except ExplainedError as error:
        words(f"error: {error}")
    except OSError as error:  # a full disk, a file that cannot be written, a program that is not there
        place = f" ({error.filename})" if error.filename else ""
        fact = f"this machine failed: {error.strerror or error}{place}"
        words(f"error: {PipelineError(fact, next_step='mend that, then run the same again')}")
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return Exit.NOT_DONE
