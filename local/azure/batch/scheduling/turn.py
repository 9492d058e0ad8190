"""One turn: what an event (or a request) and all that follows from it change, and what is to be done then.

A handler is a function of a turn and an event. It reads `turn.state` and `turn.now`, and has no clock, no store and no
node: all it can do is change records inside `turn.change`, add and drop records, and leave events and commands in the
turn. The result of a turn is therefore its `changes` and its `commands`, which the loop (`loop.py`) writes in one
transaction and then carries out; or, when a handler fails, neither: `undo` brings every record and every index of the
state back to what it was before the turn.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, TypeVar

from local.azure.batch.decisions.run_specs import SpecWriter
from local.azure.batch.model import Job, Task
from local.azure.batch.model.account_state import AccountState, AnyRecord, Changes, Contents
from local.azure.batch.model.record import Record
from local.azure.batch.scheduling.messages import Command

R = TypeVar("R", bound=AnyRecord)


class Turn:
    """`events` and `looks` are taken by the loop: the former as part of this turn, the latter once, when nothing else
    is left to do."""

    __slots__ = ("_before", "_dropped", "_satisfied", "changes", "commands", "events", "looks", "now", "specs", "state")

    def __init__(self, state: AccountState, now: datetime, specs: SpecWriter) -> None:
        self.state = state
        self.now = now
        self.specs = specs
        self.changes = Changes()
        self.commands: list[Command] = []
        self.events: list[Any] = []
        self.looks: dict[Hashable, None] = {}
        self._before: dict[int, tuple[AnyRecord, tuple[Any, ...] | None]] = {}
        self._dropped: list[tuple[AnyRecord, Contents]] = []
        self._satisfied: list[Task] = []

    def change(self, record: R) -> Change[R]:
        """`with turn.change(record):` what is assigned to the record inside is part of the turn. Values of a record
        are replaced, never changed themselves (`node.users = [...]`, not `append`)."""
        if id(record) not in self._before:
            self._before[id(record)] = (record, tuple(record.__dict__.values()))
        return Change(self, record)

    def add(self, record: AnyRecord) -> None:
        """Take a new record."""
        self._before.setdefault(id(record), (record, None))
        self.save(record)

    def save(self, record: AnyRecord) -> None:
        """Take what `change` or `add` left."""
        self.state.put(record)
        self.changes.writes[self.state.place(record)] = record

    def drop(self, record: AnyRecord) -> None:
        """Forget a record; a job takes all that is its own with it."""
        self._dropped.append((record, self.state.remove(record)))
        if isinstance(record, Job):
            for kind, prefix in self.state.places_of(record):
                self.changes.clear(kind, prefix)
        elif isinstance(record, Task) and record.satisfies:
            kept = self.state.keep_satisfied(record)
            if kept is not None:
                self._satisfied.append(record)
                self.changes.writes[kept] = Record()
        self.changes.writes[self.state.place(record)] = None

    def post(self, event: object) -> None:
        """Have an event taken as part of this turn."""
        self.events.append(event)

    def look(self, event: Hashable) -> None:
        """Have an event taken in a turn of its own when no other is left; however often it is asked for until then,
        once."""
        self.looks[event] = None

    def command(self, command: Command) -> None:
        """Have something done once the turn is written."""
        self.commands.append(command)

    def undo(self) -> None:
        """Bring the state back to what it was before. Turns that were made on top of this one are undone first."""
        for record, before in self._before.values():
            if before is not None:
                record.__dict__.update(
                    zip(record.__dict__, before, strict=True)
                )  # the fields never change, nor their order
        for record, contents in reversed(self._dropped):
            self.state.bring_back(record, contents)
        for task in self._satisfied:
            self.state.forget_satisfied(task)
        changed = []
        for record, before in self._before.values():
            if before is None:
                self.state.remove(record)
            else:
                changed.append(record)
        self.state.restore(changed, {record.job_id for record, _ in self._before.values() if isinstance(record, Task)})


class Change(Generic[R]):
    """See `Turn.change`."""

    __slots__ = ("_record", "_turn")

    def __init__(self, turn: Turn, record: R) -> None:
        self._turn = turn
        self._record = record

    def __enter__(self) -> R:
        return self._record

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._turn.save(self._record)
