"""Users of a database and what they may do: fixed roles and GRANTs, as rows of the database itself.

https://learn.microsoft.com/sql/relational-databases/security/authentication-access/database-level-roles. Rights hold
for the whole database; GRANT on single objects is refused by name.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from local.azure.sql.errors import NotSupported, ObjectDenied, StatementDenied, UserExists, UserMissing

_DATA: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
ROLES: Final = {
    "db_owner": _DATA | {"CREATE TABLE", "ALTER", "CONTROL"},
    "db_ddladmin": frozenset({"CREATE TABLE", "ALTER"}),
    "db_datareader": frozenset({"SELECT"}),
    "db_datawriter": frozenset({"INSERT", "UPDATE", "DELETE"}),
}
# What GRANT may name (on the database or on schema dbo) and the right that it gives.
GRANTS: Final = {
    **{right: right for right in (*_DATA, "CREATE TABLE", "CONTROL", "ALTER")},
    "ALTER ANY SCHEMA": "ALTER",
    "CONNECT": "CONNECT",
    "EXECUTE": "EXECUTE",
    "VIEW DEFINITION": "VIEW DEFINITION",
}


class Rights:
    """Reads and writes the catalog of one database through its session's connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def user_of(self, sid: bytes) -> str | None:
        """The name of the user with this SID."""
        row = self._db.execute("SELECT name FROM sys_database_principals WHERE sid = ?", (sid,)).fetchone()
        return None if row is None else row[0]

    def create_user(self, name: str, sid: bytes) -> None:
        """Add an external user."""
        try:
            self._db.execute(
                "INSERT INTO sys_database_principals SELECT ?, MAX(MAX(principal_id) + 1, 5), 'E', 'EXTERNAL_USER', ?, "
                "'dbo', 'EXTERNAL' FROM sys_database_principals",
                (name, sid),
            )
        except sqlite3.IntegrityError as error:
            raise UserExists(name) from error

    def drop_user(self, name: str) -> None:
        """Remove a user and its rights."""
        self._known(name)
        for statement in (
            "DELETE FROM sys_database_principals WHERE name = ?",
            "DELETE FROM sys_database_role_members WHERE member = ?",
            "DELETE FROM sys_database_permissions WHERE grantee = ?",
        ):
            self._db.execute(statement, (name,))

    def set_member(self, role: str, member: str, *, present: bool) -> None:
        """ALTER ROLE ... ADD | DROP MEMBER."""
        if role.lower() not in ROLES:
            raise UserMissing("role", role)
        self._known(member)
        verb = "INSERT OR IGNORE INTO sys_database_role_members VALUES (?, ?)"
        if not present:
            verb = "DELETE FROM sys_database_role_members WHERE role = ? AND member = ?"
        self._db.execute(verb, (role.lower(), member))

    def set_grant(self, permission: str, grantee: str, *, present: bool) -> None:
        """GRANT | REVOKE."""
        right = GRANTS.get(" ".join(permission.upper().split()))
        if right is None:
            raise NotSupported(f"the permission {permission!r}; it has {', '.join(sorted(GRANTS))}")
        self._known(grantee)
        verb = "INSERT OR IGNORE INTO sys_database_permissions VALUES (?, ?)"
        if not present:
            verb = "DELETE FROM sys_database_permissions WHERE permission = ? AND grantee = ?"
        self._db.execute(verb, (right, grantee))

    def of(self, user: str) -> frozenset[str]:
        """All rights of a user."""
        if user == "dbo":
            return ROLES["db_owner"]
        roles = self._db.execute("SELECT role FROM sys_database_role_members WHERE member = ?", (user,)).fetchall()
        grants = self._db.execute("SELECT permission FROM sys_database_permissions WHERE grantee = ?", (user,))
        held = frozenset(row[0] for row in grants).union(*(ROLES[role] for (role,) in roles))
        return held | ROLES["db_owner"] if "CONTROL" in held else held

    def require(self, user: str, right: str, name: str, database: str) -> None:
        """Raise SQL Server's refusal unless the user has the right. Making a table needs the schema too."""
        held = self.of(user)
        if right == "CREATE TABLE":
            if right not in held or "ALTER" not in held:
                raise StatementDenied(right, database)
        elif right not in held:
            raise ObjectDenied(right, name, database)

    def _known(self, name: str) -> None:
        row = self._db.execute("SELECT 1 FROM sys_database_principals WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise UserMissing("user", name)
