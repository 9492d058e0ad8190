"""Transactions of a session: SQL Server's counting of them, over the store's own.

SQL Server counts nested BEGINs, and a batch that is refused leaves its transaction open unless the error dooms it or
XACT_ABORT is on. When the store's transaction begins is the backend's knowledge.
"""

from __future__ import annotations

import itertools
from typing import Final

from local.azure.sql.errors import DeadlockVictim, NoTransaction, SqlError
from local.azure.sql.stores.postgres.backend import PostgresConnection

_NUMBERS: Final = itertools.count(1001)  # CURRENT_TRANSACTION_ID() is unique in the server


class Transactions:
    """The transaction state of one connection. `number` is CURRENT_TRANSACTION_ID()."""

    def __init__(self, connection: PostgresConnection) -> None:
        self._db = connection
        self.count = 0
        self.number = next(_NUMBERS)
        self.implicit = self.abort_on_error = False

    def begin(self) -> bool:
        """BEGIN TRANSACTION, possibly within another; True for the outermost."""
        self.count += 1
        if self.count == 1:
            self.number = next(_NUMBERS)
        return self.count == 1

    def before(self, *, writes: bool) -> None:
        """Before a statement: implicit transactions begin, and the store's own."""
        if self.implicit and not self.count:
            self.begin()
        if self.count:
            self._db.enter(writes=writes)

    def commit(self) -> None:
        """COMMIT: only the outermost one writes."""
        if not self.count:
            raise NoTransaction("COMMIT")
        self.count -= 1
        if not self.count:
            self._db.commit()

    def rollback(self) -> None:
        """ROLLBACK ends all levels."""
        if not self.count:
            raise NoTransaction("ROLLBACK")
        self.abandon()

    def failed(self, problem: SqlError) -> bool:
        """After a refusal: undo everything if it dooms the transaction; True if there was one to undo."""
        doomed = bool(self.count) and (self.abort_on_error or problem.fatal or isinstance(problem, DeadlockVictim))
        if doomed:
            self.abandon()
        return doomed

    def abandon(self) -> None:
        """Undo whatever is open."""
        self.count = 0
        self._db.rollback()
