"""What can go wrong, as one tree. Each error carries its exit code, and says fact, cause and next step.

WorkerError
  UsageError, InputError, SettingsError (NotMigrated), CertificateNotTrusted, DatabaseMissing
  LoginRefused, PermissionMissing
  Transient: NameNotResolved, Unreachable, TokenUnavailable, Deadlock, ServerBusy   -- only these are retried
  StatementFailed    -- the server refused a statement: the handler's failure, or a bug of ours
  TransactionTaken   -- the handler ended or changed the transaction that its step is: the item's failure
  LeaseLost          -- another worker has the item; the step was rolled back. Never leaves `run`
"""

from enum import IntEnum
from typing import Final

SIGNALLED: Final = 128  # 128 + signal number: 143 SIGTERM, 130 SIGINT, 129 SIGHUP


class Exit(IntEnum):
    """Exit codes, numbered as in BSD's sysexits.h where it has the case."""

    OK = 0
    USAGE = 64
    INPUT = 65
    NO_HOST = 68
    NO_DATABASE = 69
    BUG = 70
    TRANSIENT = 75
    NOT_TRUSTED = 76
    REFUSED = 77
    CONFIG = 78


MEANING: Final[dict[Exit, str]] = {
    Exit.OK: "done",
    Exit.USAGE: "the command line is wrong",
    Exit.INPUT: "the file of items cannot be read",
    Exit.NO_HOST: "the server's name is not known",
    Exit.NO_DATABASE: "the server has no such database, or does not open it for us",
    Exit.BUG: "the worker itself or a statement of it failed",
    Exit.TRANSIENT: "the database or the identity endpoint did not answer; trying again may help",
    Exit.NOT_TRUSTED: "the server's certificate is not trusted",
    Exit.REFUSED: "the database refused the identity",
    Exit.CONFIG: "a setting or the worker's tables are missing or wrong",
}


def signalled(number: int) -> int:
    """The exit code of a process that stopped because of a signal, as shells write it."""
    return SIGNALLED + number


class WorkerError(Exception):
    """An expected failure. `__main__` prints its `lines` on stderr, and exits with `exit`.

    Its text is one line, for a row of the database and a line of the log.
    """

    exit = Exit.BUG
    number = 0  # SQL Server's, where it was a statement's error

    def __init__(self, fact: str, *, cause: str, next_step: str) -> None:
        super().__init__(f"{fact}; {cause}; {next_step}")
        self.fact = fact
        self.cause = cause
        self.next_step = next_step

    @property
    def lines(self) -> tuple[str, ...]:
        return self.fact, f"  cause: {self.cause}", f"  next:  {self.next_step}"


class UsageError(WorkerError):
    exit = Exit.USAGE


class InputError(WorkerError):
    """A file of items cannot be read as such."""

    exit = Exit.INPUT


class SettingsError(WorkerError):
    exit = Exit.CONFIG


class NotMigrated(SettingsError):
    """The database has no tables of ours, or older ones."""


class CertificateNotTrusted(WorkerError):
    exit = Exit.NOT_TRUSTED


class DatabaseMissing(WorkerError):
    exit = Exit.NO_DATABASE


class LoginRefused(WorkerError):
    exit = Exit.REFUSED


class PermissionMissing(WorkerError):
    exit = Exit.REFUSED


class Transient(WorkerError):
    """Trying again may help. `link` says whether the connection must be made anew for that."""

    exit = Exit.TRANSIENT
    link = True


class NameNotResolved(Transient):
    exit = Exit.NO_HOST


class Unreachable(Transient):
    pass


class TokenUnavailable(Transient):
    pass


class Deadlock(Transient):
    """The server chose our transaction to end a deadlock, or gave up waiting for a lock."""

    link = False


class ServerBusy(Transient):
    """A failover, or a server out of resources."""


class StatementFailed(WorkerError):
    """The server answered a statement with an error that passes by no waiting: its own, by whoever wrote it."""


class TransactionTaken(WorkerError):
    """A handler committed, rolled back, left open or redirected the transaction that is its step.

    `final`: what it wrote may be kept already, so that trying again could do it twice.
    """

    def __init__(self, fact: str, *, final: bool) -> None:
        super().__init__(
            fact,
            cause="a step is one transaction, and only the worker ends it",
            next_step="correct the handler (docs/worker.md), then requeue the item",
        )
        self.final = final


class LeaseLost(WorkerError):
    """The item is not ours any more: its lease expired and another worker took it."""
