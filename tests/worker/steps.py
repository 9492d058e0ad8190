"""Handlers of the tests. Their table has no key, so that anything done twice would be seen."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

MIGRATIONS = (("CREATE TABLE dbo.steps_done (item NVARCHAR(100) NOT NULL, step INT NOT NULL)",),)
INSERT = "INSERT INTO dbo.steps_done (item, step) VALUES (?, ?)"


def handle(item: Any, step: int, tx: Any) -> str:
    """`steps` steps of `seconds` each; `writes_first`: hold the row while working."""
    data = item.data
    if mark := data.get("mark"):
        Path(mark).touch()  # the step has begun
    if data.get("writes_first"):
        tx.execute(INSERT, item.key, step)
        time.sleep(data.get("seconds", 0))
    else:
        time.sleep(data.get("seconds", 0))
        tx.execute(INSERT, item.key, step)
    if step == data.get("fails_at"):
        raise ValueError(f"{item.key} is poison")
    if step == data.get("dies_at"):
        os._exit(9)
    return "more" if step + 1 < data.get("steps", 1) else "done"


def bad_statement(item: Any, step: int, tx: Any) -> None:
    tx.execute("INSERT INTO dbo.no_such_table (n) VALUES (?)", 1)


def slow_query(item: Any, step: int, tx: Any) -> None:
    tx.execute(INSERT, item.key, step)
    tx.query(f"WAITFOR DELAY '00:00:{item.data['seconds']:02d}'; SELECT 1")


def passes_over_errors(item: Any, step: int, tx: Any) -> None:
    """Writes twice, whatever the first write came to; with "fails" it makes an error of its own out of it."""
    try:
        tx.execute(INSERT, item.key, 0)
    except Exception:
        if item.data.get("fails"):
            raise ValueError("a handler's own error") from None
    tx.execute(INSERT, item.key, 1)


def wrong_answer(item: Any, step: int, tx: Any) -> int:
    return 42
