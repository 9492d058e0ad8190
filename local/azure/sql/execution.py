"""Runs the statements of a batch for one session and writes their part of the reply.

Owns what a statement does; its grammar is `translation.py`'s and `security.py`'s, framing is `session.py`'s.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Final

from local.azure.sql import functions, tokens
from local.azure.sql.databases import Databases
from local.azure.sql.directory import Directory, Login
from local.azure.sql.errors import (
    ActionDenied,
    ConstraintViolated,
    DatabaseDenied,
    InvalidColumn,
    InvalidObject,
    LockTimeout,
    NotSupported,
    NullRefused,
    ObjectExists,
    SqlError,
    Syntax,
    UserMissing,
    VariableMissing,
)
from local.azure.sql.faults import Faults
from local.azure.sql.rights import Rights
from local.azure.sql.security import (
    AlterRole,
    CreateDatabase,
    CreateUser,
    DropDatabase,
    DropUser,
    Grant,
    Statement,
    name_of,
    read_security,
)
from local.azure.sql.transactions import Transactions
from local.azure.sql.translation import Translated, parse, split, split_condition, translate
from local.azure.sql.values import Value

_WRITES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "DROP", "ALTER", "REPLACE"})
# Options of a session that change nothing here. Others are refused by name.
_OPTIONS: Final = re.compile(
    r"(NOCOUNT|XACT_ABORT|ANSI_\w+|QUOTED_IDENTIFIER|TEXTSIZE|LOCK_TIMEOUT|TRANSACTION\s+ISOLATION\s+LEVEL|ARITHABORT|"
    r"CONCAT_NULL_YIELDS_NULL|DATEFORMAT|DATEFIRST|LANGUAGE|NUMERIC_ROUNDABORT|CURSOR_CLOSE_ON_COMMIT|FMTONLY)\b.*",
    re.IGNORECASE | re.DOTALL,
)


class Execution:
    """One session's database, user, transaction and last row count. `wait(seconds)` raises Attention when cancelled."""

    def __init__(
        self,
        databases: Databases,
        directory: Directory,
        login: Login,
        database: str,
        faults: Faults,
        wait: Callable[[float], None],
    ) -> None:
        self._databases, self._directory, self._login = databases, directory, login
        self._faults, self._wait = faults, wait
        self._row_count = 0
        self.use(database)

    def use(self, database: str) -> None:
        """Enter a database; DatabaseDenied without a user in it."""
        connection = self._databases.open(database)
        rights = Rights(connection)
        user = "dbo" if self._login.is_admin else rights.user_of(self._login.sid)
        if user is None:
            connection.close()
            raise DatabaseDenied(self._login.name, database)
        self.close()
        self._db, self._rights, self.user, self.database = connection, rights, user, database
        self.transactions = Transactions(connection)
        facts = {
            "ORIGINAL_LOGIN": lambda: self._login.name,
            "USER_NAME": lambda: self.user,
            "DB_NAME": lambda: self.database,
            "SCHEMA_NAME": lambda: "dbo",
        }
        functions.register(connection, facts)

    def close(self) -> None:
        """Undo what is open and leave the database."""
        if hasattr(self, "_db"):
            self.transactions.abandon()
            self._db.close()

    def commit(self) -> None:
        """COMMIT, also by a transaction manager request."""
        self._faults.at_commit()
        self.transactions.commit()

    def batch(self, text: str, values: Mapping[str, Value], token: int, out: bytearray) -> None:
        """Run every statement; replies are appended to `out`, which keeps those before an error."""
        self._faults.at_batch(text)
        for statement in split(text):
            self._statement(statement, values, token, out)
        if not out:
            out += tokens.done(token)

    def _statement(self, text: str, values: Mapping[str, Value], token: int, out: bytearray) -> None:
        for pattern, run in _CONTROL:
            if match := re.fullmatch(pattern, text, re.IGNORECASE | re.DOTALL):
                rest = run(self, match, values, out)
                if rest:
                    self._statement(rest, values, token, out)
                else:
                    out += tokens.done(token, tokens.MORE)
                return
        if (security := read_security(text)) is not None:
            self._secure(security)
            out += tokens.done(token, tokens.MORE)
            return
        for tree in parse(text):
            self._run(translate(tree, self._variables()), values, token, out)

    def _variables(self) -> dict[str, int | str]:
        return {
            "VERSION": functions.VERSION,
            "TRANCOUNT": self.transactions.count,
            "ROWCOUNT": self._row_count,
            "SPID": 51,
            "SERVERNAME": tokens.SERVER_NAME,
            "LANGUAGE": "us_english",
            "MAX_PRECISION": 38,
        }

    def _run(self, statement: Translated, values: Mapping[str, Value], token: int, out: bytearray) -> None:
        for right, name in statement.needs:
            self._rights.require(self.user, right, name, self.database)
        self.transactions.before(writes=statement.verb in _WRITES or "RETURNING" in statement.sql)
        try:
            cursor = self._db.execute(statement.sql, values)
            rows = cursor.fetchall() if cursor.description else []
        except sqlite3.Error as error:
            raise _as_sql_error(error) from error
        if cursor.description:
            self._row_count = len(rows)
            names = statement.columns or [column[0] for column in cursor.description]
            out += tokens.result(names, rows) + tokens.done(token, tokens.MORE, len(rows), statement.verb)
        else:
            self._row_count = max(cursor.rowcount, 0)
            counted = self._row_count if statement.verb in tokens.COMMANDS else None
            out += tokens.done(token, tokens.MORE, counted, statement.verb)

    def _condition(self, text: str, values: Mapping[str, Value]) -> bool:
        """Whether an IF's condition holds."""
        [tree] = parse(f"SELECT CASE WHEN {text} THEN 1 ELSE 0 END")
        statement = translate(tree, self._variables())
        for right, name in statement.needs:
            self._rights.require(self.user, right, name, self.database)
        try:
            return bool(self._db.execute(statement.sql, values).fetchone()[0])
        except sqlite3.Error as error:
            raise _as_sql_error(error) from error

    def _secure(self, statement: Statement) -> None:
        """Only the administrator changes users, roles and databases."""
        if not self._login.is_admin:
            raise ActionDenied
        match statement:
            case CreateDatabase(name):
                self._databases.create(name)
            case DropDatabase(name, if_exists):
                if not if_exists or self._databases.exists(name):
                    self._databases.drop(name)
            case CreateUser(name, sid, object_id):
                self._rights.create_user(name, sid or self._directory.sid_of(name, object_id))
            case DropUser(name, if_exists):
                try:
                    self._rights.drop_user(name)
                except UserMissing:
                    if not if_exists:
                        raise
            case AlterRole(role, member, add):
                self._rights.set_member(role, member, present=add)
            case Grant(permissions, grantee, give):
                for permission in permissions:
                    self._rights.set_grant(permission, grantee, present=give)


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


