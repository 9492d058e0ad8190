"""Which ids were seen, in at most 6 bytes each: exact, because a suspicion is looked up in a file on disk.

Batch compares ids without case and answers `TaskExists` to a second one, which a submitter must not take for success:
so the input is checked here. A Python set of a million ids takes 120 MB.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator, Sequence
from operator import lt
from typing import Final

BUCKETS: Final = 1 << 14
_MASK: Final = BUCKETS - 1


class Presence:
    """Ids without case, four bytes each: never wrong when it says no, once in ten million when it says yes."""

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = [None] * BUCKETS

    def note(self, task_id: str) -> None:
        hashed = hash(task_id.lower())
        part = (hashed >> 14 & 0xFFFFFFFF).to_bytes(4, "little")
        bucket = self._buckets[hashed & _MASK]
        if bucket is None:
            self._buckets[hashed & _MASK] = bytearray(part)
        elif part not in bucket:
            bucket += part

    def __contains__(self, task_id: str) -> bool:
        hashed = hash(task_id.lower())
        bucket = self._buckets[hashed & _MASK]
        return bucket is not None and (hashed >> 14 & 0xFFFFFFFF).to_bytes(4, "little") in bucket


class IdSet(Presence):
    """Exact, and in order: the ids themselves are on disk, and a suspicion is looked up there.

    Ids that only go up, as numbered ones do, cannot repeat: they are not even hashed until one goes down.
    """

    def __init__(self) -> None:
        super().__init__()
        self._spool = tempfile.TemporaryFile(prefix="jobs-ids-")  # noqa: SIM115 - lives as long as this
        self._spool.write(b"\n")
        self._waiting: list[str] = []
        self._last = ""
        self._rising = True
        self.count = 0

    def add_all(self, ids: list[str]) -> tuple[str, int] | None:
        """Remember ids. The first one that was there ends it: that id, and the place (from 0) where it was before."""
        folded = "\n".join(ids).lower().split("\n")  # ids are ASCII; one call folds them all
        if self._rising:
            if all(map(lt, (self._last, *folded), folded)):
                self._last = folded[-1]
                self._keep(folded)
                return None
            self._rising = False
            for task_id in self:
                self._remember(task_id)
        for place, task_id in enumerate(folded):
            if (first := self._remember(task_id)) is not None:
                return ids[place], first
            self._keep((task_id,))
        return None

    def _remember(self, folded: str) -> int | None:
        """Into its bucket; where it was before, if it was."""
        hashed = hash(folded)
        part = (hashed >> 14 & 0xFFFFFFFF).to_bytes(4, "little")
        bucket = self._buckets[hashed & _MASK]
        if bucket is None:
            self._buckets[hashed & _MASK] = bytearray(part)
            return None
        # Not aligned, so two neighbours can look like a third: only a suspicion more.
        if part in bucket and (place := self._find(folded)) is not None:
            return place
        bucket += part
        return None

    def _keep(self, folded: Sequence[str]) -> None:
        self._waiting += folded
        self.count += len(folded)
        if len(self._waiting) >= 1000:
            self._flush()

    def __iter__(self) -> Iterator[str]:
        """All ids, lower case, in order."""
        self._flush()
        self._spool.seek(1)
        for line in self._spool:
            yield line[:-1].decode()
        self._spool.seek(0, 2)

    def close(self) -> None:
        self._spool.close()

    def _flush(self) -> None:
        if self._waiting:
            self._spool.write("\n".join(self._waiting).encode() + b"\n")
            self._waiting.clear()

    def _find(self, folded: str) -> int | None:
        self._flush()
        self._spool.flush()
        with mmap.mmap(self._spool.fileno(), 0, access=mmap.ACCESS_READ) as view:
            at = view.find(f"\n{folded}\n".encode())
            return None if at < 0 else view[: at + 1].count(b"\n") - 1
