"""What may be done to the database inside a transaction; and what a handler may do in its step.

`Statements` are the worker's own. A handler gets a `Transaction`: the same transaction some levels deeper, so that a
COMMIT of the handler's keeps nothing, and with a look at its end whether it still is what it was. May block: each
statement up to the bound of its connection (`driver.py`).

A handler can commit all levels all the same, and its worker can die before that look. So a mark is written into the
transaction before the first statement that may end it: a row that says which item's step is open. The worker deletes it
at the end of the step, in the same transaction. A mark that is found by anybody else was committed by the handler, with
whatever else the step had written: that step is never done again. After such a statement the transaction is looked at
before every other one, so that nothing is written beside a mark. One batch that rolls back, writes and commits is not
seen by this: its mark is rolled back with the rest.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ..errors import StatementFailed, TransactionTaken, Transient, Unreachable, WorkerError
from .driver import Connection, Link, NoAnswer, OtherProcess
from .sql_errors import DUPLICATE_KEY, Moment, was_refused_for

# S608: constants only; every value is a parameter.
SAVE: Final = "INSERT INTO dbo.work_results (item_id, step, result) VALUES (?, ?, ?)"
MOST_CURSORS: Final = 16

_FACTS: Final = "SELECT @@TRANCOUNT, XACT_STATE(), CURRENT_TRANSACTION_ID(), DB_NAME(), @@OPTIONS"
LEVELS: Final = 8
"""How many levels a handler's transaction is nested. SQL Server keeps what is written at the outermost COMMIT only, so
as many COMMITs of a handler keep nothing; only one in a loop until @@TRANCOUNT is 0 does."""

OPEN: Final = "BEGIN TRANSACTION; " * LEVELS + _FACTS
# What a handler may have set is set back, so that the rows of the checkpoint are counted.
SETTLE: Final = f"{_FACTS}; WHILE @@TRANCOUNT > 1 COMMIT TRANSACTION; SET NOCOUNT OFF; SET ROWCOUNT 0"
USER_OPTIONS: Final = "DBCC USEROPTIONS"
_MARK: Final = "INSERT INTO dbo.work_open_steps (item_id, attempt) VALUES (?, ?)"
_UNMARK: Final = "DELETE FROM dbo.work_open_steps WHERE item_id = ? AND attempt = ?"
# Statements that end no transaction. Any other may be a COMMIT, or call a procedure that has one.
_HARMLESS: Final = re.compile(
    r"\s*(?:select|insert|update|delete|merge|with)\b(?!.*\b(?:commit|rollback|exec|execute)\b)",
    re.IGNORECASE | re.DOTALL,
)
KEPT: Final = "the handler ended its step's transaction (COMMIT) in an earlier try, and what that had written is kept"
# In a procedure and in a statement with parameters SQL Server sets the level back at the end. So a level that lasts was
# set by a batch without parameters, and this word was in it; only then it is worth asking for.
_ISOLATION: Final = re.compile("isolation", re.IGNORECASE)
_DEFAULT_ISOLATION: Final = ("read committed", "read committed snapshot")

Translate = Callable[[BaseException, Moment], WorkerError]


class Cursors:
    """A cursor for each of the statements last used on a connection: the driver prepares a statement once a cursor.
    Only the driver's thread uses it."""

    def __init__(self) -> None:
        self._kept = dict[str, Any]()

    def of(self, connection: Connection, statement: str) -> Any:
        found = self._kept.pop(statement, None) or connection.cursor()
        self._kept[statement] = found  # the last used is the last
        if len(self._kept) > MOST_CURSORS:
            self._kept.pop(next(iter(self._kept))).close()
        return found

    def forget(self, statement: str) -> None:
        """After an error the driver has taken the statement's handle away."""
        self._kept.pop(statement, None)


@dataclass
class State:
    """What is true of an open transaction, for everybody who has it.

    `lost`: the transient error that undid it on the server. Nothing runs in it any more, and it cannot be committed: a
    handler that passes over the error must not have half of its step kept. `over`: it ended. `renew`: the connection is
    not as it was and must not be used for another one.
    """

    lost: Transient | None = None
    over: bool = False
    renew: bool = False


class Statements:
    """The open transaction of a session. The driver's errors leave it as ours, so a handler's own are told apart."""

    moment = Moment.OWN

    def __init__(self, link: Link, cursors: Cursors, translate: Translate, state: State | None = None) -> None:
        self._link = link
        self._cursors = cursors
        self._translate = translate
        self.state = state or State()

    def execute(self, statement: str, *parameters: Any) -> int:
        """Run a statement with `?` for each parameter; the number of rows it changed."""

        def changed(cursor: Any) -> int:
            count = cursor.rowcount
            _drain(cursor)
            return count

        return self._run(statement, parameters, changed)

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a statement and read all rows of its result."""

        def rows(cursor: Any) -> list[tuple[Any, ...]]:
            # fetchall() binds buffers for a thousand of the widest rows: 8 ms even for one (mssql-python 1.16)
            found = [tuple(row) for row in iter(cursor.fetchone, None)]
            _drain(cursor)
            return found

        return self._run(statement, parameters, rows)

    def for_step(self, item_id: int, step: int, attempt: int) -> Transaction:
        """The same transaction for a handler, which knows whose results `save` keeps."""
        return Transaction(
            self._link, self._cursors, self._translate, self.state, item_id=item_id, step=step, attempt=attempt
        )

    def for_handler(self) -> Statements:
        """The same transaction for statements that a team wrote: their errors are the team's."""
        theirs = Statements(self._link, self._cursors, self._translate, self.state)
        theirs.moment = Moment.HANDLER
        return theirs

    def check(self) -> None:
        """Raise what undid the transaction, if anything did."""
        if self.state.lost is not None:
            raise self.state.lost

    def _run(self, statement: str, parameters: tuple[Any, ...], read: Callable[[Any], Any]) -> Any:
        self.check()
        if self.state.over:
            raise RuntimeError("the step that this transaction belonged to is over")

        def work(connection: Connection) -> Any:
            try:
                cursor = self._cursors.of(connection, statement)
                cursor.execute(statement, parameters)
                return read(cursor)
            except BaseException:
                self._cursors.forget(statement)
                raise

        try:
            return self._link.run(work)
        except OtherProcess:
            raise
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> WorkerError:
        if isinstance(error, NoAnswer):
            ours: WorkerError = Unreachable(
                "a statement had no end", cause=str(error), next_step="try again; if it stays, look at the server"
            )
        else:
            ours = self._translate(error, self.moment)
        if isinstance(ours, Transient):
            self.state.lost = ours
        return ours


