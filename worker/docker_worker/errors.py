"""What can go wrong, as one tree. Each error carries its exit code, and says fact, cause and next step in one line.

WorkerError
  UsageError, InputError, SettingsError (NotMigrated), CertificateNotTrusted, DatabaseMissing
  LoginRefused, PermissionMissing
  Transient: NameNotResolved, Unreachable, TokenUnavailable, Deadlock, ServerBusy   -- only these are retried
  StatementFailed    -- the server refused a statement: the handler's failure, or a bug of ours
  TransactionTaken   -- the handler ended or changed the transaction that its step is: the item's failure
  LeaseLost          -- another worker has the item; the step was rolled back. Never leaves `run`
"""

from .exits import Exit


class WorkerError(Exception):
    """An expected failure. `__main__` prints it as one line on stderr and exits with `exit`."""

    exit = Exit.BUG
    number = 0  # SQL Server's, where it was a statement's error

    def __init__(self, fact: str, *, cause: str, next_step: str) -> None:
        super().__init__(f"{fact}; {cause}. {next_step}")
        self.fact = fact
        self.cause = cause
        self.next_step = next_step


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
            next_step="Correct the handler (docs/worker.md), then requeue the item",
        )
        self.final = final


class LeaseLost(WorkerError):
    """The item is not ours any more: its lease expired and another worker took it."""
