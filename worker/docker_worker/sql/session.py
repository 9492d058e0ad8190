"""One connection to the database, made again when it breaks, and transactions that are tried again.

Only transient errors are retried, with jitter, until `patience` seconds brought no success; then the error itself goes
to the caller. May block: connecting at most CONNECT_SECONDS or the patience, each wait on the driver as long as its
connection's bound (`driver.py`), between tries up to LONGEST_PAUSE.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from ..errors import DatabaseMissing, ServerBusy, Transient, Unreachable, WorkerError
from ..log import Log
from ..settings import SqlSettings
from ..signals import Stop
from .database import CONNECT_SECONDS, PROBE_SECONDS, Connect
from .driver import Link, NoAnswer
from .sql_errors import Moment, translate
from .transaction import Cursors, Statements

T = TypeVar("T")
PATIENCE_SECONDS: Final = 60.0
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0


def pause_before(attempt: int) -> float:
    """Seconds before try number `attempt` (from 1): full jitter, so that workers do not come back all at once."""
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))  # noqa: S311 - no secret


class Outage:
    """How long the database has failed: from the first error on, without the time in which a handler worked.

    So a step of minutes whose last statement meets a transient error still has the whole patience, however often the
    step begins again.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._began: float | None = None
        self._worked = 0.0

    def failed(self) -> None:
        """Record a transient error."""
        if self._began is None:
            self._began = self._clock()
            self._worked = 0.0

    def worked(self, seconds: float) -> None:
        """Count a handler's own seconds, without its waits on the database."""
        self._worked += seconds

    def is_over_after(self, pause: float) -> bool:
        """Whether the patience ends before another try after `pause` seconds."""
        assert self._began is not None, "nothing failed"
        return self._clock() + pause - self._began - self._worked > self._patience

    @property
    def left(self) -> float:
        """Seconds of patience that are left."""
        if self._began is None:
            return self._patience
        return max(0.0, self._patience - (self._clock() - self._began - self._worked))


class Session:
    """`transact(work)` runs `work` in a transaction and commits. Only one thread uses it."""

    def __init__(
        self, sql: SqlSettings, connect: Connect, *, stop: Stop, log: Log, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._sql = sql
        self._connect = connect
        self._stop = stop
        self._log = log
        self._patience = patience
        self._link: Link | None = None
        self._cursors = Cursors()
        self._was_connected = False
        self._outage = Outage(patience)

    def transact(self, work: Callable[[Statements, bool], T], *, persist: bool = False, log: Log | None = None) -> T:
        """The result of `work(tx, retried)`, committed.

        `retried` says that an earlier try ended in a transient error. When that was the commit's, nobody knows whether
        it took effect: `work` must look before it does anything twice. After a stop was asked a failed try is not
        repeated, unless `persist`. `log`: one that has the item as a field, where there is an item.
        """
        self._outage, attempt = Outage(self._patience), 0
        while True:
            try:
                return self._once(work, retried=attempt > 0)
            except Transient as error:
                self._outage.failed()
                self._undo(keep=not error.link)
                attempt += 1
                pause = pause_before(attempt)
                if self._stop.asked.is_set() and not persist:
                    raise
                if self._outage.is_over_after(pause):
                    raise
                (log or self._log)("retry", error=str(error), attempt_of_statement=attempt, pause=round(pause, 2))
                if self._stop.asked.wait(pause):
                    time.sleep(min(pause, FIRST_PAUSE))  # after a stop `persist` goes on, but must not spin
            except BaseException:
                self._undo(keep=True)
                raise

    def connect(self) -> None:
        """Connect now, so that a wrong setting is reported before any statement. No retry."""
        self._connected()

    def worked(self, seconds: float) -> None:
        """Count these seconds of a handler's work as no part of the outage."""
        self._outage.worked(seconds)

    def renew(self) -> None:
        """Give the next transaction a new connection, so that it does not inherit options of this one."""
        self._undo(keep=False)

    def close(self) -> None:
        """Roll back and close the connection."""
        self._undo(keep=False)

    def _once(self, work: Callable[[Statements, bool], T], *, retried: bool) -> T:
        link = self._connected()
        transaction = Statements(link, self._cursors, self._translate)
        state = transaction.state
        try:
            result = work(transaction, retried)
        except Exception:
            transaction.check()  # what undid it, not what a handler made of that
            raise
        finally:
            state.over = True
        transaction.check()
        try:
            link.commit()
        except NoAnswer as error:
            raise Unreachable(
                f"a commit on {self._sql.server} had no end",
                cause=str(error),
                next_step="try again; if it stays, look at the server",
            ) from error
        except Exception as error:
            raise self._translate(error, Moment.COMMIT) from error
        if state.renew:
            self._undo(keep=False)
        return result

    def _connected(self) -> Link:
        if self._link is None:
            seconds = max(PROBE_SECONDS, min(CONNECT_SECONDS, self._outage.left))
            try:
                self._link = self._connect(self._sql, seconds)
            except DatabaseMissing as error:
                if not self._was_connected:
                    raise
                raise ServerBusy(  # Microsoft lists 4060 as transient: it is one for a worker that was connected before
                    f"{self._sql.server} cannot open {self._sql.database!r} now",
                    cause=error.cause,
                    next_step="try again in a minute",
                ) from error
            self._cursors = Cursors()
            self._was_connected = True
        return self._link

    def _undo(self, *, keep: bool) -> None:
        """Roll back; close the connection when it is broken, or when `keep` is false."""
        link = self._link
        if link is None:
            return
        if keep:
            try:
                link.rollback()
            except Exception:
                keep = False
        if not keep:
            self._link = None
            link.close()

    def _translate(self, error: BaseException, moment: Moment) -> WorkerError:
        return translate(error, self._sql, moment)
