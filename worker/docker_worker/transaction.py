"""What a handler may do to the database: statements of the running transaction. Committing is not its business.

May block: each statement up to `SqlSettings.statement_seconds`. Only the work thread uses it (see `signals.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from .errors import Transient, WorkerError

# S608: constants only; every value is a parameter.
SAVE: Final = "INSERT INTO dbo.work_results (item_id, step, result) VALUES (?, ?, ?)"

MOST_CURSORS: Final = 16

Translate = Callable[[BaseException], WorkerError]


class Cursors:
    """A cursor for each of the statements last used on a connection: the driver prepares a statement once a cursor."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._kept = make, dict[str, Any]()

    def of(self, statement: str) -> Any:
        found = self._kept.pop(statement, None) or self._make()
        self._kept[statement] = found  # the last used is the last
        if len(self._kept) > MOST_CURSORS:
            self._kept.pop(next(iter(self._kept))).close()
        return found


class Transaction:
    """The open transaction. The driver's errors leave it as ours, so that a handler's own are told apart.

    `lost`: the transient error that undid it on the server. Nothing runs in it any more, and it cannot be committed: a
    handler that passes over the error must not have half of its step kept.
    """

    def __init__(self, cursors: Cursors, translate: Translate) -> None:
        self._cursors, self._translate = cursors, translate
        self._place: tuple[int, int] | None = None
        self.lost: Transient | None = None

    def at(self, item_id: int, step: int) -> Transaction:
        """The same transaction, which knows whose results `save` keeps."""
        self._place = (item_id, step)
        return self

    def execute(self, statement: str, *parameters: Any) -> int:
        """Run a statement with `?` for each parameter; the number of rows it changed."""
        cursor = self._run(statement, parameters)
        try:
            changed = cursor.rowcount
            _drain(cursor)
            return changed
        except Exception as error:
            raise self._failed(error) from error

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a statement and read all rows of its result."""
        cursor = self._run(statement, parameters)
        try:
            # fetchall() binds buffers for a thousand of the widest rows: 8 ms even for one (mssql-python 1.16)
            rows = [tuple(row) for row in iter(cursor.fetchone, None)]
            _drain(cursor)
            return rows
        except Exception as error:
            raise self._failed(error) from error

    def save(self, result: Any) -> None:
        """Keep the step's result, as JSON, in dbo.work_results. Once a step."""
        assert self._place is not None, "only a handler's transaction has a step"
        self.execute(SAVE, *self._place, json.dumps(result, ensure_ascii=False))

    def check(self) -> None:
        """Raise what undid the transaction, if anything did."""
        if self.lost is not None:
            raise self.lost

    def _run(self, statement: str, parameters: tuple[Any, ...]) -> Any:
        self.check()
        try:
            cursor = self._cursors.of(statement)
            cursor.execute(statement, parameters)
            return cursor
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> WorkerError:
        ours = self._translate(error)
        if isinstance(ours, Transient):
            self.lost = ours
        return ours


def _drain(cursor: Any) -> None:
    """Read what is left: a connection with unread results takes no other cursor's statement."""
    while cursor.nextset():
        pass
