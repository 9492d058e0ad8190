"""The connection to SQL Server: passwordless, encrypted, verified; and the driver's errors in our words.

May block: connecting up to CONNECT_SECONDS, a statement up to `SqlSettings.statement_seconds` (the driver has no way to
cancel from another thread, so every statement is bounded below the grace period of `signals.py`).
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

from .errors import (
    CertificateNotTrusted,
    DatabaseMissing,
    Deadlock,
    LoginRefused,
    NameNotResolved,
    NotMigrated,
    PermissionMissing,
    ServerBusy,
    SettingsError,
    StatementFailed,
    TokenUnavailable,
    Unreachable,
    WorkerError,
)
from .settings import SqlSettings

CONNECT_SECONDS: Final = 15
# What proves that the server is there before the driver is asked: its own text for both cases is "unable to connect".
PROBE_SECONDS: Final = 5


class Cursor(Protocol):
    rowcount: int

    def execute(self, operation: str, *parameters: Any) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


class Connection(Protocol):
    def cursor(self) -> Any: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


Connect = Callable[[SqlSettings], Connection]


def connection_string(sql: SqlSettings) -> str:
    """No trust setting: Encrypt verifies the chain (against the image's own CA store) and the host name. No password,
    but for a test server on this machine."""
    place = f"Server={sql.server};Database={sql.database};Encrypt={sql.encrypt};"
    if sql.login_file is None:
        return f"{place}Authentication=ActiveDirectoryMSI;UID={sql.client_id}"
    try:
        user, password = sql.login_file.read_text().splitlines()[:2]
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{sql.login_file} cannot be read as a login",
            cause="expected a user name and a password, one a line" if isinstance(error, ValueError) else str(error),
            next_step="Mount the file readable for the container's user",
        ) from None
    return place + ";".join(
        f"{name}={{{value.replace('}', '}}')}}}" for name, value in (("UID", user), ("PWD", password))
    )


def probe(sql: SqlSettings) -> None:
    """Resolve the name and open a TCP connection, so that these two causes have their own words."""
    try:
        addresses = socket.getaddrinfo(sql.host, sql.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NameNotResolved(
            f"the name {sql.host!r} is not known",
            cause=str(error),
            next_step="Check sql.server of the stack and the pool's DNS",
        ) from error
    failure: OSError | None = None
    for *_, (host, port, *_) in addresses:
        try:
            socket.create_connection((str(host), int(port)), timeout=PROBE_SECONDS).close()
            return
        except OSError as error:
            failure = error
    raise Unreachable(
        f"{sql.host} does not answer on port {sql.port}",
        cause=str(failure),
        next_step="Check the server's firewall for the pool's addresses, and that it runs",
    ) from failure


def connect(sql: SqlSettings) -> Connection:
    """Log in with the node identity's token. Only the worker thread may call this (see `signals.py`)."""
    logging.getLogger("azure").setLevel(logging.ERROR)  # its warnings repeat what the error below says
    import mssql_python  # heavy (0.3 s), and only this function needs it

    probe(sql)
    mssql_python.pooling(enabled=False)  # one connection for one process
    try:
        connection = mssql_python.connect(connection_string(sql), timeout=CONNECT_SECONDS)
    except (mssql_python.Error, RuntimeError, ValueError) as error:
        raise translate(error, sql) from error
    connection.timeout = sql.statement_seconds
    return connection


# (pieces of the driver's text, error, fact, cause, next step). mssql-python exposes no error numbers, only text.
_RULES: Final[tuple[tuple[tuple[str, ...], type[WorkerError], str, str, str], ...]] = (
    (
        ("deadlock", "serialization failure", "lock request time out"),
        Deadlock,
        "{server} rolled our transaction back",
        "another one had the lock",
        "Try again",
    ),
    # learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues, its list of transient errors
    (
        (
            "is not currently available",
            "is currently busy",
            "is currently too busy",
            "error processing your request",
            "not enough resources",
            "limit for the database is",
        ),
        ServerBusy,
        "{server} cannot serve {database!r} now",
        "a failover, or too much load",
        "Try again in a minute",
    ),
    (
        (
            "invalid object name 'dbo.work_",
            "invalid object name 'work_items",
            "invalid object name 'work_results",
            "invalid object name 'dbo.docker_worker_schema",
            "invalid object name 'docker_worker_schema",
        ),
        NotMigrated,
        "database {database!r} has no tables of the worker",
        "nobody ran `migrate` in it",
        "Run `migrate` once, as an identity that may create tables (docs/worker.md)",
    ),
    (
        ("token is expired", "token has expired"),
        TokenUnavailable,
        "{server} refused the token of {who}",
        "it was expired",
        "Try again; if it stays, compare the clocks of server and node",
    ),
    (
        ("managedidentity", "imds", "identity endpoint", "azure ad token", "acquire", "token from"),
        TokenUnavailable,
        "no token for {who}",
        "the identity endpoint did not give one",
        "Check that the pool has this identity assigned",
    ),
    (
        (
            "certificate verify failed",
            "certificate chain",
            "subject name does not match",
            "ssl provider",
            "self-signed",
            "self signed",
        ),
        CertificateNotTrusted,
        "the certificate of {server} is not trusted",
        "its authority is not in the image's CA store, or it names another host",
        "Add the CA to the base image, or use the name in the certificate",
    ),
    (
        ("encryption not supported",),
        CertificateNotTrusted,
        "{server} offers no encryption",
        "the worker never speaks in clear",
        "Give the server a certificate",
    ),
    (
        ("cannot open database", "database does not exist"),
        DatabaseMissing,
        "database {database!r} cannot be opened on {server}",
        "it does not exist there, or the identity has no user in it",
        "Check sql.database of the stack, and run the script of docs/sql.md",
    ),
    (
        ("login failed", "invalid authorization specification", "18456"),
        LoginRefused,
        "{server} refused {who}",
        "database {database!r} has no user for it, or is not there",
        "Check sql.database of the stack, and run the script of docs/sql.md as the server's Entra administrator",
    ),
    (
        ("permission was denied", "permission denied", "create table permission"),
        PermissionMissing,
        "{who} may not do this in {database!r}",
        "its database user lacks a right",
        "Run the script of docs/sql.md",
    ),
    (
        (
            "unable to establish connection",
            "communication link failure",
            "timeout expired",
            "login timeout",
            "tcp provider",
            "connection not open",
            "connection is closed",
            "closed connection",
        ),
        Unreachable,
        "the connection to {server} failed",
        "the server or the network dropped it",
        "Try again; if it stays, look at the server",
    ),
)


def translate(error: BaseException, sql: SqlSettings) -> WorkerError:
    """The driver's error as one of ours, with the driver's own text as part of the cause."""
    lowered = str(error).casefold()
    text = str(getattr(error, "ddbc_error", "") or error)
    names = {"server": sql.server, "database": sql.database, "who": sql.who}
    for pieces, kind, fact, cause, step in _RULES:
        if any(piece in lowered for piece in pieces):
            return kind(fact.format(**names), cause=f"{cause.format(**names)} ({text})", next_step=step)
    return StatementFailed(
        f"{sql.server} answered with an error", cause=text, next_step="Try again; if it stays, report it"
    )
