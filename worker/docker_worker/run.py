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
from .lines import Say, Seldom, bound
from .session import Session
from .signals import Stop
from .sql_errors import safe_text
from .transaction import KEPT, Statements, Transaction

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
    """What this process did."""

    done: int = 0
    failed: int = 0
    dead: int = 0
    lost: int = 0
    given_back: int = 0
    steps: int = 0


class Runner:
    """One worker on one queue. Blocks; runs on the work thread."""

    def __init__(
        self, session: Session, queue: Queue, handler: Handler, settings: RunSettings, *, say: Say, stop: Stop
    ) -> None:
        self._session, self._queue, self._handler, self._settings = session, queue, handler, settings
        self._say, self._stop, self._seldom, self._taken = say, stop, Seldom(), 0
        self._folder = Path.cwd()
        self.totals = Totals()

    def run(self) -> None:
        """Until a stop, an empty queue or the number of items, as the settings say."""
        item: Item | None = None
        while item is not None or self._goes_on():
            item = item or self._session.transact(self._queue.claim)
            if item is not None:
                self._taken += 1
                item = self._work_on(item)
            elif self._settings.until_empty and not self._session.transact(lambda tx, again: self._queue.is_open(tx)):
                break
            else:
                self._stop.asked.wait(random.uniform(*POLL_SECONDS))  # noqa: S311 - no secret

    def _goes_on(self) -> bool:
        most = self._settings.max_items
        return not self._stop.asked.is_set() and (most is None or self._taken < most)

    def _work_on(self, item: Item) -> Item | None:
        """Do an item; the next one, where it was claimed with the end of this one."""
        say = bound(self._say, item=item.key, attempt=item.attempt)
        say("claimed", step=item.step)
        try:
            if item.problem:
                self._bury(item, item.problem, say)
            elif item.attempt > 1 and self._session.transact(lambda tx, again: self._queue.was_kept(tx, item)):
                self._taken_away(item, TransactionTaken(KEPT, final=True), say)
            elif item.failures >= self._settings.max_attempts:
                text = f"no worker came to the end of step {item.step}: its lease expired {item.failures} times"
                self._bury(item, text, say)
            else:
                return self._steps(item, say)
        except LeaseLost as lost:
            self.totals.lost += 1
            say("lease_lost", error=str(lost))
        return None

    def _steps(self, item: Item, say: Say) -> Item | None:
        while not self._stop.asked.is_set():
            began = time.monotonic()
            try:
                status, following = self._step(item, bound(say, step=item.step))
            except LeaseLost:
                raise
            except TransactionTaken as error:
                return self._taken_away(item, error, say)
            except StatementFailed as error:
                return self._failed(item, error, say)
            except Transient as error:
                return self._outlasted(item, error, say)
            except WorkerError:  # not the item's fault: another worker may have more luck
                self._give_back(item, say)
                raise
            except BaseException as error:  # also SystemExit and a cancellation: they are the handler's, not ours
                return self._failed(item, error, say)
            self.totals.steps += 1
            if (took := time.monotonic() - began) > self._queue.lease / 2:
                say("slow_step", step=item.step, seconds=round(took, 1), lease=self._queue.lease)
            item = replace(item, step=item.step + 1, failures=0)
            if status is DONE:
                self.totals.done += 1
                say("done", steps=item.step)
                return following
            if self._seldom.due():
                say("progress", step=item.step)
        self._give_back(item, say)
        return None

    def _step(self, item: Item, say: Say) -> tuple[Next, Item | None]:
        """The handler's writes and the checkpoint in one transaction, which with the last step claims the next item."""

        def work(tx: Statements, again: bool) -> tuple[Next, Item | None]:
            if again:
                status, step = self._queue.look(tx, item)
                if step != item.step:  # the commit whose answer we missed took effect
                    return self._followed(tx, DONE if status == FINISHED else Next.MORE, again)
                if self._queue.was_kept(tx, item):
                    raise TransactionTaken(KEPT, final=True)
            result = self._handled(item, tx.for_step(item.id, item.step, item.attempt))
            self._queue.checkpoint(tx, item, done=result is DONE)
            return self._followed(tx, result, False)

        return self._session.transact(work, say=say)

    def _handled(self, item: Item, tx: Transaction) -> Next:
        """What the handler returned, once its transaction is known to be what it was."""
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

    def _followed(self, tx: Statements, status: Next, again: bool) -> tuple[Next, Item | None]:
        """With the end of an item the next one, unless we are to stop."""
        return status, self._queue.claim(tx, again) if status is DONE and self._goes_on() else None

    def _failed(self, item: Item, error: BaseException, say: Say) -> None:
        """The handler's failure: try again later, or a dead letter."""
        self._session.renew()  # whatever the handler set on the connection is not the next item's
        text = f"{type(error).__name__}: {safe_text(error)}"
        dead = item.failures + 1 >= self._settings.max_attempts
        delay = min(LONGEST_DELAY, self._settings.retry_delay * 2**item.failures)
        self._session.transact(
            lambda tx, again: self._queue.fail(tx, item, text, dead=dead, delay=delay, again=again),
            persist=True, say=say,
        )  # fmt: skip
        self.totals.failed += 1
        self.totals.dead += dead
        say("dead_letter" if dead else "failed", step=item.step, failures=item.failures + 1, error=text)

    def _taken_away(self, item: Item, error: TransactionTaken, say: Say) -> None:
        """The handler ended its step's transaction. What may have been kept is never done again by itself."""
        if not error.final:
            return self._failed(item, error, say)
        self._session.renew()
        self._bury(item, f"{type(error).__name__}: {error}", say)
        self.totals.failed += 1
        return None

    def _outlasted(self, item: Item, error: Transient, say: Say) -> None:
        """A step met errors that pass for longer than the patience. When the database answers everybody but this step,
        it is the step's failure, and the queue goes on; else the worker ends, and the item waits for another."""
        if self._stop.asked.is_set():
            return self._give_back(item, say)
        try:
            return self._failed(item, error, say)
        except Transient:
            say("not_given_back", step=item.step, error=str(error))
            raise error from None

    def _bury(self, item: Item, text: str, say: Say) -> None:
        self._session.transact(lambda tx, again: self._queue.bury(tx, item, text, again=again), persist=True, say=say)
        self.totals.dead += 1
        say("dead_letter", step=item.step, error=text)

    def _give_back(self, item: Item, say: Say) -> None:
        """Others may have it at once. When the database is away they wait for the lease's end."""
        try:
            given = self._session.transact(
                lambda tx, again: self._queue.give_back(tx, item, again=again), persist=True, say=say
            )
        except WorkerError as error:
            return say("not_given_back", step=item.step, error=str(error))
        self.totals.given_back += given
        say("given_back" if given else "not_given_back", step=item.step)
