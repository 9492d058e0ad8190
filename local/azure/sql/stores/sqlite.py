"""SQLite behind the stand-in: one file a database, with the catalog tables that hold its users.

Owns files, their opening and SQLite's differences. WAL with a full transaction log: kill -9 loses nothing that was
committed. SQL Server reads committed data by default, so SQLite's own transaction begins with the first *write*: until
then reads see what is committed now, and no session is refused because another one wrote meanwhile. There is one writer
a database; the next one waits, and is refused with 1222 after some seconds. Nothing is locked by READPAST or UPDLOCK.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlglot import exp

from local.azure.sql.errors import (
    ConstraintViolated,
    DatabaseExists,
    DatabaseMissing,
    InvalidColumn,
    InvalidObject,
    LockTimeout,
    NotSupported,
    NullRefused,
    ObjectExists,
    SqlError,
    Syntax,
    VariableMissing,
)
from local.azure.sql.statements.translation import BINARY_COLLATION, Dialect, Translated
from local.azure.sql.stores import functions
from local.azure.sql.stores.backend import MASTER, Facts, KeyTaken, Look, Result
from local.azure.sql.tds.values import Row, Value, plain

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@$#-]{0,127}")
_LOCK_SECONDS: Final = 5.0
_CATALOG: Final = """
CREATE TABLE IF NOT EXISTS sys_database_principals (
    name TEXT NOT NULL PRIMARY KEY COLLATE NOCASE, principal_id INTEGER NOT NULL UNIQUE, type TEXT NOT NULL,
    type_desc TEXT NOT NULL, sid BLOB UNIQUE, default_schema_name TEXT, authentication_type_desc TEXT);
CREATE TABLE IF NOT EXISTS sys_database_role_members (
    role TEXT NOT NULL COLLATE NOCASE, member TEXT NOT NULL COLLATE NOCASE, PRIMARY KEY (role, member));
CREATE TABLE IF NOT EXISTS sys_database_permissions (
    permission TEXT NOT NULL COLLATE NOCASE, grantee TEXT NOT NULL COLLATE NOCASE, PRIMARY KEY (permission, grantee));
INSERT OR IGNORE INTO sys_database_principals VALUES
    ('public', 0, 'R', 'DATABASE_ROLE', NULL, NULL, 'NONE'), ('dbo', 1, 'S', 'SQL_USER', x'01', 'dbo', 'INSTANCE');
"""


def to_sqlite(tree: exp.Expr) -> tuple[str, tuple[str, ...]]:
    """The text; parameters keep their names (`:name`). Hints mean nothing here: one writer locks the whole database."""
    for table in tree.find_all(exp.Table):
        table.set("hints", None)
    for node in list(tree.find_all(exp.DateAdd, exp.DateDiff)):
        unit = exp.Literal.string(node.text("unit").lower() or "day")
        first, second = node.expression, node.this
        name = "DATEADD" if isinstance(node, exp.DateAdd) else "DATEDIFF"
        arguments = [part.this if isinstance(part, (exp.TimeStrToTime, exp.TsOrDsToTimestamp)) else part
                     for part in (first, second)]  # fmt: skip
        node.replace(exp.Anonymous(this=name, expressions=[unit, *(part.copy() for part in arguments)]))
    for collated in tree.find_all(exp.CollateColumnConstraint):
        if collated.this.name == BINARY_COLLATION:
            collated.set("this", exp.to_identifier("RTRIM"))  # SQLite's own: bytes, but for blanks at the end
    for default in tree.find_all(exp.DefaultColumnConstraint):
        if isinstance(default.this, exp.Func):
            default.set("this", exp.Paren(this=default.this))
    return tree.sql("sqlite"), ()


class SqliteBackend:
    """The databases of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.ensure(MASTER)

    @property
    def dialect(self) -> Dialect:
        """How T-SQL is said here."""
        return to_sqlite

    def names(self) -> list[str]:
        """All of them, in order."""
        return sorted(file.stem for file in self._folder.glob("*.db"))

    def exists(self, name: str) -> bool:
        """Whether there is such a database."""
        return _NAME.fullmatch(name) is not None and self._file(name).exists()

    def create(self, name: str) -> None:
        """Make a database; DatabaseExists when it is there."""
        if self.exists(name):
            raise DatabaseExists(name)
        self.ensure(name)

    def ensure(self, name: str) -> None:
        """Make a database unless it is there."""
        if _NAME.fullmatch(name) is None:
            raise NotSupported(f"database names such as {name!r} (letters, digits and _ . @ $ # - only)")
        file = self._file(name)
        if not file.exists():
            file.touch(mode=0o600)
        connection = sqlite3.connect(file, timeout=_LOCK_SECONDS)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(_CATALOG)
        connection.close()

    def drop(self, name: str) -> None:
        """Remove a database and its files."""
        if name.lower() == MASTER:
            raise NotSupported("DROP DATABASE master")
        if not self.exists(name):
            raise DatabaseMissing(name)
        for suffix in ("", "-wal", "-shm"):
            self._file(name).with_name(self._file(name).name + suffix).unlink(missing_ok=True)

    def open(self, name: str) -> SqliteConnection:
        """A connection for one session."""
        if not self.exists(name):
            raise DatabaseMissing(name)
        return SqliteConnection(
            sqlite3.connect(self._file(name), isolation_level=None, timeout=_LOCK_SECONDS, check_same_thread=False)
        )

    def _file(self, name: str) -> Path:
        return self._folder / f"{name.lower()}.db"


