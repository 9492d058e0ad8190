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
from .log import storable
from .schema import KEY_END, NOW
from .sql.transaction import Statements

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
_CLAIMED_BEFORE: Final = (
    "SELECT id, item_key, data, step, attempts, failures FROM dbo.work_items WITH (UPDLOCK) "
    "WHERE queue = ? AND status IN ('pending', 'running') AND status = 'running' AND owner = ?"
)
_WHERE_LEASED: Final = "WHERE id = ? AND owner = ? AND attempts = ? AND status = 'running'"
_CHECKPOINT: Final = (
    f"UPDATE dbo.work_items SET status = ?, step = step + 1, failures = 0, error = NULL, available_at = {NOW} + ?, "  # noqa: S608
    f"changed_at = {NOW} {_WHERE_LEASED} AND step = ?"
)
_GIVE_BACK: Final = (
    f"UPDATE dbo.work_items SET status = 'pending', available_at = {NOW}, changed_at = {NOW} {_WHERE_LEASED}"  # noqa: S608
)
_FAIL: Final = (
    "UPDATE dbo.work_items SET failures = failures + 1, error = ?, status = ?, "  # noqa: S608
    f"available_at = {NOW} + ?, changed_at = {NOW} {_WHERE_LEASED}"
)
_MARK_DEAD: Final = f"UPDATE dbo.work_items SET status = 'dead', error = ?, changed_at = {NOW} {_WHERE_LEASED}"  # noqa: S608
# UPDLOCK: a commit of ours whose answer we missed may still be under way; with row versions (READ_COMMITTED_SNAPSHOT,
# the default of Azure SQL) a look without a lock would read what was before it.
_STATUS_AND_STEP: Final = (
    "SELECT status, step FROM dbo.work_items WITH (UPDLOCK) WHERE id = ? AND owner = ? AND attempts = ?"
)
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
_EXISTING: Final = "SELECT data, owner FROM dbo.work_items WHERE queue = ? AND exact_key = ?"
_COUNTS: Final = "SELECT queue, status, COUNT(*) FROM dbo.work_items GROUP BY queue, status ORDER BY queue, status"
_LEASES: Final = (
    f"SELECT queue, MIN(changed_at - {NOW}), MIN(available_at - {NOW}) FROM dbo.work_items "  # noqa: S608
    "WHERE status = 'running' GROUP BY queue"
)
_DEAD: Final = (
    "SELECT TOP (50) queue, item_key, step, attempts, failures, error FROM dbo.work_items WHERE status = 'dead'"
)
_DEAD_OF_ALL: Final = f"{_DEAD} ORDER BY id DESC"
_DEAD_OF_ONE: Final = f"{_DEAD} AND queue = ? ORDER BY id DESC"
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

    def claim(self, tx: Statements, retried: bool) -> Item | None:
        """Claim the oldest item that may be had. `retried`: the one of an earlier claim whose answer was lost."""
        if retried and (mine := tx.query(_CLAIMED_BEFORE, self.name, self.owner)):
            return self._item(mine[0])
        rows = tx.query(_CLAIM, self.owner, self._lease_ms, self.name)
        return self._item(rows[0]) if rows else None

    def checkpoint(self, tx: Statements, item: Item, *, done: bool) -> None:
        """Record that the step is done. Raises LeaseLost when another worker has the item."""
        status = FINISHED if done else RUNNING
        self._require_lease(tx.execute(_CHECKPOINT, status, self._lease_ms, *self._key(item), item.step), item)

    def status_and_step(self, tx: Statements, item: Item) -> tuple[str, int]:
        """Read status and step of an item that this worker holds. Raises LeaseLost when another one does."""
        rows = tx.query(_STATUS_AND_STEP, *self._key(item))
        self._require_lease(len(rows), item)
        return rows[0][0], rows[0][1]

    def was_kept(self, tx: Statements, item: Item) -> bool:
        """Whether a handler committed its step itself and the worker died before it noticed (`transaction.py`)."""
        return bool(tx.query(_MARKED, item.id))

    def give_back(self, tx: Statements, item: Item, *, retried: bool = False) -> bool:
        """Let another worker claim the item at its present step. False when another worker has it already."""
        return self._already_has(tx, item, retried, PENDING) or tx.execute(_GIVE_BACK, *self._key(item)) == 1

    def fail(self, tx: Statements, item: Item, error: str, *, dead: bool, delay: float, retried: bool = False) -> None:
        """Record that the step failed: the item is tried again after `delay` seconds, or becomes a dead letter."""
        status = DEAD if dead else PENDING
        if not self._already_has(tx, item, retried, status):
            values = (storable(error, ERROR_LENGTH), status, int(delay * 1000))
            self._require_lease(tx.execute(_FAIL, *values, *self._key(item)), item)

    def mark_dead(self, tx: Statements, item: Item, error: str, *, retried: bool = False) -> None:
        """Make the item a dead letter without another try."""
        if not self._already_has(tx, item, retried, DEAD):
            self._require_lease(tx.execute(_MARK_DEAD, storable(error, ERROR_LENGTH), *self._key(item)), item)
            tx.execute(_FORGET_MARKS, item.id)

    def _already_has(self, tx: Statements, item: Item, retried: bool, status: str) -> bool:
        """Whether an earlier try of this transaction, whose answer was lost, gave the item this status."""
        return retried and any(row[0] == status for row in tx.query(_STATUS_AND_STEP, *self._key(item)))

    def is_open(self, tx: Statements) -> bool:
        """Whether any item is neither done nor dead."""
        return bool(tx.query(_OPEN, self.name))

    @property
    def _lease_ms(self) -> int:
        return int(self.lease * 1000)

    def _key(self, item: Item) -> tuple[int, str, int]:
        return item.id, self.owner, item.attempt

    def _require_lease(self, rows: int, item: Item) -> None:
        if rows != 1:
            raise LeaseLost(
                f"item {item.key!r} is not ours any more",
                cause="its lease expired and another worker took it",
                next_step="give --lease more than the longest step takes",
            )

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
    """An item's data and "", or {} and what is wrong with it: other tools can write into the table, too."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, f"the item's data is no JSON that can be read: {error}"
    if not isinstance(data, dict):
        return {}, f"the item's data is JSON, but no object: {text[:60]!r}"
    return data, ""


@dataclass(frozen=True, kw_only=True)
class Added:
    """What `add` did: how many rows are new, and which were left out because an item of their key has other data."""

    new: int
    differing: tuple[Row, ...]


def add(tx: Statements, queue: str, rows: Iterable[Row], *, run: str, retried: bool = False) -> Added:
    """Add items by key; an item that exists stays as it is. `run`: a name for this run of `enqueue`."""
    new, differing = 0, list[Row]()
    for row in rows:
        exact = row.key + KEY_END
        if tx.execute(_ADD, queue, row.key, exact, row.data, run, queue, exact) == 1:
            new += 1
            continue
        for data, owner in tx.query(_EXISTING, queue, exact):
            if retried and owner == run:
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


def dead_letters(tx: Statements, queue: str | None = None) -> list[dict[str, Any]]:
    """The last 50 dead letters, of one queue or of all, with their errors."""
    names = ("queue", "item", "step", "attempt", "failures", "error")
    rows = tx.query(_DEAD_OF_ALL) if queue is None else tx.query(_DEAD_OF_ONE, queue)
    return [dict(zip(names, row, strict=True)) for row in rows]


def requeue(tx: Statements, queue: str, key: str | None = None) -> int:
    """Make dead letters pending again, at the step that failed; returns how many."""
    return tx.execute(_REQUEUE, queue) if key is None else tx.execute(_REQUEUE_ONE, queue, key + KEY_END)
