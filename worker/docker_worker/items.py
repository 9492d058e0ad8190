"""The table of work items: every statement that touches it, and what each means. Owns no loop and no retry.

A claim is one statement: the oldest item that may be had, locked (UPDLOCK, ROWLOCK), passing over those that another
worker is about to take (READPAST), and returned by OUTPUT. A lease is `owner` and `attempts`: every later write of the
item carries both, so a worker whose item was taken by another changes nothing any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .errors import LeaseLost
from .feed import Row
from .handlers import Item
from .schema import KEY_END, NOW
from .text import storable
from .transaction import Statements

PENDING, RUNNING, FINISHED, DEAD = "pending", "running", "done", "dead"
ERROR_LENGTH: Final = 2000
"""Units of UTF-16, as NVARCHAR counts."""

# S608 throughout: only constants of this module are put into texts; every value is a parameter.
_COLUMNS: Final = "inserted.id, inserted.item_key, inserted.data, inserted.step, inserted.attempts, inserted.failures"
# An item that is claimed while `running` was lost by its worker: one more failure of its step.
_CLAIM: Final = (
    "UPDATE dbo.work_items SET failures = failures + CASE WHEN status = 'running' THEN 1 ELSE 0 END, "  # noqa: S608
    f"status = 'running', owner = ?, attempts = attempts + 1, available_at = {NOW} + ?, changed_at = {NOW} "
    f"OUTPUT {_COLUMNS} WHERE id = (SELECT TOP (1) id FROM dbo.work_items WITH (ROWLOCK, UPDLOCK, READPAST) "
    f"WHERE queue = ? AND status IN ('pending', 'running') AND available_at <= {NOW} ORDER BY id)"
)
_MINE: Final = (
    "SELECT id, item_key, data, step, attempts, failures FROM dbo.work_items WITH (UPDLOCK) "
    "WHERE queue = ? AND status IN ('pending', 'running') AND status = 'running' AND owner = ?"
)
_LEASED: Final = "WHERE id = ? AND owner = ? AND attempts = ? AND status = 'running'"
_CHECKPOINT: Final = (
    f"UPDATE dbo.work_items SET status = ?, step = step + 1, failures = 0, error = NULL, available_at = {NOW} + ?, "  # noqa: S608
    f"changed_at = {NOW} {_LEASED} AND step = ?"
)
_GIVE_BACK: Final = f"UPDATE dbo.work_items SET status = 'pending', available_at = {NOW}, changed_at = {NOW} {_LEASED}"  # noqa: S608
_FAIL: Final = (
    "UPDATE dbo.work_items SET failures = failures + 1, error = ?, status = ?, "  # noqa: S608
    f"available_at = {NOW} + ?, changed_at = {NOW} {_LEASED}"
)
_BURY: Final = f"UPDATE dbo.work_items SET status = 'dead', error = ?, changed_at = {NOW} {_LEASED}"  # noqa: S608
# UPDLOCK: a commit of ours whose answer we missed may still be under way; with row versions (READ_COMMITTED_SNAPSHOT,
# the default of Azure SQL) a look without a lock would read what was before it.
_LOOK: Final = "SELECT status, step FROM dbo.work_items WITH (UPDLOCK) WHERE id = ? AND owner = ? AND attempts = ?"
# READPAST: a worker that lost its lease, and still is in its step, has a mark of which nobody knows yet what becomes.
_MARKED: Final = "SELECT TOP (1) item_id FROM dbo.work_open_steps WITH (READPAST) WHERE item_id = ?"
_FORGET_MARKS: Final = "DELETE FROM dbo.work_open_steps WITH (READPAST) WHERE item_id = ?"
_OPEN: Final = "SELECT TOP (1) id FROM dbo.work_items WHERE queue = ? AND status IN ('pending', 'running')"
# HOLDLOCK keeps the gap, so that of two who add the same key at once one waits and then sees the other's. `owner` names
# the run of `enqueue` until somebody claims the item: so a commit whose answer was lost is found to have been ours.
_ADD: Final = (
    "INSERT INTO dbo.work_items (queue, item_key, exact_key, data, status, step, attempts, failures, available_at, "  # noqa: S608
    f"changed_at, owner) SELECT ?, ?, ?, ?, 'pending', 0, 0, 0, {NOW}, {NOW}, ? "
    "WHERE NOT EXISTS (SELECT 1 FROM dbo.work_items WITH (UPDLOCK, HOLDLOCK) WHERE queue = ? AND exact_key = ?)"
)
_THERE: Final = "SELECT data, owner FROM dbo.work_items WHERE queue = ? AND exact_key = ?"
_COUNTS: Final = "SELECT queue, status, COUNT(*) FROM dbo.work_items GROUP BY queue, status ORDER BY queue, status"
_LEASES: Final = (
    f"SELECT queue, MIN(changed_at - {NOW}), MIN(available_at - {NOW}) FROM dbo.work_items "  # noqa: S608
    "WHERE status = 'running' GROUP BY queue"
)
_DEAD: Final = (
    "SELECT TOP (50) queue, item_key, step, attempts, failures, error FROM dbo.work_items "
    "WHERE status = 'dead' ORDER BY id DESC"
)
_REQUEUE: Final = (
    f"UPDATE dbo.work_items SET status = 'pending', failures = 0, available_at = {NOW}, changed_at = {NOW}, "  # noqa: S608
    "owner = NULL WHERE queue = ? AND status = 'dead'"
)
_REQUEUE_ONE: Final = f"{_REQUEUE} AND exact_key = ?"


@dataclass(frozen=True, kw_only=True)
class Queue:
    """One queue as one worker sees it. `owner` is unique to the process."""

    name: str
    owner: str
    lease: float  # seconds

    def claim(self, tx: Statements, again: bool) -> Item | None:
        """Take the oldest item that may be had. `again`: an earlier claim may have succeeded unseen; then that one."""
        if again and (mine := tx.query(_MINE, self.name, self.owner)):
            return self._item(mine[0])
        rows = tx.query(_CLAIM, self.owner, self._lease_ms, self.name)
        return self._item(rows[0]) if rows else None

    def checkpoint(self, tx: Statements, item: Item, *, done: bool) -> None:
        """The step is made. Raises LeaseLost when the item is not ours any more."""
        status = FINISHED if done else RUNNING
        self._ours(tx.execute(_CHECKPOINT, status, self._lease_ms, *self._key(item), item.step), item)

    def look(self, tx: Statements, item: Item) -> tuple[str, int]:
        """Status and step of an item that should be ours; LeaseLost when it is not."""
        rows = tx.query(_LOOK, *self._key(item))
        self._ours(len(rows), item)
        return rows[0][0], rows[0][1]

    def was_kept(self, tx: Statements, item: Item) -> bool:
        """Whether a handler committed what its step wrote, and its worker did not come to say so (`transaction.py`)."""
        return bool(tx.query(_MARKED, item.id))

    def give_back(self, tx: Statements, item: Item, *, again: bool = False) -> bool:
        """Let others have the item, at the step it is at. False when it was not ours any more."""
        return self._did(tx, item, again, PENDING) or tx.execute(_GIVE_BACK, *self._key(item)) == 1

    def fail(self, tx: Statements, item: Item, error: str, *, dead: bool, delay: float, again: bool = False) -> None:
        """The step failed: to be tried later, or a dead letter."""
        status = DEAD if dead else PENDING
        if not self._did(tx, item, again, status):
            values = (storable(error, ERROR_LENGTH), status, int(delay * 1000))
            self._ours(tx.execute(_FAIL, *values, *self._key(item)), item)

    def bury(self, tx: Statements, item: Item, error: str, *, again: bool = False) -> None:
        """A dead letter without another try."""
        if not self._did(tx, item, again, DEAD):
            self._ours(tx.execute(_BURY, storable(error, ERROR_LENGTH), *self._key(item)), item)
            tx.execute(_FORGET_MARKS, item.id)

    def _did(self, tx: Statements, item: Item, again: bool, status: str) -> bool:
        """Whether an earlier try, whose answer was lost, brought the item to this status."""
        return again and any(row[0] == status for row in tx.query(_LOOK, *self._key(item)))

    def is_open(self, tx: Statements) -> bool:
        """Whether any item is neither done nor dead."""
        return bool(tx.query(_OPEN, self.name))

    @property
    def _lease_ms(self) -> int:
        return int(self.lease * 1000)

    def _key(self, item: Item) -> tuple[int, str, int]:
        return item.id, self.owner, item.attempt

    def _ours(self, rows: int, item: Item) -> None:
        if rows != 1:
            raise LeaseLost(
                f"item {item.key!r} is not ours any more", cause="its lease expired and another worker took it",
                next_step="Give --lease more than the longest step takes",
            )  # fmt: skip

    def _item(self, row: tuple[Any, ...]) -> Item:
        number, key, text, step, attempts, failures = row
        data, problem = _payload(text)
        return Item(
            id=number,
            queue=self.name,
            key=key,
            data=data,
            step=step,
            attempt=attempts,
            failures=failures,
            problem=problem,
        )


def _payload(text: str) -> tuple[Mapping[str, Any], str]:
    """An item's data, or why it is none: other tools can write into the table, too."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, f"the item's data is no JSON that can be read: {error}"
    if not isinstance(data, dict):
        return {}, f"the item's data is JSON, but no object: {text[:60]!r}"
    return data, ""


