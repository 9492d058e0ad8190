"""What can go wrong, as one tree. Each error carries its exit code, and says fact, cause and next step in one line.

WorkerError
  UsageError, InputError, SettingsError (NotMigrated), CertificateNotTrusted, DatabaseMissing
  LoginRefused, PermissionMissing
  Transient: NameNotResolved, Unreachable, TokenUnavailable, Deadlock, ServerBusy   -- only these are retried
  StatementFailed    -- the server refused a statement: the handler's failure, or a bug of ours
  LeaseLost          -- another worker has the item; the step was rolled back. Never leaves `run`
"""

from .exits import Exit


class WorkerError(Exception):
    """An expected failure. `__main__` prints it as one line on stderr and exits with `exit`."""

    exit = Exit.BUG

    def __init__(self, fact: str, *, cause: str, next_step: str) -> None:
        super().__init__(f"{fact}; {cause}. {next_step}")
        self.fact, self.cause, self.next_step = fact, cause, next_step


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
    """The server answered a statement with an error that no rule of `database.py` knows."""


class LeaseLost(WorkerError):
    """The item is not ours any more: its lease expired and another worker took it."""
