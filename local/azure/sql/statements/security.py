"""Statements about users, roles, grants and databases: which one it is, as a record. sqlglot does not read them.

https://learn.microsoft.com/sql/t-sql/statements/create-user-transact-sql and its neighbours. Owns the grammar; who may
do it and what it does is `execution.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from local.azure.sql.errors import NotSupported

_NAME: Final = r"(?:\[(?:[^\]]|\]\])+\]|\"[^\"]+\"|[\w@#$-]+)"


@dataclass(frozen=True)
class CreateUser:
    """CREATE USER ... FROM EXTERNAL PROVIDER, or WITH SID."""

    name: str
    sid: bytes | None = None
    object_id: str | None = None


@dataclass(frozen=True)
class DropUser:
    """DROP USER."""

    name: str
    if_exists: bool


@dataclass(frozen=True)
class AlterRole:
    """ALTER ROLE ... ADD | DROP MEMBER."""

    role: str
    member: str
    add: bool


@dataclass(frozen=True)
class Grant:
    """GRANT or REVOKE."""

    permissions: tuple[str, ...]
    grantee: str
    give: bool


@dataclass(frozen=True)
class CreateDatabase:
    """CREATE DATABASE."""

    name: str


@dataclass(frozen=True)
class DropDatabase:
    """DROP DATABASE."""

    name: str
    if_exists: bool


Statement = CreateUser | DropUser | AlterRole | Grant | CreateDatabase | DropDatabase


def read_security(text: str) -> Statement | None:
    """The statement, or None when it is of another kind."""
    for pattern, make in _GRAMMAR:
        if match := re.fullmatch(pattern, text.strip().rstrip(";").strip(), re.IGNORECASE | re.DOTALL):
            return make(match)
    if re.match(
        r"\s*(CREATE|ALTER|DROP)\s+(USER|ROLE|LOGIN|CERTIFICATE)\b|\s*DENY\b|\s*ALTER\s+DATABASE\b", text, re.I
    ):
        raise NotSupported(f"this form of statement: {' '.join(text.split())[:100]}")
    return None


def name_of(text: str) -> str:
    """A name without its quotes."""
    if text.startswith("["):
        return text[1:-1].replace("]]", "]")
    return text.strip('"')


def _external_user(match: re.Match[str]) -> Statement:
    return CreateUser(name_of(match["name"]), object_id=match["object"])


def _sid_user(match: re.Match[str]) -> Statement:
    return CreateUser(name_of(match["name"]), sid=bytes.fromhex(match["sid"]))


def _grant(match: re.Match[str]) -> Statement:
    scope = match["scope"]
    if scope and not re.fullmatch(r"(DATABASE\s*::\s*.+|SCHEMA\s*::\s*\[?dbo\]?)", scope.strip(), re.IGNORECASE):
        raise NotSupported(f"grants on {scope.strip()!r} (a database or schema dbo only)")
    permissions = tuple(part.strip() for part in match["permissions"].split(","))
    return Grant(permissions, name_of(match["name"]), give=match["verb"].upper() == "GRANT")


_GRAMMAR: Final[tuple[tuple[str, Callable[[re.Match[str]], Statement]], ...]] = (
    (
        rf"CREATE\s+USER\s+(?P<name>{_NAME})\s+FROM\s+EXTERNAL\s+PROVIDER"
        r"(?:\s+WITH\s+OBJECT_ID\s*=\s*N?'(?P<object>[^']+)')?(?:\s*,?\s*(?:WITH\s+)?DEFAULT_SCHEMA\s*=\s*\[?dbo\]?)?",
        _external_user,
    ),
    (rf"CREATE\s+USER\s+(?P<name>{_NAME})\s+WITH\s+SID\s*=\s*0x(?P<sid>[0-9a-f]+)\s*,\s*TYPE\s*=\s*[EX]", _sid_user),
    (
        rf"DROP\s+USER\s+(?P<exists>IF\s+EXISTS\s+)?(?P<name>{_NAME})",
        lambda m: DropUser(name_of(m["name"]), m["exists"] is not None),
    ),
    (
        rf"ALTER\s+ROLE\s+(?P<role>{_NAME})\s+(?P<verb>ADD|DROP)\s+MEMBER\s+(?P<name>{_NAME})",
        lambda m: AlterRole(name_of(m["role"]), name_of(m["name"]), m["verb"].upper() == "ADD"),
    ),
    (
        r"(?P<verb>GRANT|REVOKE)\s+(?P<permissions>[A-Z ,]+?)(?:\s+ON\s+(?P<scope>.+?))?\s+(?:TO|FROM)\s+"
        rf"(?P<name>{_NAME})",
        _grant,
    ),
    (rf"CREATE\s+DATABASE\s+(?P<name>{_NAME})", lambda m: CreateDatabase(name_of(m["name"]))),
    (
        rf"DROP\s+DATABASE\s+(?P<exists>IF\s+EXISTS\s+)?(?P<name>{_NAME})",
        lambda m: DropDatabase(name_of(m["name"]), m["exists"] is not None),
    ),
)