# Statements that sqlglot need not see: what they do, and what is left to run after them.
_Run = Callable[[Execution, re.Match[str], Mapping[str, Value], bytearray], str | None]


def _if(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> str | None:
    condition, statement = split_condition(match[1])
    return statement if run._condition(condition, values) else None


def _set(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> None:
    option = match[1]
    if implicit := re.fullmatch(r"IMPLICIT_TRANSACTIONS\s+(ON|OFF)", option, re.IGNORECASE):
        run.transactions.implicit = implicit[1].upper() == "ON"
    elif not _OPTIONS.fullmatch(option):
        raise NotSupported(f"SET {option[:60]}")


def _use(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> None:
    before = run.database
    run.use(name_of(match[1]))
    out += tokens.database_changed(run.database, before)


def _waitfor(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> str:
    run._wait(int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]))
    return match[4].strip()


def _raise(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> None:
    raise SqlError(match[2].replace("''", "'"), number=int(match[1]))


def _raise_error(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> None:
    """RAISERROR with a number, or with a text (then the number is 50000)."""
    what = match[1].strip()
    if what.isdigit():
        raise SqlError(f"Error {what} was raised.", number=int(what))
    raise SqlError(what.lstrip("Nn")[1:-1].replace("''", "'"))


_CONTROL: Final[tuple[tuple[str, _Run], ...]] = (
    (r"IF\s+(.+)", _if),
    (r"SET\s+(?!@)(.+)", _set),
    (r"USE\s+(\S+)", _use),
    (r"BEGIN\s+TRAN(?:SACTION)?(?:\s+\w+)?", lambda run, *_: run.transactions.begin()),
    (r"COMMIT(?:\s+(?:TRAN(?:SACTION)?|WORK))?(?:\s+\w+)?", lambda run, *_: run.commit()),
    (r"ROLLBACK(?:\s+(?:TRAN(?:SACTION)?|WORK))?(?:\s+\w+)?", lambda run, *_: run.transactions.rollback()),
    (r"WAITFOR\s+DELAY\s+N?'(\d+):(\d+):([\d.]+)'(.*)", _waitfor),
    (r"THROW\s+(\d+)\s*,\s*N?'((?:[^']|'')*)'\s*,\s*\d+", _raise),
    (r"RAISERROR\s*\(\s*(\d+|N?'(?:[^']|'')*')\s*,.*\)", _raise_error),
)
