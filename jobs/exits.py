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
    MACHINE = 5
    COMMAND_FAILED = 6
    DEFECT = 70
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


MEANING: Final[dict[Exit, str]] = {
    Exit.OK: "done; when watching: every task succeeded",
    Exit.TASKS_FAILED: "at least one task did not succeed: it failed, or the job ended (or never can) before it ran",
    Exit.USAGE: "the command line, job file or connection is wrong; nothing was sent",
    Exit.SERVICE: "the service refused or did not answer",
    Exit.GAVE_UP_WAITING: "the time given by --timeout is over; the job goes on",
    Exit.MACHINE: "this machine failed: a full disk, a file that cannot be read or written, a closed stdout",
    Exit.COMMAND_FAILED: "connect --run: the command on the node ended with another code than 0",
    Exit.DEFECT: "a defect of this program; the message names a file with the details",
    Exit.HUNG_UP: "the terminal was closed (SIGHUP); what was submitted goes on",
    Exit.INTERRUPTED: "Ctrl-C; what was submitted goes on",
    Exit.TERMINATED: "ended from outside (SIGTERM); what was submitted goes on",
}

_ORDER: Final = (
    Exit.OK,
    Exit.TASKS_FAILED,
    Exit.COMMAND_FAILED,
    Exit.GAVE_UP_WAITING,
    Exit.SERVICE,
    Exit.MACHINE,
    Exit.USAGE,
    Exit.DEFECT,
    Exit.HUNG_UP,
    Exit.INTERRUPTED,
    Exit.TERMINATED,
)


def worst(exits: Iterable[Exit]) -> Exit:
    """The most serious of several outcomes; OK for none."""
    return max(exits, key=_ORDER.index, default=Exit.OK)
