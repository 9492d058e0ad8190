"""What can go wrong, as one tree. Worded as fact, cause, next step; `cli.py` prints it and exits with `exit`.

Exceptions that are not of this tree come from outside (the disk, the terminal, a library) or are a defect of ours.
`from_outside` is the one place where they become errors of this tree: no traceback reaches a user, and none of them
ends with the exit code of failed tasks. A place that knows more than the exception (which argument was wrong, what to
do about it) raises its own error before it gets that far.

JobsError
├─ UsageError          the command line, a file or the connection: nothing was sent
│  └─ JobFileError     with file and line
├─ MachineError        this machine: disk, memory, a file, stdout
├─ GaveUpWaiting       the time given by --timeout is over; what was waited for goes on
├─ Defect              none of the others: a mistake in this program
└─ ServiceError        the service was asked and said no
   ├─ NotFound         ├─ Conflict        ├─ Forbidden      ├─ QuotaExceeded
   ├─ Refused          (a request it finds wrong)
   ├─ RequestTooLarge  ├─ Throttled       (the submitter handles its own)
   ├─ Unreachable      no answer at all
   └─ NotAllAdded      some tasks were not accepted
"""

from __future__ import annotations

import errno
import os
import tempfile
import traceback
from collections.abc import Sequence
from typing import Final

from .exits import Exit

SERVICE_PACKAGES: Final = ("azure", "requests", "urllib3", "msal", "http", "ssl", "aiohttp")
NEXT_STEPS: Final = {
    errno.ENOSPC: "The disk is full: make room and run the same command again",
    errno.EDQUOT: "Your disk quota is used up: make room and run the same command again",
    errno.EROFS: "That file system is read-only: use another place",
    errno.EACCES: "Check its owner and rights",
    errno.EPERM: "Check its owner and rights",
    errno.ENOTDIR: "A file is where a folder must be: use another place",
    errno.EEXIST: "A file is where a folder must be: use another place",
    errno.EISDIR: "A folder is where a file must be: use another place",
    errno.ENAMETOOLONG: "Use a shorter name or folder",
    errno.EMFILE: "Raise the limit of open files (ulimit -n)",
    errno.ENOENT: "Check the name; it may have been removed meanwhile",
}
"""What to do about an error of this machine, by its number."""


class JobsError(Exception):
    exit = Exit.SERVICE


class UsageError(JobsError):
    exit = Exit.USAGE


class JobFileError(UsageError):
    """One or more problems of a job file; each line of the message begins with `FILE:LINE:`."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class MachineError(JobsError):
    """The machine that runs this program cannot do what is needed."""

    exit = Exit.MACHINE


class GaveUpWaiting(JobsError):
    """What was waited for did not come within the time that was given for it."""

    exit = Exit.GAVE_UP_WAITING


class Defect(JobsError):
    """An exception that nobody foresaw. Its traceback is in a file that the message names."""

    exit = Exit.DEFECT


class ServiceError(JobsError):
    """`code` is the service's own code (JobNotFound, ...), empty when there is none."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NotFound(ServiceError):
    pass


class Conflict(ServiceError):
    pass


class Forbidden(ServiceError):
    pass


class QuotaExceeded(ServiceError):
    pass


class Refused(ServiceError):
    pass


class RequestTooLarge(ServiceError):
    pass


class Throttled(ServiceError):
    """Too many requests; `retry_after` seconds when the service gave a time."""

    def __init__(self, message: str, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, code)
        self.retry_after = retry_after


class Unreachable(ServiceError):
    pass


class NotAllAdded(ServiceError):
    pass


def from_outside(error: BaseException) -> JobsError:
    """What an exception that is not of this tree means to the user. Errors of this tree are returned as they are."""
    if isinstance(error, JobsError):
        return error
    said = " ".join(str(error).split()) or type(error).__name__
    of_network = isinstance(error, ConnectionError | TimeoutError) and not isinstance(error, BrokenPipeError)
    if of_network or type(error).__module__.split(".")[0] in SERVICE_PACKAGES:
        return Unreachable(f"the service did not answer as it should: {said}. Check the network and try again")
    if isinstance(error, MemoryError):
        return MachineError("there is not enough memory. End other programs, or raise the limit of this one")
    if isinstance(error, UnicodeError):
        return MachineError(f"a text does not fit the encoding in use: {said}. Set LANG or PYTHONIOENCODING to UTF-8")
    if isinstance(error, OSError) and error.errno is not None:
        places = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
        where = f"{' -> '.join(places)}: " if places else ""
        step = NEXT_STEPS.get(error.errno, "See what the system says of it and run the same command again")
        return MachineError(f"{where}{error.strerror}. {step}")
    return Defect(f"this program has a defect: {type(error).__name__}: {said}. {_kept(error)}")


def _kept(error: BaseException) -> str:
    """Where the traceback is, in words. It holds no values of variables."""
    try:
        descriptor, path = tempfile.mkstemp(prefix="jobs-defect-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(traceback.format_exception(error))
    except OSError as reason:
        return f"Its details could not be kept: {reason.strerror}"
    return f"Its details are in {path}: add that file when you report it"
