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
from .handlers import Item
from .schema import NOW
from .transaction import Transaction

PENDING, RUNNING, FINISHED, DEAD = "pending", "running", "done", "dead"
ERROR_LENGTH: Final = 2000

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
    "SELECT id, item_key, data, step, attempts, failures FROM dbo.work_items "
    "WHERE queue = ? AND status IN ('pending', 'running') AND status = 'running' AND owner = ?"
)
_LEASED: Final = "WHERE id = ? AND owner = ? AND attempts = ? AND status = 'running'"
_CHECKPOINT: Final = (
    f"UPDATE dbo.work_items SET status = ?, step = step + 1, failures = 0, error = NULL, available_at = {NOW} + ?, "  # noqa: S608
    f"changed_at = {NOW} {_LEASED} AND step = ?"
)
_GIVE_BACK: Final = (
    f"UPDATE dbo.work_items SET status = 'pending', available_at = {NOW}, changed_at = {NOW}, owner = NULL {_LEASED}"  # noqa: S608
)
_FAIL: Final = (
    "UPDATE dbo.work_items SET failures = failures + 1, error = ?, status = ?, "  # noqa: S608
    f"available_at = {NOW} + ?, changed_at = {NOW} {_LEASED}"
)
_BURY: Final = f"UPDATE dbo.work_items SET status = 'dead', error = ?, changed_at = {NOW} {_LEASED}"  # noqa: S608
_LOOK: Final = "SELECT status, step FROM dbo.work_items WHERE id = ? AND owner = ? AND attempts = ?"
_OPEN: Final = "SELECT TOP (1) id FROM dbo.work_items WHERE queue = ? AND status IN ('pending', 'running')"
# HOLDLOCK keeps the gap, so that of two who add the same key at once one waits and then sees the other's.
_ADD: Final = (
    "INSERT INTO dbo.work_items (queue, item_key, data, status, step, attempts, failures, available_at, changed_at) "  # noqa: S608
    f"SELECT ?, ?, ?, 'pending', 0, 0, 0, {NOW}, {NOW} "
    "WHERE NOT EXISTS (SELECT 1 FROM dbo.work_items WITH (UPDLOCK, HOLDLOCK) WHERE queue = ? AND item_key = ?)"
)
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
_REQUEUE_ONE: Final = f"{_REQUEUE} AND item_key = ?"


@dataclass(frozen=True, kw_only=True)
class Queue:
    """One queue as one worker sees it. `owner` is unique to the process."""

    name: str
    owner: str
    lease: float  # seconds

    def claim(self, tx: Transaction, again: bool) -> Item | None:
        """Take the oldest item that may be had. `again`: an earlier claim may have succeeded unseen; then that one."""
        if again and (mine := tx.query(_MINE, self.name, self.owner)):
            return self._item(mine[0])
        rows = tx.query(_CLAIM, self.owner, self._lease_ms, self.name)
        return self._item(rows[0]) if rows else None

    def checkpoint(self, tx: Transaction, item: Item, *, done: bool) -> None:
        """The step is made. Raises LeaseLost when the item is not ours any more."""
        status = FINISHED if done else RUNNING
        self._ours(tx.execute(_CHECKPOINT, status, self._lease_ms, *self._key(item), item.step), item)

    def look(self, tx: Transaction, item: Item) -> tuple[str, int]:
        """Status and step of an item that should be ours; LeaseLost when it is not."""
        rows = tx.query(_LOOK, *self._key(item))
        self._ours(len(rows), item)
        return rows[0][0], rows[0][1]

    def give_back(self, tx: Transaction, item: Item) -> bool:
        """Let others have the item, at the step it is at. False when it was not ours any more."""
        return tx.execute(_GIVE_BACK, *self._key(item)) == 1

    def fail(self, tx: Transaction, item: Item, error: str, *, dead: bool, delay: float) -> None:
        """The step failed: to be tried later, or a dead letter."""
        values = (error[:ERROR_LENGTH], DEAD if dead else PENDING, int(delay * 1000))
        self._ours(tx.execute(_FAIL, *values, *self._key(item)), item)

    def bury(self, tx: Transaction, item: Item, error: str) -> None:
        """A dead letter without another try."""
        self._ours(tx.execute(_BURY, error[:ERROR_LENGTH], *self._key(item)), item)

    def is_open(self, tx: Transaction) -> bool:
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
        number, key, data, step, attempts, failures = row
        return Item(
            id=number, queue=self.name, key=key, data=json.loads(data), step=step, attempt=attempts, failures=failures
        )


def add(tx: Transaction, queue: str, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
    """Add items by key; those that are there are left alone, done or not. The number of new ones."""
    added = 0
    for key, data in rows:
        added += tx.execute(_ADD, queue, key, json.dumps(data, ensure_ascii=False), queue, key)
    return added


def counts(tx: Transaction) -> dict[str, dict[str, Any]]:
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


def dead_letters(tx: Transaction) -> list[dict[str, Any]]:
    """The last dead letters, with what they died of."""
    names = ("queue", "item", "step", "attempt", "failures", "error")
    return [dict(zip(names, row, strict=True)) for row in tx.query(_DEAD)]


def requeue(tx: Transaction, queue: str, key: str | None = None) -> int:
    """Dead letters become pending again, at the step they died in; how many."""
    return tx.execute(_REQUEUE, queue) if key is None else tx.execute(_REQUEUE_ONE, queue, key)
