"""What somebody may have meant by a job, task or pool that does not exist: the nearest name that does."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from .errors import JobsError, NotFound
from .session import Session
from .terminal.wording import did_you_mean

MOST: Final = 2000  # names that are looked at
# The service's code -> the argument that has the name that was not found.
ARGUMENTS: Final = {
    "JobNotFound": ("job", "jobs"), "TaskNotFound": ("task", "tasks"),
    "PoolNotFound": ("pool",),
}  # fmt: skip


def hint(error: NotFound, arguments: argparse.Namespace, session: Session) -> str:
    """`did you mean 'nightly-7'?`, or nothing. Asks the service for names; that it does not answer changes nothing."""
    for name in ARGUMENTS.get(error.code, ()):
        value = getattr(arguments, name, None)
        for given in [value] if isinstance(value, str) else value or ():
            with suppress(JobsError):
                known = list(itertools.islice(_names(error.code, arguments, session), MOST))
                if given not in known and (near := did_you_mean(given, known)):
                    return near.removeprefix("; ")
    return ""


def _names(code: str, arguments: argparse.Namespace, session: Session) -> Iterable[str]:
    batch, outputs = session.batch, session.connection.outputs
    if code == "JobNotFound":
        return (job.id for job in batch.jobs(""))
    if code == "TaskNotFound":
        return (task.id for task in batch.some_tasks(arguments.job, "changed", MOST))
    return [*(outputs.pools if outputs else ()), *(pool.id for pool in batch.pools())]
