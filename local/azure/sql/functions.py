"""T-SQL functions that SQLite does not have: who and where a session is, times, identifiers."""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Callable, Mapping

VERSION = (
    "Microsoft SQL Server 2022 (stand-in of the local Azure, on SQLite) - 16.0.1000.6 (X64)\n"
    "\tNot SQL Server: the protocol and the way to it are real, statements run on SQLite"
)


def register(connection: sqlite3.Connection, facts: Mapping[str, Callable[[], str]]) -> None:
    """Give the connection its functions; `facts` are those of the session, asked at each call."""
    for name, ask in facts.items():
        connection.create_function(name, -1, lambda *_, ask=ask: ask())
    for name in ("SYSUTCDATETIME", "GETUTCDATE", "SYSDATETIME", "GETDATE"):
        connection.create_function(name, 0, _now)
    connection.create_function("NEWID", 0, lambda: str(uuid.uuid4()).upper(), deterministic=False)
    connection.create_function("SERVERPROPERTY", 1, _property)


def _now() -> str:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(" ")


def _property(name: str) -> str | int | None:
    known: dict[str, str | int] = {
        "productversion": "16.0.1000.6",
        "edition": "SQL Azure",
        "engineedition": 5,
        "servername": "local-azure-sql",
    }
    return known.get(name.lower())