class Transaction(Statements):
    """The transaction of a handler's step. It is committed with the step's checkpoint, by the worker alone."""

    moment = Moment.HANDLER

    def __init__(
        self, link: Link, cursors: Cursors, translate: Translate, state: State, *, item_id: int, step: int, attempt: int
    ) -> None:
        super().__init__(link, cursors, translate, state)
        self._place = (item_id, step)
        self._claim = (item_id, attempt)
        self._marked = False
        self._began: tuple[Any, ...] | None = None
        self._isolation = self._ended = False
        self.waited = 0.0  # seconds in which the handler waited for the database

    def save(self, result: Any) -> None:
        """Keep the step's result, as JSON, in dbo.work_results. Once a step."""
        self.execute(SAVE, *self._place, json.dumps(result, ensure_ascii=False, allow_nan=False))

    def settle(self) -> None:
        """After the handler: back to the level of the worker. Raises TransactionTaken when it is not what it was."""
        self._ended = True
        if self._link.closed:
            self.check()
            raise TransactionTaken("the handler closed the connection", final=False)
        if self._began is None or self.state.lost is not None:
            return
        count, state, number, database, options = super()._run(SETTLE, (), _first_row)
        _, _, number_before, database_before, options_before = self._began
        if database != database_before:
            self.state.renew = True
            raise TransactionTaken(f"the handler left database {database_before} for {database} (USE)", final=False)
        if count == 0 or number != number_before:
            raise _ended()
        if count != 1 + LEVELS:
            ended = "committed" if count < 1 + LEVELS else "left open a transaction of its own in"
            raise TransactionTaken(f"the handler {ended} its step's transaction", final=False)
        if state == -1:
            raise TransactionTaken("an error that the handler passed over ended its step's transaction", final=False)
        if options != options_before:
            self.state.renew = True
        if self._isolation:
            level = dict(super()._run(USER_OPTIONS, (), _all_rows)).get("isolation level", _DEFAULT_ISOLATION[0])
            if level not in _DEFAULT_ISOLATION:
                raise TransactionTaken(
                    f"the handler set the connection's isolation level to {level} (SET TRANSACTION)", final=False
                )
        if self._marked:
            super()._run(_UNMARK, self._claim, _drain)

    def _run(self, statement: str, parameters: tuple[Any, ...], read: Callable[[Any], Any]) -> Any:
        if self._ended:
            raise RuntimeError("the step that this transaction belonged to is over")
        began = time.monotonic()
        try:
            if self._began is None and self.state.lost is None:
                self._began = super()._run(OPEN, (), _first_row)
            if not parameters and _ISOLATION.search(statement):
                self._isolation = True
            if self._marked:
                self._check_that_it_is_open()
            elif not _HARMLESS.match(statement):
                self._mark()
            return super()._run(statement, parameters, read)
        finally:
            self.waited += time.monotonic() - began

    def _mark(self) -> None:
        """Raises TransactionTaken when an earlier try of this claim has its mark there."""
        try:
            super()._run(_MARK, self._claim, _drain)
        except StatementFailed as error:
            if was_refused_for(error, DUPLICATE_KEY):
                raise TransactionTaken(KEPT, final=True) from error
            raise
        self._marked = True

    def _check_that_it_is_open(self) -> None:
        """Before another statement: raises TransactionTaken when one before it ended the transaction."""
        count, _, number, *_ = super()._run(_FACTS, (), _first_row)
        assert self._began is not None
        if count == 0 or number != self._began[2]:
            raise _ended()


def _ended() -> TransactionTaken:
    return TransactionTaken(
        "the handler ended its step's transaction (COMMIT or ROLLBACK), or an error that it passed over did", final=True
    )


def _first_row(cursor: Any) -> tuple[Any, ...]:
    return _all_rows(cursor)[0]


def _all_rows(cursor: Any) -> list[tuple[Any, ...]]:
    """The rows of the first result that has any."""
    while cursor.description is None and cursor.nextset():
        pass
    rows = [tuple(row) for row in iter(cursor.fetchone, None)]
    _drain(cursor)
    return rows


def _drain(cursor: Any) -> None:
    """Read what is left: a connection with unread results takes no other cursor's statement."""
    while cursor.nextset():
        pass
