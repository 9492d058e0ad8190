"""`run`: claim an item, call the handler step by step, checkpoint; stop between two steps when asked to.

Whatever happens to this process, an item is done once: a step's writes and its checkpoint are one transaction, guarded
by the lease; a worker that vanishes leaves an item whose lease ends, and another goes on at the step it was at.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from .errors import LeaseLost, StatementFailed, TransactionTaken, Transient, WorkerError
from .handlers import DONE, Handler, Item, Next, call
from .items import FINISHED, Queue
from .log import Log, RateLimit, with_fields
from .signals import Stop
from .sql.session import Session
from .sql.sql_errors import safe_text
from .sql.transaction import KEPT, Statements, Transaction

POLL_SECONDS: Final = (0.2, 1.0)  # between looks at a queue with nothing to claim: at random, not in step with others
LONGEST_DELAY: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """When `run` ends by itself, and when an item is a dead letter."""

    until_empty: bool = False
    max_items: int | None = None
    max_attempts: int = 5
    retry_delay: float = 5.0


@dataclass
class Totals:
    """How many items and steps this process did."""

    done: int = 0
    failed: int = 0
    dead: int = 0
    lost: int = 0
    given_back: int = 0
    steps: int = 0


class Runner:
    """One worker on one queue. Blocks; runs on the work thread."""

    def __init__(
        self, session: Session, queue: Queue, handler: Handler, settings: RunSettings, *, log: Log, stop: Stop
    ) -> None:
        self._session = session
        self._queue = queue
        self._handler = handler
        self._settings = settings
        self._log = log
        self._stop = stop
        self._progress = RateLimit()
        self._taken = 0
        self._folder = Path.cwd()
        self.totals = Totals()

    def run(self) -> None:
        """Work until a stop, an empty queue or the number of items, as the settings say."""
        item: Item | None = None
        while item is not None or self._may_claim():
            item = item or self._session.transact(self._queue.claim)
            if item is not None:
                self._taken += 1
                item = self._work_on(item)
            elif self._settings.until_empty and not self._session.transact(lambda tx, retried: self._queue.is_open(tx)):
                break
            else:
                self._stop.asked.wait(random.uniform(*POLL_SECONDS))  # noqa: S311 - no secret

    def _may_claim(self) -> bool:
        most = self._settings.max_items
        return not self._stop.asked.is_set() and (most is None or self._taken < most)

    def _work_on(self, item: Item) -> Item | None:
        """Work on an item to its end. Returns the next one, if the transaction that ended this one claimed it."""
        log = with_fields(self._log, item=item.key, attempt=item.attempt)
        log("claimed", step=item.step)
        try:
            if item.problem:
                self._mark_dead(item, item.problem, log)
            elif item.attempt > 1 and self._session.transact(lambda tx, retried: self._queue.was_kept(tx, item)):
                self._transaction_taken(item, TransactionTaken(KEPT, final=True), log)
            elif item.failures >= self._settings.max_attempts:
                text = f"no worker came to the end of step {item.step}: its lease expired {item.failures} times"
                self._mark_dead(item, text, log)
            else:
                return self._steps(item, log)
        except LeaseLost as lost:
            self.totals.lost += 1
            log("lease_lost", error=str(lost))
        return None

    def _steps(self, item: Item, log: Log) -> Item | None:
        while not self._stop.asked.is_set():
            began = time.monotonic()
            try:
                status, following = self._step(item, with_fields(log, step=item.step))
            except LeaseLost:
                raise
            except TransactionTaken as error:
                return self._transaction_taken(item, error, log)
            except StatementFailed as error:
                return self._failed(item, error, log)
            except Transient as error:
                return self._patience_over(item, error, log)
            except WorkerError:  # not the item's fault: another worker may have more luck
                self._give_back(item, log)
                raise
            except BaseException as error:  # also SystemExit and a cancellation: they are the handler's, not ours
                return self._failed(item, error, log)
            self.totals.steps += 1
            if (took := time.monotonic() - began) > self._queue.lease / 2:
                log("slow_step", step=item.step, seconds=round(took, 1), lease=self._queue.lease)
            item = replace(item, step=item.step + 1, failures=0)
            if status is DONE:
                self.totals.done += 1
                log("done", steps=item.step)
                return following
            if self._progress.due():
                log("progress", step=item.step)
        self._give_back(item, log)
        return None

    def _step(self, item: Item, log: Log) -> tuple[Next, Item | None]:
        """Handler and checkpoint in one transaction; after the last step it also claims the next item."""

        def work(tx: Statements, retried: bool) -> tuple[Next, Item | None]:
            if retried:
                status, step = self._queue.status_and_step(tx, item)
                if step != item.step:  # the commit whose answer was lost took effect
                    return self._with_next_item(tx, DONE if status == FINISHED else Next.MORE, retried)
                if self._queue.was_kept(tx, item):
                    raise TransactionTaken(KEPT, final=True)
            result = self._call_handler(item, tx.for_step(item.id, item.step, item.attempt))
            self._queue.checkpoint(tx, item, done=result is DONE)
            return self._with_next_item(tx, result, False)

        return self._session.transact(work, log=log)

    def _call_handler(self, item: Item, tx: Transaction) -> Next:
        """Call the handler, then check that it left the step's transaction open."""
        began = time.monotonic()
        try:
            result = call(self._handler, item, tx)
        except BaseException as error:
            with contextlib.suppress(StatementFailed, Transient, RuntimeError):
                try:
                    tx.settle()
                except TransactionTaken as taken:
                    if taken.final:
                        raise taken from error
            raise
        finally:
            self._session.worked(max(0.0, time.monotonic() - began - tx.waited))
            with contextlib.suppress(OSError):
                os.chdir(self._folder)  # the next item's handler, and we, are where we were
        tx.settle()
        return result

    def _with_next_item(self, tx: Statements, status: Next, retried: bool) -> tuple[Next, Item | None]:
        """`status`, and after the end of an item the next one, unless the worker has to stop."""
        return status, self._queue.claim(tx, retried) if status is DONE and self._may_claim() else None

    def _failed(self, item: Item, error: BaseException, log: Log) -> None:
        """Record the handler's failure: the item is tried again later, or becomes a dead letter."""
        self._session.renew()  # whatever the handler set on the connection is not the next item's
        text = f"{type(error).__name__}: {safe_text(error)}"
        dead = item.failures + 1 >= self._settings.max_attempts
        delay = min(LONGEST_DELAY, self._settings.retry_delay * 2**item.failures)
        self._session.transact(
            lambda tx, retried: self._queue.fail(tx, item, text, dead=dead, delay=delay, retried=retried),
            persist=True,
            log=log,
        )
        self.totals.failed += 1
        self.totals.dead += dead
        log("dead_letter" if dead else "failed", step=item.step, failures=item.failures + 1, error=text)

    def _transaction_taken(self, item: Item, error: TransactionTaken, log: Log) -> None:
        """The handler ended its step's transaction. If its writes may have been kept, the item is a dead letter."""
        if not error.final:
            return self._failed(item, error, log)
        self._session.renew()
        self._mark_dead(item, f"{type(error).__name__}: {error}", log)
        self.totals.failed += 1
        return None

    def _patience_over(self, item: Item, error: Transient, log: Log) -> None:
        """A step met transient errors for longer than the patience. When the database answers other statements, the
        failure is the step's, and the queue goes on; else the worker ends, and another worker claims the item."""
        if self._stop.asked.is_set():
            return self._give_back(item, log)
        try:
            return self._failed(item, error, log)
        except Transient:
            log("not_given_back", step=item.step, error=str(error))
            raise error from None

    def _mark_dead(self, item: Item, text: str, log: Log) -> None:
        self._session.transact(
            lambda tx, retried: self._queue.mark_dead(tx, item, text, retried=retried), persist=True, log=log
        )
        self.totals.dead += 1
        log("dead_letter", step=item.step, error=text)

    def _give_back(self, item: Item, log: Log) -> None:
        """Let another worker claim the item at once. If the database does not answer, the lease has to expire."""
        try:
            given = self._session.transact(
                lambda tx, retried: self._queue.give_back(tx, item, retried=retried), persist=True, log=log
            )
        except WorkerError as error:
            return log("not_given_back", step=item.step, error=str(error))
        self.totals.given_back += given
        log("given_back" if given else "not_given_back", step=item.step)
