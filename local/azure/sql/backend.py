"""Where statements run: the protocol of a store of databases, and the choice of one.

PostgreSQL is the default. READPAST skips locked rows there, writers of different rows do not wait for each other, and
deadlocks are found. SQLite has one writer a database; it serves machines without PostgreSQL, and only when asked for by
name: LOCAL_AZURE_SQL=sqlite. The choice was measured (benchmarks/sql_concurrency.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from local.azure.paths import Paths
from local.azure.sql.translation import Dialect, Translated
from local.azure.sql.values import Row, Value

VARIABLE: Final = "LOCAL_AZURE_SQL"
KINDS: Final = ("postgres", "sqlite")
MASTER: Final = "master"
Look = Callable[[], None]  # called while a statement waits; raises Attention when the client cancelled it


class UnknownBackend(Exception):
    """LOCAL_AZURE_SQL names none of ours."""


class KeyTaken(Exception):
    """A catalog row is there already."""


@dataclass(frozen=True)
class Result:
    """What a statement gave: `columns` is None for one without rows."""

    columns: tuple[str, ...] | None
    rows: list[Row]
    count: int


@dataclass(frozen=True)
class Facts:
    """What a session's functions answer: ORIGINAL_LOGIN(), USER_NAME(), DB_NAME()."""

    login: str
    user: str
    database: str


class Connection(Protocol):
    """One session's way to one database."""

    @property
    def in_transaction(self) -> bool:
        """Whether the store has a transaction open."""
        ...

    def introduce(self, facts: Facts) -> None:
        """Say who the session is."""
        ...

    def enter(self, *, writes: bool) -> None:
        """Before a statement of a transaction: open the store's own one, where it is needed now."""
        ...

    def run(self, statement: Translated, values: Mapping[str, Value], look: Look) -> Result:
        """Run a client's statement; its failure is a SqlError and undoes this statement only."""
        ...

    def ask(self, sql: str, *values: Value) -> list[Row]:
        """Run a statement of ours on the catalog (`?` for values); KeyTaken for a duplicate."""
        ...

    def lock_timeout(self, milliseconds: int) -> None:
        """SET LOCK_TIMEOUT; -1 waits for ever."""
        ...

    def commit(self) -> None:
        """Keep the open transaction."""
        ...

    def rollback(self) -> None:
        """Undo the open transaction."""
        ...

    def close(self) -> None:
        """Leave the database; what is open is undone."""
        ...


class Backend(Protocol):
    """The server's databases. Names compare without case."""

    @property
    def dialect(self) -> Dialect:
        """How T-SQL is said here."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is such a database."""
        ...

    def ensure(self, name: str) -> None:
        """Make a database, with its catalog, unless it is there."""
        ...

    def create(self, name: str) -> None:
        """Make a database; DatabaseExists when it is there."""
        ...

    def drop(self, name: str) -> None:
        """Remove a database."""
        ...

    def open(self, name: str) -> Connection:
        """A connection for one session; DatabaseMissing."""
        ...


def chosen() -> str:
    """The kind of backend that the environment asks for."""
    kind = os.environ.get(VARIABLE) or KINDS[0]
    if kind not in KINDS:
        raise UnknownBackend(f"{VARIABLE} is {kind!r}; it is one of {', '.join(KINDS)}. Correct it or unset it.")
    return kind


def open_backend(paths: Paths) -> Backend:
    """The chosen store's databases; PostgreSQL's must be running already (`postgres/cluster.py`)."""
    if chosen() == "sqlite":
        from local.azure.sql.sqlite import SqliteBackend

        return SqliteBackend(paths.state / "sql")
    from local.azure.sql.postgres.backend import PostgresBackend
    from local.azure.sql.postgres.cluster import socket_of

    return PostgresBackend(socket_of(paths))
