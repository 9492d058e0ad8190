"""Runs the statements of a batch for one session and writes their part of the reply.

Owns what a statement does; its grammar is `translation.py`'s and `security.py`'s, framing is `session.py`'s.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Final

from local.azure.sql.errors import (
    ActionDenied,
    DatabaseDenied,
    NotSupported,
    SqlError,
    UserMissing,
)
from local.azure.sql.faults import SessionFaults
from local.azure.sql.sessions.directory import Directory, Login
from local.azure.sql.sessions.rights import Rights
from local.azure.sql.sessions.transactions import Transactions
from local.azure.sql.statements.security import (
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
from local.azure.sql.statements.translation import Translated, split, split_condition, translations
from local.azure.sql.stores.postgres.backend import PostgresBackend
from local.azure.sql.stores.postgres.dialect import to_postgres
from local.azure.sql.stores.records import Facts, Look
from local.azure.sql.tds import tokens
from local.azure.sql.tds.values import Row, Value

VERSION: Final = (
    "Microsoft SQL Server 2022 (stand-in of the local Azure) - 16.0.1000.6 (X64)\n"
    "\tNot SQL Server: the protocol and the way to it are real, statements run on another store"
)
# Options of a session that change nothing here. Others are refused by name.
_OPTIONS: Final = re.compile(
    r"(ANSI_\w+|QUOTED_IDENTIFIER|TEXTSIZE|ARITHABORT|ROWCOUNT\s+0$|"
    r"CONCAT_NULL_YIELDS_NULL|DATEFORMAT|DATEFIRST|LANGUAGE|NUMERIC_ROUNDABORT|CURSOR_CLOSE_ON_COMMIT|FMTONLY)\b.*",
    re.IGNORECASE | re.DOTALL,
)

# @@OPTIONS of a session as drivers open it; the bits of what can be changed here.
# https://learn.microsoft.com/sql/database-engine/configure-windows/configure-the-user-options-server-configuration-option
_ANSI_OPTIONS: Final = 8 | 16 | 32 | 256 | 4096
_IMPLICIT_TRANSACTIONS, _NOCOUNT, _XACT_ABORT = 2, 512, 16384
_MOST_ROUNDS: Final = 10_000
_LEVELS: Final = "READ UNCOMMITTED|READ COMMITTED|REPEATABLE READ|SNAPSHOT|SERIALIZABLE"


class Execution:
    """Runs the statements of one session: in its database, as its user, in its transaction.

    `wait` sleeps (seconds), `look` checks for a cancellation; both raise `Attention` when the client cancelled.
    """

    def __init__(
        self,
        databases: PostgresBackend,
        directory: Directory,
        login: Login,
        database: str,
        faults: SessionFaults,
        wait: Callable[[float], None],
        look: Look,
    ) -> None:
        self._databases = databases
        self._directory = directory
        self._login = login
        self._faults = faults
        self._wait = wait
        self._look = look
        self._row_count = 0
        self.counts = True  # SET NOCOUNT OFF
        self.isolation_level = "read committed"
        self.use(database)

    def use(self, database: str) -> None:
        """Change to a database. Raises `DatabaseDenied` where the login has no user in it."""
        connection = self._databases.open(database)
        rights = Rights(connection)
        user = "dbo" if self._login.is_admin else rights.user_of(self._login.sid)
        if user is None:
            connection.close()
            raise DatabaseDenied(self._login.name, database)
        self.close()
        self._db = connection
        self._rights = rights
        self.user = user
        self.database = database
        self.transactions = Transactions(connection)
        connection.introduce(Facts(self._login.name, user, database))

    def close(self) -> None:
        """Undo what is open and leave the database."""
        if hasattr(self, "_db"):
            with contextlib.suppress(SqlError):  # the store is gone, and what was open with it
                self.transactions.abandon()
            self._db.close()

    def commit(self) -> None:
        """COMMIT, also by a transaction manager request."""
        outermost = self.transactions.count == 1
        if outermost:
            self._faults.at_commit(self.database)
        self.transactions.commit()
        if outermost:
            self._faults.after_commit(self.database)

    def batch(self, text: str, values: Mapping[str, Value], token: int, out: bytearray) -> None:
        """Run every statement; replies are appended to `out`, which keeps those before an error."""
        try:
            self._faults.at_batch(text, self.database, self._wait)
            for statement in split(text):
                self._statement(statement, values, token, out)
        except SqlError as problem:
            if self.transactions.failed(problem):
                out += tokens.transaction_ended(kept=False)
            raise
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
        for statement in translations(text, self._variables(), to_postgres):
            self._run(statement, values, token, out)

    def _variables(self) -> dict[str, int | str]:
        return {
            "VERSION": VERSION,
            "TRANCOUNT": self.transactions.count,
            "ROWCOUNT": self._row_count,
            "OPTIONS": _ANSI_OPTIONS
            | (_IMPLICIT_TRANSACTIONS if self.transactions.implicit else 0)
            | (_XACT_ABORT if self.transactions.abort_on_error else 0)
            | (0 if self.counts else _NOCOUNT),
            "XACT_STATE()": int(self.transactions.count > 0),
            "CURRENT_TRANSACTION_ID()": self.transactions.number,
            "SPID": 51,
            "SERVERNAME": tokens.SERVER_NAME,
            "LANGUAGE": "us_english",
            "MAX_PRECISION": 38,
        }

    def _run(self, statement: Translated, values: Mapping[str, Value], token: int, out: bytearray) -> None:
        self._rights.require(self.user, statement.needs, self.database)
        self.transactions.before(writes=statement.writes)
        result = self._db.run(statement, values, self._look)
        self._row_count = result.count
        if result.columns is not None:
            names = statement.columns or result.columns
            out += tokens.result(names, result.rows) + tokens.done(token, tokens.MORE, result.count, statement.verb)
        else:
            counted = result.count if statement.verb in tokens.COMMANDS and self.counts else None
            out += tokens.done(token, tokens.MORE, counted, statement.verb)

    def _condition(self, text: str, values: Mapping[str, Value]) -> bool:
        """Whether an IF's condition holds."""
        text = f"SELECT CASE WHEN {text} THEN 1 ELSE 0 END"
        [statement] = translations(text, self._variables(), to_postgres)
        self._rights.require(self.user, statement.needs, self.database)
        self.transactions.before(writes=False)
        return bool(self._db.run(statement, values, self._look).rows[0][0])

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


