"""What can go wrong, as one tree. Worded as fact, cause, next step; `cli.py` prints it and exits with `exit`.

JobsError
├─ UsageError          the command line, a file or the connection: nothing was sent
│  └─ JobFileError     with file and line
├─ DiskFault           a file of this machine could not be written or read
└─ ServiceError        the service was asked and said no
   ├─ NotFound         ├─ Conflict        ├─ Forbidden      ├─ QuotaExceeded
   ├─ Refused          (a request it finds wrong)
   ├─ RequestTooLarge  ├─ Throttled       (the submitter handles its own)
   ├─ Unreachable      no answer at all
   └─ NotAllAdded      some tasks were not accepted
"""

from __future__ import annotations

from collections.abc import Sequence

from .exits import Exit


class JobsError(Exception):
    exit = Exit.SERVICE


class UsageError(JobsError):
    exit = Exit.USAGE


class JobFileError(UsageError):
    """One or more problems of a job file; each line of the message begins with `FILE:LINE:`."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class DiskFault(JobsError):
    exit = Exit.USAGE


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
