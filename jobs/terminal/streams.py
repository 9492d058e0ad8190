"""stdin, stdout and stderr of the process: made safe at its start, and let go at its end without a word of Python's.

A descriptor that is closed would be given to the next file or socket that is opened, and printing would write into it:
so each of the three is opened on /dev/null. A character that the stream's encoding does not have is shown as an escape.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Final

from ..errors import MachineError
from .render import Render

_NAMES: Final = ("stdin", "stdout", "stderr")


def prepare() -> None:
    """For the whole process, before anything is opened or printed."""
    for descriptor, name in enumerate(_NAMES):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        stream = getattr(sys, name)
        if stream is None:
            if name != "stdout":  # a closed stdout stays None: data for it is lost, which is told
                setattr(sys, name, os.fdopen(os.dup(descriptor), "r" if name == "stdin" else "w"))
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def let_go() -> OSError | None:
    """Write out what is left of stdout; the error if that fails. Python has nothing to complain of afterwards."""
    failure: OSError | None = None
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError as error:
            failure = error if stream is sys.stdout else failure
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except ValueError:
            pass  # closed
    return failure


def lost_data(render: Render) -> MachineError | None:
    """What to say of data that stdout did not take; None when all was written, or the reader of a pipe left."""
    lost = render.lost
    if lost is None or isinstance(lost, BrokenPipeError):
        return None
    step = "make room" if getattr(lost, "errno", None) in (errno.ENOSPC, errno.EDQUOT) else "give it another stdout"
    why = getattr(lost, "strerror", None) or lost
    return MachineError(
        f"stdout could not be written: {why}; the rest of the data is lost",
        next_step=f"{step}, and run the same command again",
    )
