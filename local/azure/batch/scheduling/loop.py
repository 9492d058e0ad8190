"""One account's events, one after the other: what a turn decides is written before anybody hears of it.

Owns order and atomicity; knows no event. An event that a node reports, or that falls due, is a turn of its own, with
all that follows from it. A request is one, too. Turns that come together are written in one transaction. A turn that
fails changes nothing: what it did is undone, an event is logged with the cause, a request raises it (and the server
answers 500, `InternalError`). A killed process goes on where its records stand.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from local.azure.batch.decisions.run_specs import SpecWriter
from local.azure.batch.model.account_state import AccountState, Changes
from local.azure.batch.scheduling.messages import Command
from local.azure.batch.scheduling.turn import Turn
from local.azure.platform.clock import Clock

log = logging.getLogger(__name__)
WRITE_AGAIN_SECONDS = 5
Handler = Callable[[Turn, Any], None]


class Loop:
    """`handlers`: by the class of an event, who takes it; `perform` carries out a command. Both are set once."""

    def __init__(self, state: AccountState, clock: Clock, specs: SpecWriter) -> None:
        self.handlers: Mapping[type, Handler] = {}
        self.perform: Callable[[Command], None] = lambda command: None
        self._state = state
        self._clock = clock
        self._specs = specs
        self._events: deque[Any] = deque()
        self._looks: dict[Hashable, None] = {}
        self._in_turn = False
        self._is_due = False
        self._is_closed = False

    def post(self, event: object) -> None:
        """Have an event taken soon, in a turn of its own."""
        self._events.append(event)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._run)

    def report(self, event: object) -> None:
        """Have an event taken now, behind those that were posted before."""
        self._events.append(event)
        self.settle()

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """A request's turn. What was posted before is taken first, what follows from it afterwards. Raises what a
        handler raises, with nothing changed. Never await inside, and begin no other."""
        self.settle()
        with self._alone():
            turn = self._new()
            try:
                yield turn
                self._follow(turn)
            except BaseException:
                turn.undo()
                raise
            self._looks |= turn.looks
            turns = [turn, *self._take_all()]
            self._write(turns)
        self._perform(turns)

    def settle(self) -> None:
        """Take what was posted."""
        if self._is_closed or not self.is_busy:
            return
        posted = list(self._events)
        with self._alone():
            turns = self._take_all()
            try:
                self._write(turns)
            except Exception:  # the disk is full, for instance: what nodes reported is not lost
                log.exception("%d events could not be written; tried again in %d s", len(posted), WRITE_AGAIN_SECONDS)
                self._events.extend(posted)
                asyncio.get_running_loop().call_later(WRITE_AGAIN_SECONDS, self._run)
                return
        self._perform(turns)

    @property
    def is_busy(self) -> bool:
        """Whether something was posted that nobody has taken."""
        return bool(self._events or self._looks)

    def close(self) -> None:
        """Take nothing any more."""
        self._is_closed = True

    def _run(self) -> None:
        self._is_due = False
        self.settle()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._in_turn:
            raise RuntimeError("a turn was begun inside of another")
        self._in_turn = True
        try:
            yield
        finally:
            self._in_turn = False

    def _new(self) -> Turn:
        return Turn(self._state, self._clock.now(), self._specs)

    def _take_all(self) -> list[Turn]:
        """Take events, and looks when there are none; the turns that are to be written. One that fails is undone."""
        turns = []
        while self._events or self._looks:
            turn = self._new()
            event = self._next()
            try:
                self.handlers[type(event)](turn, event)
                self._follow(turn)
            except Exception:
                log.exception("%r could not be taken; nothing was changed", event)
                turn.undo()
                continue
            self._looks |= turn.looks
            turns.append(turn)
        return turns

    def _next(self) -> Any:
        if self._events:
            return self._events.popleft()
        event = next(iter(self._looks))
        del self._looks[event]
        return event

    def _follow(self, turn: Turn) -> None:
        for event in turn.events:  # it grows meanwhile
            self.handlers[type(event)](turn, event)

    def _write(self, turns: list[Turn]) -> None:
        try:
            self._state.write(Changes.of(turn.changes for turn in turns))
        except BaseException:
            for turn in reversed(turns):
                turn.undo()
            raise

    def _perform(self, turns: list[Turn]) -> None:
        for turn in turns:
            for command in turn.commands:
                self.perform(command)
