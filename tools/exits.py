"""Exit codes of the programs in `tools/`."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a shell or a workflow is told."""

    DONE = 0
    FAILED = 1
    """A step could not be done, or a check found something; the message says which."""
    USAGE = 2
    INTERRUPTED = 130
    """Ctrl-C; the same command goes on where it stopped."""
    TERMINATED = 143
