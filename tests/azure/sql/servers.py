"""Databases to run the same statements against: the stand-in, and a real SQL Server.

A real server is asked for by SQLSERVER_TEST_DSN, a connection string of mssql-python with a database in which tables
may be made. Tables have names of their own and are dropped.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytds
import pytest

from tests.azure.sql.world import World

DSN = "SQLSERVER_TEST_DSN"
_SERVER = pytest.param("server", marks=pytest.mark.azure)  # like a subscription: nobody has one by default
SERVERS = ("postgres", _SERVER)


class Session:
    """One connection; `?` for parameters, transactions by T-SQL."""

    def __init__(self, connection: Any, *, marks: str) -> None:
        self.connection = connection
        self._marks = marks

    def run(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self.connection.cursor()
        if self._marks == "%s":  # pytds takes bytes for text
            values = tuple(pytds.Binary(value) if isinstance(value, bytes) else value for value in values)
        cursor.execute(text.replace("?", self._marks), values) if values else cursor.execute(text)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def refusal(self, text: str, *values: Any) -> str:
        """The words of the error that this raises."""
        with pytest.raises(Exception) as caught:  # two drivers, two trees of exceptions
            self.run(text, *values)
        return str(caught.value)


class Server:
    """Where tests run: sessions, and names for tables."""

    def __init__(self, kind: str, connect: Callable[[], Session]) -> None:
        self.kind = kind
        self.session = connect
        self.tables: list[str] = []

    def table(self, columns: str) -> str:
        """A new table with these columns; its name."""
        name = f"dbo.t_{uuid.uuid4().hex[:12]}"
        self.tables.append(name)
        self.session().run(f"CREATE TABLE {name} ({columns})")
        return name


def open_server(kind: str, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A place of this kind; a real server is skipped, visibly, unless one is named."""
    if kind != "server":
        world: World = request.getfixturevalue("world")
        yield Server(kind, lambda: Session(world.connect(world.admin_token), marks="%s"))
        return
    if not (dsn := os.environ.get(DSN)):
        pytest.skip(f"no real SQL Server: {DSN} is not set")
    import mssql_python

    opened: list[Any] = []

    def connect() -> Session:
        opened.append(mssql_python.connect(dsn, autocommit=True))
        return Session(opened[-1], marks="?")

    server = Server(kind, connect)
    try:
        yield server
    finally:
        for connection in opened:
            connection.close()
        last = connect()
        for name in server.tables:
            last.run(f"DROP TABLE IF EXISTS {name}")
        last.connection.close()
