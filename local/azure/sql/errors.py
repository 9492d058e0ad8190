"""SQL Server's error messages: number, severity and text, one class each.

https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors and, for Entra
logins, https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues.
"""

from __future__ import annotations

from typing import ClassVar

TOKEN_LOGIN = "Login failed for user '<token-identified principal>'."  # noqa: S105 - Azure SQL's text
TOKEN_EXPIRED = f"{TOKEN_LOGIN} Token is expired."


class ConnectionClosed(Exception):
    """The client went away, or was sent away."""


class Attention(Exception):
    """The client cancelled its request."""


class SqlError(Exception):
    """A refusal that the client sees as an ERROR token; a fatal one ends the connection."""

    number: ClassVar[int] = 50000
    severity: ClassVar[int] = 16
    fatal: ClassVar[bool] = False

    def __init__(self, message: str, *, number: int | None = None, state: int = 1) -> None:
        self.message = message
        self.state = state
        self.shown_number = type(self).number if number is None else number
        super().__init__(message)


class LoginFailed(SqlError):
    """Wrong token, wrong password, or no user in the database."""

    number, severity, fatal = 18456, 14, True


class CannotOpenDatabase(SqlError):
    """The database of the login does not exist."""

    number, severity, fatal = 4060, 11, True

    def __init__(self, database: str) -> None:
        super().__init__(f'Cannot open database "{database}" requested by the login. The login failed.')


class ProtocolError(SqlError):
    """The bytes are no TDS that we know."""

    number, severity, fatal = 4002, 16, True


class NotSupported(SqlError):
    """T-SQL that SQL Server has and the stand-in does not (our own number: SQL Server never sends it)."""

    number = 50001

    def __init__(self, what: str) -> None:
        super().__init__(f"The local SQL Server stand-in does not have {what}; use a real server for it.")


class Syntax(SqlError):
    """Not T-SQL."""

    number, severity = 102, 15


class InvalidObject(SqlError):
    """No such table."""

    number = 208

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid object name '{name}'.")


class InvalidColumn(SqlError):
    """No such column."""

    number = 207

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid column name '{name}'.")


class ObjectExists(SqlError):
    """The table is there."""

    number = 2714

    def __init__(self, name: str) -> None:
        super().__init__(f"There is already an object named '{name}' in the database.")


class ObjectDenied(SqlError):
    """No right on an object."""

    number, severity = 229, 14

    def __init__(self, right: str, name: str, database: str) -> None:
        super().__init__(
            f"The {right} permission was denied on the object '{name}', database '{database}', schema 'dbo'."
        )


class StatementDenied(SqlError):
    """No right to a statement."""

    number, severity = 262, 14

    def __init__(self, right: str, database: str) -> None:
        super().__init__(f"{right} permission denied in database '{database}'.")


class ActionDenied(SqlError):
    """Only the administrator may do it."""

    number = 15247

    def __init__(self) -> None:
        super().__init__("User does not have permission to perform this action.")


class DatabaseExists(SqlError):
    """The name is taken."""

    number = 1801

    def __init__(self, name: str) -> None:
        super().__init__(f"Database '{name}' already exists. Choose a different database name.")


class DatabaseMissing(SqlError):
    """USE or DROP of what is not there."""

    number = 911

    def __init__(self, name: str) -> None:
        super().__init__(f"Database '{name}' does not exist. Make sure that the name is entered correctly.")


class PrincipalNotFound(SqlError):
    """FROM EXTERNAL PROVIDER with a name that the directory does not have."""

    number = 33130

    def __init__(self, name: str) -> None:
        super().__init__(f"Principal '{name}' could not be found or this principal type is not supported.")


class PrincipalAmbiguous(SqlError):
    """Two identities have the name."""

    number = 33131

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Principal '{name}' has a duplicate display name. Make the display name unique in Azure Active Directory "
            "and execute this statement again."
        )


class UserExists(SqlError):
    """The user's name is taken."""

    number = 15023

    def __init__(self, name: str) -> None:
        super().__init__(f"User, group, or role '{name}' already exists in the current database.")


class UserMissing(SqlError):
    """No such user or role."""

    number = 15151

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"Cannot find the {kind} '{name}', because it does not exist or you do not have permission.")


class ConstraintViolated(SqlError):
    """A key or a check."""

    number, severity = 2627, 14


class NullRefused(SqlError):
    """NULL where none may be."""

    number = 515


class LockTimeout(SqlError):
    """Another transaction has the lock."""

    number = 1222

    def __init__(self) -> None:
        super().__init__("Lock request time out period exceeded.")


class DeadlockVictim(SqlError):
    """The transaction was rolled back for another."""

    number, severity = 1205, 13

    def __init__(self) -> None:
        super().__init__(
            "Transaction was deadlocked on lock resources with another process and has been chosen as the deadlock "
            "victim. Rerun the transaction."
        )


class Unavailable(SqlError):
    """The database is moving to another machine, or its store is down: try again."""

    number, severity, fatal = 40613, 17, True

    def __init__(self, database: str) -> None:
        super().__init__(
            f"Database '{database}' on server 'local-azure-sql' is not currently available. Please retry the "
            "connection later."
        )


class ProcedureMissing(SqlError):
    """No such stored procedure."""

    number = 2812

    def __init__(self, name: str) -> None:
        super().__init__(f"Could not find stored procedure '{name}'.")


class HandleMissing(SqlError):
    """sp_execute of what was not prepared."""

    number = 8179

    def __init__(self, handle: object) -> None:
        super().__init__(f"Could not find prepared statement with handle {handle}.")


class NoTransaction(SqlError):
    """COMMIT or ROLLBACK without BEGIN."""

    number = 3902

    def __init__(self, verb: str) -> None:
        number = 3902 if verb == "COMMIT" else 3903
        super().__init__(f"The {verb} TRANSACTION request has no corresponding BEGIN TRANSACTION.", number=number)


class DatabaseDenied(SqlError):
    """USE of a database in which the login has no user."""

    number, severity = 916, 14

    def __init__(self, login: str, database: str) -> None:
        super().__init__(
            f'The server principal "{login}" is not able to access the database "{database}" under the current '
            "security context."
        )


class VariableMissing(SqlError):
    """A parameter that nobody gave."""

    number, severity = 137, 15

    def __init__(self, name: str) -> None:
        super().__init__(f'Must declare the scalar variable "@{name}".')


class CatalogWrite(SqlError):
    """The catalog is changed by its own statements only."""

    number = 259

    def __init__(self) -> None:
        super().__init__("Ad hoc updates to system catalogs are not allowed.")
