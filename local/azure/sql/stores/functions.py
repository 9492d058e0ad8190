"""T-SQL functions that SQLite does not have: who and where a session is, times, identifiers."""

from __future__ import annotations

import datetime as dt
import sqlite3
import unicodedata
import uuid
from typing import Final

from local.azure.sql.statements.translation import DEFAULT_COLLATION
from local.azure.sql.stores.backend import Facts

_SECONDS: Final = {"millisecond": 0.001, "second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


def register(connection: sqlite3.Connection, facts: Facts) -> None:
    """Give the connection its functions."""
    known = {
        "ORIGINAL_LOGIN": facts.login,
        "USER_NAME": facts.user,
        "DB_NAME": facts.database,
        "SCHEMA_NAME": "dbo",
    }
    for name, text in known.items():
        connection.create_function(name, -1, lambda *_, text=text: text)
    connection.create_collation(DEFAULT_COLLATION, _compare)
    connection.create_function("COL_LENGTH", 2, lambda table, column: _column_length(connection, table, column))
    for name in ("SYSUTCDATETIME", "GETUTCDATE", "SYSDATETIME", "GETDATE"):
        connection.create_function(name, 0, _now)
    connection.create_function("SYSDATETIMEOFFSET", 0, lambda: dt.datetime.now(dt.UTC).isoformat(" "))
    for name in ("NEWID", "UUID"):  # sqlglot writes the second for the first
        connection.create_function(name, 0, lambda: str(uuid.uuid4()).upper(), deterministic=False)
    connection.create_function("SERVERPROPERTY", 1, _property)
    connection.create_function("DATEADD", 3, _date_add)
    connection.create_function("DATEDIFF", 3, _date_difference)


def _compare(first: str, second: str) -> int:
    """SQL Server's default collation, about: no case, no width, no blanks at the end; accents count."""
    one, other = (unicodedata.normalize("NFKC", text.rstrip(" ")).casefold() for text in (first, second))
    return (one > other) - (one < other)


def _column_length(connection: sqlite3.Connection, table: str, column: str) -> int | None:
    """COL_LENGTH(): NULL for a column that is not there. The length itself SQLite does not keep."""
    name = table.rpartition(".")[2].strip("[]")
    found = connection.execute("SELECT name FROM pragma_table_info(?)", (name,)).fetchall()
    return -1 if column.lower() in {row[0].lower() for row in found} else None


def _now() -> str:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _date_add(unit: str, amount: float | None, start: str | None) -> str | None:
    if amount is None or start is None:
        return None
    moment = dt.datetime.fromisoformat(start) + dt.timedelta(seconds=amount * _SECONDS[unit])
    return moment.isoformat(" ", "microseconds")


def _date_difference(unit: str, start: str | None, end: str | None) -> int | None:
    """How many boundaries of the unit lie between, as T-SQL counts."""
    if start is None or end is None:
        return None
    size = dt.timedelta(seconds=_SECONDS[unit])
    first, last = ((dt.datetime.fromisoformat(text) - dt.datetime(1900, 1, 1)) // size for text in (start, end))
    return last - first


def _property(name: str) -> str | int | None:
    known: dict[str, str | int] = {
        "productversion": "16.0.1000.6",
        "edition": "SQL Azure",
        "engineedition": 5,
        "servername": "local-azure-sql",
    }
    return known.get(name.lower())
