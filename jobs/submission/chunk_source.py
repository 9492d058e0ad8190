"""Chunks from the stream, one after the other; of a resumed submission those first that were sent and not settled."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator

from ..errors import JobsError, UsageError
from .checkpoint import Checkpoint
from .chunks import Chunk


class ChunkSource:
    """`tasks`: how many were taken from the stream. `counts`: the tasks of each chunk so far, by its seq."""

    def __init__(self, chunks: Iterator[Chunk], checkpoint: Checkpoint) -> None:
        self.tasks = 0
        self.counts = array("B")
        self._chunks = chunks
        self._checkpoint = checkpoint
        self._unsettled: deque[Chunk] = deque()  # of the former run: sent first

    def next(self) -> Chunk | None:
        """None at the end. Raises `UsageError` when the stream fails or has an id twice."""
        return self._unsettled.popleft() if self._unsettled else self._cut()

    def sent_before(self) -> Iterator[Chunk]:
        """Go through what the former run sent, chunk by chunk; those that were not settled are the next ones.

        Raises `UsageError` when the stream is not what it was.
        """
        known = self._checkpoint.sent
        last = max(known, default=-1)
        while len(self.counts) <= last:
            chunk = self._cut()
            if chunk is None:
                raise UsageError(
                    f"the input has {self.tasks} tasks, fewer than were sent before",
                    next_step="resume with the file as it was",
                )
            entry = known.get(chunk.seq)
            chunk.expected = entry is not None
            if entry is not None and entry != (len(chunk.ids), chunk.digest()):
                raise UsageError(
                    f"tasks {chunk.ids[0]} to {chunk.ids[-1]} are defined otherwise than when they were sent; the job "
                    "may have the old ones, and tasks cannot be changed",
                    next_step="resume with the file as it was, or submit under another --job-id",
                )
            if chunk.seq not in self._checkpoint.done:
                self._unsettled.append(chunk)
            yield chunk

    def possibly_sent(self) -> int:
        """Tasks of chunks that a former run may have added, and this one never sent."""
        return sum(len(chunk.ids) for chunk in self._unsettled if chunk.expected)

    def _cut(self) -> Chunk | None:
        try:
            chunk = next(self._chunks, None)
        except JobsError:
            raise
        except Exception as error:  # the stream is somebody else's code
            what = f"the input failed after {self.tasks} tasks: {type(error).__name__}: {error}"
            raise UsageError(what) from error
        if chunk is not None:
            self.counts.append(len(chunk.ids))
            self.tasks += len(chunk.ids)
        return chunk
