"""Transactions of a session, on SQLite.

SQL Server counts nested BEGINs and reads committed data by default. So SQLite's own transaction begins with the first
*write*: until then reads see what is committed now, as they would, and no session is refused because another one wrote
meanwhile. SQLite has one writer a database; the next one waits, and is refused with 1222 after some seconds.
"""

from __future__ import annotations

import sqlite3

from local.azure.sql.errors import LockTimeout, NoTransaction


class Transactions:
    """The transaction state of one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.count = 0
        self.implicit = False

    def begin(self) -> None:
        """BEGIN TRANSACTION, possibly within another."""
        self.count += 1

    def before(self, *, writes: bool) -> None:
        """Before a statement: implicit transactions begin, and the first write takes the lock."""
        if self.implicit and not self.count:
            self.begin()
        if writes and self.count and not self._db.in_transaction:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise LockTimeout from error

    def commit(self) -> None:
        """COMMIT: only the outermost one writes."""
        if not self.count:
            raise NoTransaction("COMMIT")
        self.count -= 1
        if not self.count and self._db.in_transaction:
            self._db.execute("COMMIT")

    def rollback(self) -> None:
        """ROLLBACK ends all levels."""
        if not self.count:
            raise NoTransaction("ROLLBACK")
        self.abandon()

    def abandon(self) -> None:
        """Undo whatever is open."""
        self.count = 0
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