# Statements that sqlglot need not see: what they do, and what is left to run after them.
_Run = Callable[[Execution, re.Match[str], Mapping[str, Value], bytearray], str | None]


def _if(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> str | None:
    condition, statement = split_condition(match[1])
    return statement if run._condition(condition, values) else None


def _while(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> None:
    condition, statement = split_condition(match[1])
    for _ in range(_MOST_ROUNDS):
        if not run._condition(condition, values):
            return
        run._statement(statement, values, tokens.DONE, out)
    raise NotSupported(f"a WHILE of more than {_MOST_ROUNDS} rounds")


def _set(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> None:
    option = match[1]
    if implicit := re.fullmatch(r"IMPLICIT_TRANSACTIONS\s+(ON|OFF)", option, re.IGNORECASE):
        run.transactions.implicit = implicit[1].upper() == "ON"
    elif abort := re.fullmatch(r"XACT_ABORT\s+(ON|OFF)", option, re.IGNORECASE):
        run.transactions.abort_on_error = abort[1].upper() == "ON"
    elif timeout := re.fullmatch(r"LOCK_TIMEOUT\s+(-?\d+)", option, re.IGNORECASE):
        run._db.lock_timeout(int(timeout[1]))
    elif counts := re.fullmatch(r"NOCOUNT\s+(ON|OFF)", option, re.IGNORECASE):
        run.counts = counts[1].upper() == "OFF"
    elif level := re.fullmatch(rf"TRANSACTION\s+ISOLATION\s+LEVEL\s+({_LEVELS})", option, re.IGNORECASE):
        run.isolation_level = " ".join(level[1].lower().split())
    elif not _OPTIONS.fullmatch(option):
        raise NotSupported(f"SET {option[:60]}")


def _use(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> None:
    before = run.database
    run.use(name_of(match[1]))
    out += tokens.database_changed(run.database, before)


def _begin(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> None:
    if run.transactions.begin():
        out += tokens.transaction_begun()


def _commit(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> None:
    run.commit()
    if not run.transactions.count:
        out += tokens.transaction_ended(kept=True)


def _rollback(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> None:
    run.transactions.rollback()
    out += tokens.transaction_ended(kept=False)


def _user_options(run: Execution, match: re.Match[str], values: Mapping[str, Value], out: bytearray) -> None:
    rows: list[Row] = [("language", "us_english"), ("isolation level", run.isolation_level)]
    out += tokens.result(("Set Option", "Value"), rows) + tokens.done(tokens.DONE, tokens.MORE, len(rows), "SELECT")


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
    (r"WHILE\s+(.+)", _while),
    (r"SET\s+(?!@)(.+)", _set),
    (r"USE\s+(\S+)", _use),
    (r"BEGIN\s+TRAN(?:SACTION)?(?:\s+\w+)?", _begin),
    (r"COMMIT(?:\s+(?:TRAN(?:SACTION)?|WORK))?(?:\s+\w+)?", _commit),
    (r"ROLLBACK(?:\s+(?:TRAN(?:SACTION)?|WORK))?(?:\s+\w+)?", _rollback),
    (r"DBCC\s+USEROPTIONS", _user_options),
    (r"WAITFOR\s+DELAY\s+N?'(\d+):(\d+):([\d.]+)'(.*)", _waitfor),
    (r"THROW\s+(\d+)\s*,\s*N?'((?:[^']|'')*)'\s*,\s*\d+", _raise),
    (r"RAISERROR\s*\(\s*(\d+|N?'(?:[^']|'')*')\s*,.*\)", _raise_error),
)