class SqliteConnection:
    """One session's connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @property
    def in_transaction(self) -> bool:
        """Whether SQLite has a transaction open."""
        return self._db.in_transaction

    def introduce(self, facts: Facts) -> None:
        """Give the connection its functions."""
        functions.register(self._db, facts)

    def enter(self, *, writes: bool) -> None:
        """The first write takes the lock."""
        if writes and not self._db.in_transaction:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise LockTimeout from error

    def run(self, statement: Translated, values: Mapping[str, Value], look: Look) -> Result:
        """Run a client's statement. It is not interrupted: SQLite's statements here are short, or wait for the lock."""
        try:
            cursor = self._db.execute(statement.sql, {name: plain(value) for name, value in values.items()})
            rows = cursor.fetchall() if cursor.description else []
        except sqlite3.Error as error:
            raise _as_sql_error(error) from error
        if cursor.description:
            return Result(tuple(column[0] for column in cursor.description), rows, len(rows))
        return Result(None, [], max(cursor.rowcount, 0))

    def ask(self, sql: str, *values: Value) -> list[Row]:
        """Run a statement of ours on the catalog."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.IntegrityError as error:
            raise KeyTaken from error
        except sqlite3.Error as error:
            raise _as_sql_error(error) from error

    def lock_timeout(self, milliseconds: int) -> None:
        """SET LOCK_TIMEOUT; for ever is a week."""
        self._db.execute(f"PRAGMA busy_timeout = {milliseconds if milliseconds >= 0 else 604_800_000}")

    def commit(self) -> None:
        """Keep the open transaction."""
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def rollback(self) -> None:
        """Undo the open transaction."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Leave; SQLite undoes what is open."""
        self._db.close()


def _as_sql_error(error: sqlite3.Error) -> SqlError:
    """SQLite's complaint in SQL Server's words."""
    text = str(error)
    subject = text.rpartition(": ")[2]
    if text.startswith("UNIQUE constraint failed"):
        table = subject.split(".")[0]
        return ConstraintViolated(
            f"Violation of PRIMARY KEY or UNIQUE KEY constraint. Cannot insert duplicate key in object 'dbo.{table}'."
        )
    if text.startswith("NOT NULL constraint failed"):
        return NullRefused(f"Cannot insert the value NULL into column '{subject}'; column does not allow nulls.")
    if "constraint failed" in text:
        return ConstraintViolated(f"The statement conflicted with a constraint ({text}).", number=547)
    if text.startswith("no such table"):
        return InvalidObject(subject)
    if text.startswith("no such column") or "has no column named" in text:
        return InvalidColumn(text.rpartition(" ")[2])
    if match := re.fullmatch(r"table \"?([^\"]+?)\"? already exists", text):
        return ObjectExists(match[1])
    if "locked" in text:
        return LockTimeout()
    if match := re.search(r"value for parameter :(\w+)|supply a value for binding parameter ':?(\w+)'", text):
        return VariableMissing(match[1] or match[2])
    return Syntax(f"Incorrect syntax, or more than the local SQL Server stand-in can do: {text}.")
