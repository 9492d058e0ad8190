"""Every exit code of `python -m jobs`, and how the outcomes of tasks fold into one."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """What the process ends with. "The job failed" and "could not find out" never share a code."""

    OK = 0
    TASKS_FAILED = 1
    USAGE = 2
    SERVICE = 3
    GAVE_UP_WAITING = 4
    INTERRUPTED = 130


MEANING: Final[dict[Exit, str]] = {
    Exit.OK: "done; when watching: every task succeeded",
    Exit.TASKS_FAILED: "the job ended (or never can) and at least one task did not succeed",
    Exit.USAGE: "the command line, job file or connection is wrong; nothing was sent",
    Exit.SERVICE: "the service refused or did not answer",
    Exit.GAVE_UP_WAITING: "the time given by --timeout is over; the job goes on",
    Exit.INTERRUPTED: "Ctrl-C; what was submitted goes on",
}

_ORDER: Final = (Exit.OK, Exit.TASKS_FAILED, Exit.GAVE_UP_WAITING, Exit.SERVICE, Exit.USAGE, Exit.INTERRUPTED)


def worst(exits: Iterable[Exit]) -> Exit:
    """The most serious of several outcomes; OK for none."""
    return max(exits, key=_ORDER.index, default=Exit.OK)
