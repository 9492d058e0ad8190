"""Databases of the stand-in as databases of a PostgreSQL cluster, and a session's connection to one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from local.azure.sql.errors import (
    Attention,
    DatabaseExists,
    DatabaseMissing,
    DeadlockVictim,
    NotSupported,
    Unavailable,
    VariableMissing,
)
from local.azure.sql.statements.translation import Translated
from local.azure.sql.stores.postgres.client import Answer, Client, Lost, Parameter, Refused
from local.azure.sql.stores.postgres.cluster import socket_of
from local.azure.sql.stores.postgres.errors import as_sql_error
from local.azure.sql.stores.postgres.schema import CATALOG, FUNCTIONS, ROLE, VERSION
from local.azure.sql.stores.postgres.types import parameter, read, retries
from local.azure.sql.stores.records import MASTER, Facts, KeyTaken, Look, Result
from local.azure.sql.tds.values import Row, Value
from local.paths import Paths

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@$#-]{0,62}")  # 63 bytes are the most in PostgreSQL
_SUPERUSER: Final = "postgres"
_OWN: Final = frozenset({"postgres", "template0", "template1"})
# "cannot tell the types": 42804 mismatch, 42883 no such operator for them, 42P08 ambiguous, 42P18 unknown.
_TYPES: Final = frozenset({"42804", "42883", "42P08", "42P18"})


def open_backend(paths: Paths) -> PostgresBackend:
    """The databases of a home whose cluster runs (`cluster.py`)."""
    return PostgresBackend(socket_of(paths))


class PostgresBackend:
    """The databases of a running cluster."""

    def __init__(self, address: Path) -> None:
        self._address = address
        self.ensure(MASTER)

    def exists(self, name: str) -> bool:
        """Whether there is such a database."""
        if _NAME.fullmatch(name) is None or name.lower() in _OWN:
            return False
        return bool(self._ask("SELECT 1 FROM pg_database WHERE datname = $1", name.lower()))

    def ensure(self, name: str) -> None:
        """Make a database, with its catalog, unless it is there. Two that do so at once both succeed."""
        if _NAME.fullmatch(name) is None or name.lower() in _OWN:
            raise NotSupported(f"database names such as {name!r} (1 to 63 letters, digits and _ . @ $ # -)")
        if not self._ask("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE):
            self._try(f"CREATE ROLE {ROLE} LOGIN", {"42710", "23505"})
        if not self.exists(name):
            self._try(f'CREATE DATABASE "{name.lower()}" OWNER {ROLE} TEMPLATE template0', {"42P04", "23505"})
        client = Client(self._address, user=ROLE, database=name.lower())
        try:
            known = client.query("SELECT obj_description(to_regclass('sys_database_principals'), 'pg_class')").rows
            if known[0][0] != str(VERSION).encode():
                lock = f"SELECT pg_advisory_xact_lock({VERSION})"
                mark = f"COMMENT ON TABLE sys_database_principals IS '{VERSION}'"
                client.script(f"BEGIN; {lock}; {CATALOG}{FUNCTIONS}{mark}; COMMIT")
        finally:
            client.close()

    def create(self, name: str) -> None:
        """Make a database; DatabaseExists when it is there."""
        if self.exists(name):
            raise DatabaseExists(name)
        self.ensure(name)

    def drop(self, name: str) -> None:
        """Remove a database; its sessions are ended."""
        if name.lower() == MASTER:
            raise NotSupported("DROP DATABASE master")
        if not self.exists(name):
            raise DatabaseMissing(name)
        self._try(f'DROP DATABASE "{name.lower()}" WITH (FORCE)', {"3D000"})

    def open(self, name: str) -> PostgresConnection:
        """A connection for one session."""
        if not self.exists(name):
            raise DatabaseMissing(name)
        try:
            return PostgresConnection(Client(self._address, user=ROLE, database=name.lower()), name)
        except (Lost, Refused) as error:
            raise Unavailable(name) from error

    def _ask(self, sql: str, *values: Value) -> Answer | None:
        client = self._superuser()
        try:
            answer = client.query(sql, [parameter(value) for value in values])
            return answer if answer.rows else None
        finally:
            client.close()

    def _try(self, sql: str, harmless: set[str]) -> None:
        client = self._superuser()
        try:
            client.script(sql)
        except Refused as error:
            if error.code not in harmless:
                raise
        finally:
            client.close()

    def _superuser(self) -> Client:
        try:
            return Client(self._address, user=_SUPERUSER, database="postgres")
        except (Lost, Refused) as error:
            raise Unavailable(MASTER) from error


class PostgresConnection:
    """One session. Within a transaction every statement has a savepoint: a failed one undoes only itself."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database
        self._entered = self.in_transaction = False

    def introduce(self, facts: Facts) -> None:
        """Say who the session is."""
        sql = (
            "SELECT set_config('standin.login', $1, false), set_config('standin.user', $2, false), "
            "set_config('standin.database', $3, false)"
        )
        self._client.query(sql, [parameter(text) for text in (facts.login, facts.user, facts.database)])

    def enter(self, *, writes: bool) -> None:
        """The next statement begins the transaction: in the same packet."""
        self._entered = True

    def run(self, statement: Translated, values: Mapping[str, Value], look: Look) -> Result:
        """Run a client's statement."""
        missing = [name for name in statement.parameters if name not in values]
        if missing:
            raise VariableMissing(missing[0])
        given = [parameter(values[name]) for name in statement.parameters]
        typings = [given, *retries(given)] if given else [given]
        answer = self._first_that_fits(statement.sql, typings, look)
        if not answer.described:
            count = answer.tag.rpartition(" ")[2]
            return Result(None, [], int(count) if count.isdecimal() else 0)
        kinds = [kind for _, kind in answer.columns]
        rows = [tuple(read(kind, cell) for kind, cell in zip(kinds, row, strict=True)) for row in answer.rows]
        return Result(tuple(name for name, _ in answer.columns), rows, len(rows))

    def ask(self, sql: str, *values: Value) -> list[Row]:
        """Run a statement of ours on the catalog."""
        numbers = iter(range(1, len(values) + 1))
        text = re.sub(r"\?", lambda _: f"${next(numbers)}", sql)
        try:
            answer = self._query(text, [parameter(value) for value in values], None)
        except Refused as error:
            if error.code == "23505":
                raise KeyTaken from error
            raise as_sql_error(error.fields, self._database) from error
        return [
            tuple(read(kind, cell) for (_, kind), cell in zip(answer.columns, row, strict=True)) for row in answer.rows
        ]

    def lock_timeout(self, milliseconds: int) -> None:
        """SET LOCK_TIMEOUT; 0, which SQL Server takes as "do not wait", is the least that PostgreSQL has."""
        self._client.script(f"SET lock_timeout = {0 if milliseconds < 0 else max(milliseconds, 1)}")

    def commit(self) -> None:
        """Keep the open transaction."""
        self._end("COMMIT")

    def rollback(self) -> None:
        """Undo the open transaction."""
        self._end("ROLLBACK")

    def close(self) -> None:
        """Leave; PostgreSQL undoes what is open."""
        self._client.close()

    def _first_that_fits(self, sql: str, typings: list[list[Parameter]], look: Look) -> Answer:
        """The answer with the first typing of the parameters that PostgreSQL finds consistent; else the first error."""
        problem: Refused | None = None
        for typing in typings:
            try:
                return self._query(sql, typing, look)
            except Refused as error:
                if error.code not in _TYPES:
                    problem = error
                    break
                problem = problem or error
        assert problem is not None, "there is at least one typing"
        refusal = as_sql_error(problem.fields, self._database)
        if isinstance(refusal, DeadlockVictim):
            self.rollback()
        raise refusal from problem

    def _query(self, sql: str, given: list[Parameter], look: Look | None) -> Answer:
        first: tuple[str, ...] = ()
        if self._entered:
            first = ("RELEASE s" if self.in_transaction else "BEGIN", "SAVEPOINT s")
            self.in_transaction = True
        try:
            return self._client.query(sql, given, first=first, look=look)
        except (Refused, Attention):
            if self.in_transaction:
                self._script("ROLLBACK TO s")
            raise
        except Lost as error:
            raise Unavailable(self._database) from error

    def _end(self, verb: str) -> None:
        self._entered = False
        if self.in_transaction:
            self.in_transaction = False
            self._script(verb)

    def _script(self, sql: str) -> None:
        try:
            self._client.script(sql)
        except Lost as error:
            raise Unavailable(self._database) from error
        except Refused as error:
            raise as_sql_error(error.fields, self._database) from error
