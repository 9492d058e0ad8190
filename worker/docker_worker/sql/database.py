"""The way to SQL Server: passwordless, encrypted, verified, and bounded.

May block: connecting up to the seconds that the caller states, a statement up to `SqlSettings.statement_seconds` and
the driver's own cancelling of it (`driver.py`). What an error means is `sql_errors.py`'s.
"""

from __future__ import annotations

import importlib
import logging
import socket
from collections.abc import Callable
from typing import Any, Final

from ..errors import NameNotResolved, SettingsError, Unreachable
from ..settings import SqlSettings
from .driver import ATTENTION_SECONDS, Connection, Link, NoAnswer
from .sql_errors import Moment, translate

CONNECT_SECONDS: Final = 15.0
# What proves that the server is there before the driver is asked: its own text for both cases is "unable to connect".
PROBE_SECONDS: Final = 5.0

Connect = Callable[[SqlSettings, float], Link]


def connection_string(sql: SqlSettings) -> str:
    """No trust setting: Encrypt verifies the chain (against the image's own CA store) and the host name. No password,
    but for a test server on this machine."""
    place = f"Server={sql.server};Database={_quoted(sql.database)};Encrypt={sql.encrypt};"
    if sql.login_file is None:
        return f"{place}Authentication=ActiveDirectoryMSI;UID={sql.client_id}"
    try:
        user, password = sql.login_file.read_text().splitlines()[:2]
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{sql.login_file} cannot be read as a login",
            cause="expected a user name and a password, one a line" if isinstance(error, ValueError) else str(error),
            next_step="mount the file readable for the container's user",
        ) from None
    return f"{place}UID={_quoted(user)};PWD={_quoted(password)}"


def _quoted(value: str) -> str:
    """A value in which no character has a meaning for the driver."""
    return "{" + value.replace("}", "}}") + "}"


def probe(sql: SqlSettings, seconds: float = PROBE_SECONDS) -> None:
    """Resolve the name and open a TCP connection, so that these two causes have their own words."""
    try:
        addresses = socket.getaddrinfo(sql.host, sql.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NameNotResolved(
            f"the name {sql.host!r} is not known",
            cause=str(error),
            next_step="check sql.server of the stack and the pool's DNS",
        ) from error
    failure: OSError | None = None
    for *_, (host, port, *_) in addresses:
        try:
            socket.create_connection((str(host), int(port)), timeout=seconds).close()
            return
        except OSError as error:
            failure = error
    raise Unreachable(
        f"{sql.host} does not answer on port {sql.port}",
        cause=str(failure),
        next_step="check the server's firewall for the pool's addresses, and that it runs",
    ) from failure


def connect(sql: SqlSettings, seconds: float = CONNECT_SECONDS) -> Link:
    """Log in with the node identity's token, within `seconds`, the token included. Raises a WorkerError."""
    try:
        return Link.open(lambda: log_in(sql, seconds), seconds=seconds, bound=sql.statement_seconds + ATTENTION_SECONDS)
    except NoAnswer as error:
        raise Unreachable(
            f"logging in to {sql.server} did not end",
            cause=f"{error} of the server, or of the node's identity endpoint",
            next_step="try again; if it stays, look at the server and at the identity endpoint",
        ) from error


def log_in(sql: SqlSettings, seconds: float = CONNECT_SECONDS) -> Connection:
    """The driver's own connection. Only a thread that no signal reaches may use it (`driver.py`)."""
    logging.getLogger("azure").setLevel(logging.ERROR)  # its warnings repeat what the error below says
    import mssql_python  # heavy (0.3 s), and only this function needs it

    probe(sql, min(seconds, PROBE_SECONDS))
    keep_diagnostics()
    mssql_python.pooling(enabled=False)  # one connection for one process
    try:
        connection = mssql_python.connect(connection_string(sql), timeout=max(1, int(seconds)))
    except (mssql_python.Error, RuntimeError, ValueError) as error:
        raise translate(error, sql, Moment.CONNECT) from error
    connection.timeout = sql.statement_seconds
    return connection


def keep_diagnostics() -> None:
    """Have a statement's error carry the driver's records of it, as `diagnostics`: [("[42S02] (208)", text), ...].

    mssql-python 1.16 reads SQLSTATE and text, raises, and throws the records away with the statement's handle; the
    number is in the records only So we look first, at the one place where it does.
    """
    cursor: Any = importlib.import_module("mssql_python.cursor")  # Any: neither name is for others, and a test holds it
    bindings: Any = importlib.import_module("mssql_python.ddbc_bindings")
    original = cursor.check_error
    if getattr(original, "keeps_diagnostics", False):
        return

    def check_error(handle_type: int, handle: Any, code: int) -> None:
        if code >= 0:
            return
        records = bindings.DDBCSQLGetAllDiagRecords(handle)
        try:
            original(handle_type, handle, code)
        except Exception as error:
            error.diagnostics = records  # type: ignore[attr-defined]
            raise

    check_error.keeps_diagnostics = True  # type: ignore[attr-defined]
    cursor.check_error = check_error
