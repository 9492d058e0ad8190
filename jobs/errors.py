"""What can go wrong, as one tree. Each says fact, cause and next step, a line each; `cli.py` prints it and exits with
`exit`.

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
    errno.ENOSPC: "the disk is full: make room and run the same command again",
    errno.EDQUOT: "your disk quota is used up: make room and run the same command again",
    errno.EROFS: "that file system is read-only: use another place",
    errno.EACCES: "check its owner and rights",
    errno.EPERM: "check its owner and rights",
    errno.ENOTDIR: "A file is where a folder must be: use another place",
    errno.EEXIST: "A file is where a folder must be: use another place",
    errno.EISDIR: "A folder is where a file must be: use another place",
    errno.ENAMETOOLONG: "use a shorter name or folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENOENT: "check the name; it may have been removed meanwhile",
}
"""What to do about an error of this machine, by its number."""


class JobsError(Exception):
    """The text is the fact, then cause and next step in a line each, as in every command of this repository."""

    exit = Exit.SERVICE

    def __init__(self, fact: str, *, cause: str = "", next_step: str = "") -> None:
        self.fact = fact
        self.cause = cause
        self.next_step = next_step
        lines = (fact, cause and f"  cause: {cause}", next_step and f"  next:  {next_step}")
        super().__init__("\n".join(line for line in lines if line))

    @property
    def in_one_line(self) -> str:
        """The same for a list of problems, where each has one line."""
        return "; ".join(part for part in (self.fact, self.cause, self.next_step) if part)


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

    def __init__(self, fact: str, *, cause: str = "", next_step: str = "", code: str = "") -> None:
        super().__init__(fact, cause=cause, next_step=next_step)
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

    def __init__(
        self, fact: str, *, cause: str = "", next_step: str = "", code: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(fact, cause=cause, next_step=next_step, code=code)
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
        return Unreachable(
            f"the service did not answer as it should: {said}", next_step="check the network and try again"
        )
    if isinstance(error, MemoryError):
        return MachineError(
            "there is not enough memory", next_step="end other programs, or raise the limit of this one"
        )
    if isinstance(error, UnicodeError):
        return MachineError(
            f"a text does not fit the encoding in use: {said}", next_step="set LANG or PYTHONIOENCODING to UTF-8"
        )
    if isinstance(error, OSError) and error.errno is not None:
        places = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
        where = f"{' -> '.join(places)}: " if places else ""
        step = NEXT_STEPS.get(error.errno, "see what the system says of it, and run the same command again")
        return MachineError(f"{where}{error.strerror}", next_step=step)
    return Defect(f"this program has a defect: {type(error).__name__}: {said}", next_step=_kept(error))


def _kept(error: BaseException) -> str:
    """Where the traceback is, in words. It holds no values of variables."""
    try:
        descriptor, path = tempfile.mkstemp(prefix="jobs-defect-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(traceback.format_exception(error))
    except OSError as reason:
        return f"its details could not be kept: {reason.strerror}"
    return f"its details are in {path}: add that file when you report it"
