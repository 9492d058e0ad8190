"""What can go wrong, as one tree. Each error carries its exit code, and says fact, cause and next step in one line."""

from .exits import Exit


class WorkerError(Exception):
    """An expected failure. `__main__` prints it as one line on stderr and exits with `exit`."""

    exit = Exit.BUG

    def __init__(self, fact: str, *, cause: str, next_step: str) -> None:
        super().__init__(f"{fact}; {cause}. {next_step}")
        self.fact, self.cause, self.next_step = fact, cause, next_step


class UsageError(WorkerError):
    exit = Exit.USAGE


class SettingsError(WorkerError):
    exit = Exit.CONFIG


class NameNotResolved(WorkerError):
    exit = Exit.TRANSIENT


class Unreachable(WorkerError):
    exit = Exit.TRANSIENT


class TokenUnavailable(WorkerError):
    exit = Exit.TRANSIENT


class CertificateNotTrusted(WorkerError):
    exit = Exit.CONFIG


class DatabaseMissing(WorkerError):
    exit = Exit.CONFIG


class LoginRefused(WorkerError):
    exit = Exit.REFUSED


class PermissionMissing(WorkerError):
    exit = Exit.REFUSED


class StatementFailed(WorkerError):
    """The server answered a statement with an error that no rule below knows."""

    exit = Exit.TRANSIENT
