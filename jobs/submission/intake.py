"""Chunks from the stream, one after the other; of a resumed submission those first that were sent and not settled."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator

from ..errors import JobsError, UsageError
from .checkpoint import Checkpoint
from .chunks import Chunk


class Intake:
    def __init__(self, chunks: Iterator[Chunk], checkpoint: Checkpoint) -> None:
        self.taken = 0  # tasks taken from the stream
        self.counts = array("B")  # tasks of each chunk so far, by seq
        self._chunks = chunks
        self._checkpoint = checkpoint
        self._first: deque[Chunk] = deque()

    def next(self) -> Chunk | None:
        """None at the end. Raises `UsageError` when the stream fails or has an id twice."""
        return self._first.popleft() if self._first else self._cut()

    def again(self) -> Iterator[int]:
        """Go through what was sent before, chunk by chunk: the number of its tasks if it was settled, or else 0.

        Raises `UsageError` when the stream is not what it was.
        """
        known = self._checkpoint.sent
        last = max(known, default=-1)
        while len(self.counts) <= last:
            chunk = self._cut()
            if chunk is None:
                raise UsageError(
                    f"the input has {self.taken} tasks, fewer than were sent before. Resume with the file as it was"
                )
            entry = known.get(chunk.seq)
            chunk.expected = entry is not None
            if entry is not None and entry != (len(chunk.ids), chunk.digest()):
                self._first.append(chunk)
                raise UsageError(
                    f"tasks {chunk.ids[0]} to {chunk.ids[-1]} are defined otherwise than when they were sent; "
                    "the job may have the old ones, and tasks cannot be changed. "
                    "Resume with the file as it was, or submit under another --job-id"
                )
            if chunk.seq in self._checkpoint.done:
                yield len(chunk.ids)
            else:
                self._first.append(chunk)
                yield 0

    def left(self) -> tuple[int, int]:
        """Tasks of chunks that were taken and never given out, and how many of them a former run may have added."""
        uncertain = sum(len(chunk.ids) for chunk in self._first if chunk.expected)
        return sum(len(chunk.ids) for chunk in self._first), uncertain

    def _cut(self) -> Chunk | None:
        try:
            chunk = next(self._chunks, None)
        except JobsError:
            raise
        except Exception as error:  # the stream is somebody else's code
            what = f"the input failed after {self.taken} tasks: {type(error).__name__}: {error}"
            raise UsageError(what) from error
        if chunk is not None:
            self.counts.append(len(chunk.ids))
            self.taken += len(chunk.ids)
        return chunk
