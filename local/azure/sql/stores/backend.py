"""Where statements run: the protocol of a store of databases. `choice.py` picks one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from local.azure.sql.statements.translation import Dialect, Translated
from local.azure.sql.tds.values import Row, Value

MASTER: Final = "master"
Look = Callable[[], None]  # called while a statement waits; raises Attention when the client cancelled it


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
