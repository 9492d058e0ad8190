"""One account's events, one after the other: each turn is one transaction, and nodes are told after its commit.

Owns order and atomicity; knows no event. What a turn decides is on disk before anybody hears of it, so a killed process
goes on where its records stand. Reports that come while nobody takes a turn are collected: one turn takes them all.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from local.azure.platform.store import Store

log = logging.getLogger(__name__)


class Loop:
    """`handlers`: by the class of an event, who takes it. They are set once, when all of them exist."""

    def __init__(self, store: Store) -> None:
        self.handlers: Mapping[type, Callable[[Any], None]] = {}
        self._store = store
        self._events: deque[Any] = deque()
        self._late: dict[Hashable, None] = {}
        self._commands: list[Callable[[], None]] = []
        self._is_open = self._is_due = self._is_closed = False

    def post(self, event: Any) -> None:
        """Have an event taken: in this turn, or soon in one of its own."""
        self._events.append(event)
        self._wake()

    def post_late(self, event: Hashable) -> None:
        """Have an event taken when no other is left; however often it is posted until then, once."""
        self._late[event] = None
        self._wake()

    def command(self, work: Callable[[], None]) -> None:
        """Do something that nobody may see before the turn is on disk."""
        if self._is_open:
            self._commands.append(work)
        else:
            work()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Do something, and all that follows from it, in one transaction; inside of a turn, as a part of it. What was
        posted before is taken first. Never await inside."""
        if self._is_open:
            yield
            return
        self._is_open = True
        try:
            with self._store.transaction():
                self._take_reports()
                yield
                self._take_all()
        except BaseException:
            self._commands.clear()
            raise
        finally:
            self._is_open = False
        commands, self._commands = self._commands, []
        for work in commands:
            work()

    def settle(self) -> None:
        """Take what was posted."""
        if self.is_busy and not self._is_closed:
            with self.turn():
                pass

    @property
    def is_busy(self) -> bool:
        """Whether something was posted that nobody has taken."""
        return bool(self._events or self._late)

    def close(self) -> None:
        """Take nothing any more."""
        self._is_closed = True

    def _wake(self) -> None:
        if not self._is_open and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._is_due = False
        self.settle()

    def _take_all(self) -> None:
        self._take_reports()
        while self._late:
            event = next(iter(self._late))
            del self._late[event]
            self._take(event)
            self._take_reports()

    def _take_reports(self) -> None:
        while self._events:
            self._take(self._events.popleft())

    def _take(self, event: Any) -> None:
        try:
            self.handlers[type(event)](event)
        except Exception:  # the others are taken all the same
            log.exception("%s could not be taken", type(event).__name__)
