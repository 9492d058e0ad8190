"""Handlers of the tests. Their table has no key, so that anything done twice would be seen."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
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


def commits_and_dies(item: Any, step: int, tx: Any) -> None:
    """Ends the step's transaction with what it wrote, and its worker before that can be noticed."""
    tx.execute(INSERT, item.key, step)
    tx.execute("WHILE @@TRANCOUNT > 0 COMMIT TRANSACTION")
    os._exit(9)


def wrong_answer(item: Any, step: int, tx: Any) -> int:
    return 42


# What a handler can do wrong, by name. Each is called after the step's row was written, and the step ends after it.


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def _raise(error: BaseException) -> None:
    raise error


def _fork(how: str) -> None:
    """A child that comes out of the handler in this way; the parent goes on when it has ended."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    elif how == "raises":
        raise ValueError("the child's own")


def _child_writes(tx: Any) -> None:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    else:
        tx.execute(INSERT, "written by a child", 0)


def _thread_that_stays(tx: Any) -> None:
    def later() -> None:
        time.sleep(0.5)
        with suppress(RuntimeError):  # the step is over
            tx.execute(INSERT, "written by a thread that stayed", 0)

    threading.Thread(target=later).start()


MISBEHAVIOUR: dict[str, Callable[[Any], object]] = {
    "commit": lambda tx: tx.execute("COMMIT"),
    "commit and begin": lambda tx: [tx.execute(one) for one in ("COMMIT", "BEGIN TRANSACTION")],
    "commit twice": lambda tx: [tx.execute("COMMIT"), tx.execute("COMMIT")],
    "commit all": lambda tx: tx.execute("WHILE @@TRANCOUNT > 0 COMMIT TRANSACTION"),
    "rollback": lambda tx: tx.execute("ROLLBACK"),
    "begin": lambda tx: tx.execute("BEGIN TRANSACTION"),
    "own level": lambda tx: [tx.execute(one) for one in ("BEGIN TRANSACTION", "COMMIT")],
    "use": lambda tx: tx.execute("USE other"),
    "isolation": lambda tx: tx.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
    "nocount": lambda tx: tx.execute("SET NOCOUNT ON"),
    "close": lambda tx: tx._link.run(lambda connection: connection.close()),
    "text": lambda _: _raise(ValueError("half \ud800, NUL \0, ESC \x1b[2J, " + "\U0001f600" * 3000)),
    "unprintable": lambda _: _raise(Unprintable()),
    "cancelled": lambda _: _raise(asyncio.CancelledError("cancelled")),
    "interrupt": lambda _: _raise(KeyboardInterrupt()),
    "generator": lambda _: _raise(GeneratorExit()),
    "exit": lambda _: sys.exit("done here"),
    "nan": lambda tx: tx.save(float("nan")),
    "surrogate": lambda tx: tx.execute(INSERT, "\ud800", 0),
    "words": lambda tx: tx.execute("THROW 50013, 'deadlock: login failed for the token, certificate expired', 1"),
    "column": lambda tx: tx.query("SELECT acquired_at FROM dbo.work_items"),
    "denied": lambda tx: tx.execute("CREATE USER nobody WITHOUT LOGIN"),
    "fork raises": lambda _: _fork("raises"),
    "fork returns": lambda _: _fork("returns"),
    "fork writes": _child_writes,
    "stdout": lambda _: [os.close(1), os.close(0), sys.stdout.close()],
    "folder": lambda _: os.chdir("/"),
    "thread": _thread_that_stays,
    "children": lambda _: subprocess.run(["timeout", "0.1", "sleep", "60"], check=False, timeout=20),
}
GOOD = {
    "own level",
    "commit and begin",
    "nocount",
    "fork raises",
    "fork returns",
    "fork writes",
    "stdout",
    "folder",
    "thread",
    "children",
}
"""What is no failure of the item: it harms nobody, or only the child that did it."""


def misbehave(item: Any, step: int, tx: Any) -> None:
    """Writes the step's row, and then does what the item's data say."""
    tx.execute(INSERT, item.key, step)
    if how := item.data.get("how"):
        MISBEHAVIOUR[how](tx)