@dataclass(frozen=True, kw_only=True)
class Added:
    """What became of some rows: how many are new, and which are kept back by an item of the same key and other data."""

    new: int
    differing: tuple[Row, ...]


def add(tx: Statements, queue: str, rows: Iterable[Row], *, run: str, again: bool = False) -> Added:
    """Add items by key; those that are there are left alone, done or not. `run`: a name for this run of `enqueue`."""
    new, differing = 0, list[Row]()
    for row in rows:
        exact = row.key + KEY_END
        if tx.execute(_ADD, queue, row.key, exact, row.data, run, queue, exact) == 1:
            new += 1
            continue
        for data, owner in tx.query(_THERE, queue, exact):
            if again and owner == run:
                new += 1
            if data != row.data:
                differing.append(row)
    return Added(new=new, differing=tuple(differing))


def counts(tx: Statements) -> dict[str, dict[str, Any]]:
    """For every queue: how many items of each status; for running ones the oldest lease, in seconds."""
    found: dict[str, dict[str, Any]] = {}
    for queue, status, number in tx.query(_COUNTS):
        found.setdefault(queue, dict.fromkeys((PENDING, RUNNING, FINISHED, DEAD), 0))[status] = number
    for queue, since, left in tx.query(_LEASES):
        found[queue] |= {
            "oldest_lease_seconds": round(-since / 1000, 1),
            "lease_ends_in_seconds": round(left / 1000, 1),
        }
    return found


def dead_letters(tx: Statements) -> list[dict[str, Any]]:
    """The last dead letters, with what they died of."""
    names = ("queue", "item", "step", "attempt", "failures", "error")
    return [dict(zip(names, row, strict=True)) for row in tx.query(_DEAD)]


def requeue(tx: Statements, queue: str, key: str | None = None) -> int:
    """Dead letters become pending again, at the step they died in; how many."""
    return tx.execute(_REQUEUE, queue) if key is None else tx.execute(_REQUEUE_ONE, queue, key + KEY_END)
