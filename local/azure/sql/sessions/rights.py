"""Users of a database and what they may do: fixed roles and GRANTs, as rows of the database itself.

https://learn.microsoft.com/sql/relational-databases/security/authentication-access/database-level-roles. Rights hold
for the whole database; GRANT on single objects is refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from local.azure.sql.errors import NotSupported, ObjectDenied, StatementDenied, UserExists, UserMissing
from local.azure.sql.stores.postgres.backend import PostgresConnection
from local.azure.sql.stores.records import KeyTaken

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

    def __init__(self, connection: PostgresConnection) -> None:
        self._db = connection

    def user_of(self, sid: bytes) -> str | None:
        """The name of the user with this SID."""
        found = self._db.ask("SELECT name FROM sys_database_principals WHERE sid = ?", sid)
        return str(found[0][0]) if found else None

    def create_user(self, name: str, sid: bytes) -> None:
        """Add an external user."""
        try:
            self._db.ask(
                "INSERT INTO sys_database_principals SELECT ?, CASE WHEN MAX(principal_id) < 5 THEN 5 "
                "ELSE MAX(principal_id) + 1 END, 'E', 'EXTERNAL_USER', ?, 'dbo', 'EXTERNAL' "
                "FROM sys_database_principals",
                name,
                sid,
            )
        except KeyTaken as error:
            raise UserExists(name) from error

    def drop_user(self, name: str) -> None:
        """Remove a user and its rights."""
        name = self._known(name)
        for statement in (
            "DELETE FROM sys_database_principals WHERE name = ?",
            "DELETE FROM sys_database_role_members WHERE member = ?",
            "DELETE FROM sys_database_permissions WHERE grantee = ?",
        ):
            self._db.ask(statement, name)

    def set_member(self, role: str, member: str, *, present: bool) -> None:
        """ALTER ROLE ... ADD | DROP MEMBER."""
        if role.lower() not in ROLES:
            raise UserMissing("role", role)
        member = self._known(member)
        verb = "INSERT INTO sys_database_role_members VALUES (?, ?) ON CONFLICT DO NOTHING"
        if not present:
            verb = "DELETE FROM sys_database_role_members WHERE role = ? AND member = ?"
        self._db.ask(verb, role.lower(), member)

    def set_grant(self, permission: str, grantee: str, *, present: bool) -> None:
        """GRANT | REVOKE."""
        right = GRANTS.get(" ".join(permission.upper().split()))
        if right is None:
            raise NotSupported(f"the permission {permission!r}; it has {', '.join(sorted(GRANTS))}")
        grantee = self._known(grantee)
        verb = "INSERT INTO sys_database_permissions VALUES (?, ?) ON CONFLICT DO NOTHING"
        if not present:
            verb = "DELETE FROM sys_database_permissions WHERE permission = ? AND grantee = ?"
        self._db.ask(verb, right, grantee)

    def of(self, user: str) -> frozenset[str]:
        """All rights of a user."""
        if user == "dbo":
            return ROLES["db_owner"]
        rows = self._db.ask(
            "SELECT 1, role FROM sys_database_role_members WHERE member = ? UNION ALL "
            "SELECT 0, permission FROM sys_database_permissions WHERE grantee = ?",
            user,
            user,
        )
        held = frozenset[str]().union(*(ROLES[str(name)] if is_role else {str(name)} for is_role, name in rows))
        return held | ROLES["db_owner"] if "CONTROL" in held else held

    def require(self, user: str, needs: Sequence[tuple[str, str]], database: str) -> None:
        """Raise SQL Server's refusal unless the user has each right. Making a table needs the schema too."""
        if user == "dbo" or not needs:
            return
        held = self.of(user)
        for right, name in needs:
            if right == "CREATE TABLE":
                if right not in held or "ALTER" not in held:
                    raise StatementDenied(right, database)
            elif right not in held:
                raise ObjectDenied(right, name, database)

    def _known(self, name: str) -> str:
        """The name as it was created."""
        found = self._db.ask("SELECT name FROM sys_database_principals WHERE lower(name) = lower(?)", name)
        if not found:
            raise UserMissing("user", name)
        return str(found[0][0])
