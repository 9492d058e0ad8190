"""What a handler may do to the database: statements of the running transaction. Committing is not its business.

May block: each statement up to `SqlSettings.statement_seconds`. Only the work thread uses it (see `signals.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from .errors import WorkerError

# S608: constants only; every value is a parameter.
SAVE: Final = "INSERT INTO dbo.work_results (item_id, step, result) VALUES (?, ?, ?)"

Translate = Callable[[BaseException], WorkerError]


class Transaction:
    """The open transaction. The driver's errors leave it as ours, so that a handler's own are told apart."""

    def __init__(self, cursor: Any, translate: Translate) -> None:
        self._cursor, self._translate = cursor, translate
        self._place: tuple[int, int] | None = None

    def at(self, item_id: int, step: int) -> Transaction:
        """The same transaction, which knows whose results `save` keeps."""
        self._place = (item_id, step)
        return self

    def execute(self, statement: str, *parameters: Any) -> int:
        """Run a statement with `?` for each parameter; the number of rows it changed."""
        try:
            self._cursor.execute(statement, parameters)
            return self._cursor.rowcount
        except Exception as error:
            raise self._translate(error) from error

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a statement and read all rows of its result."""
        try:
            self._cursor.execute(statement, parameters)
            return [tuple(row) for row in self._cursor.fetchall()]
        except Exception as error:
            raise self._translate(error) from error

    def save(self, result: Any) -> None:
        """Keep the step's result, as JSON, in dbo.work_results. Once a step."""
        assert self._place is not None, "only a handler's transaction has a step"
        self.execute(SAVE, *self._place, json.dumps(result, ensure_ascii=False))
