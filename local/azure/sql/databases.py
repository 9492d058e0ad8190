"""Databases: one SQLite file each, with the catalog tables that hold its users.

Owns files and their opening. WAL with a full transaction log: kill -9 loses nothing that was committed.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Final

from local.azure.sql.errors import DatabaseExists, DatabaseMissing, NotSupported

MASTER: Final = "master"
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


class Databases:
    """The server's databases. Names compare without case."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.ensure(MASTER)

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

    def open(self, name: str) -> sqlite3.Connection:
        """A connection for one session, which begins and ends its transactions itself."""
        if not self.exists(name):
            raise DatabaseMissing(name)
        return sqlite3.connect(self._file(name), isolation_level=None, timeout=_LOCK_SECONDS, check_same_thread=False)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name.lower()}.db"
