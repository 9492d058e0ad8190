"""One connection to the database, made again when it breaks, and transactions that are tried again.

Only transient errors are retried, with jitter, until `patience` seconds brought no success; then the error itself ends
the worker with 75. May block: connecting and statements as in `database.py`, between tries up to LONGEST_PAUSE.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from .database import Connect, Connection, translate
from .errors import Transient, WorkerError
from .lines import Say
from .settings import SqlSettings
from .signals import Stop
from .transaction import Cursors, Transaction

T = TypeVar("T")
PATIENCE_SECONDS: Final = 60.0
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0


def pause_before(attempt: int) -> float:
    """Seconds before try number `attempt` (from 1): full jitter, so that workers do not come back all at once."""
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))  # noqa: S311 - no secret


class Session:
    """`transact(work)` runs `work` in a transaction and commits. Only the work thread may use it."""

    def __init__(
        self, sql: SqlSettings, connect: Connect, *, stop: Stop, say: Say, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._sql, self._connect, self._stop, self._say, self._patience = sql, connect, stop, say, patience
        self._connection: Connection | None = None
        self._cursors: Cursors | None = None

    def transact(self, work: Callable[[Transaction, bool], T], *, persist: bool = False, say: Say | None = None) -> T:
        """The result of `work(tx, again)`, committed.

        `again` says that an earlier try ended in a transient error. When that was the commit's, nobody knows whether it
        took effect: `work` must look before it does anything twice. After a stop was asked a failed try is not
        repeated, unless `persist`. `say`: the one that knows the item, where there is one.
        """
        began, attempt = time.monotonic(), 0
        while True:
            try:
                return self._once(work, again=attempt > 0)
            except Transient as error:
                self._undo(keep=not error.link)
                attempt += 1
                pause = pause_before(attempt)
                if self._stop.asked.is_set() and not persist:
                    raise
                if time.monotonic() + pause - began > self._patience:
                    raise
                (say or self._say)("retry", error=str(error), attempt_of_statement=attempt, pause=round(pause, 2))
                if self._stop.asked.wait(pause):
                    time.sleep(min(pause, FIRST_PAUSE))  # asked to stop: what persists must still not spin
            except BaseException:
                self._undo(keep=True)
                raise

    def close(self) -> None:
        """Roll back what is open and let the connection go."""
        self._undo(keep=False)

    def _once(self, work: Callable[[Transaction, bool], T], *, again: bool) -> T:
        if self._connection is None or self._cursors is None:
            self._connection = self._connect(self._sql)
            self._cursors = Cursors(self._connection.cursor)
        transaction = Transaction(self._cursors, self._translate)
        try:
            result = work(transaction, again)
        except Exception:
            transaction.check()  # what undid it, not what a handler made of that
            raise
        transaction.check()
        try:
            self._connection.commit()
        except Exception as error:
            raise self._translate(error) from error
        return result

    def _undo(self, *, keep: bool) -> None:
        """Roll back; drop the connection where it is broken or not wanted."""
        connection = self._connection
        if connection is None:
            return
        try:
            connection.rollback()
        except Exception:
            keep = False
        if not keep:
            self._connection = self._cursors = None
            with contextlib.suppress(Exception):  # a broken connection cannot even be closed
                connection.close()

    def _translate(self, error: BaseException) -> WorkerError:
        return translate(error, self._sql)
