"""One chunk on its way: which of its tasks have to be sent together, and what is known of those that were sent.

Places are those of the tasks in the chunk. Nothing is sent here; `submitter` does that.
"""

from __future__ import annotations

from collections import deque

from .chunks import Chunk


class ChunkAttempt:
    """`failures`: requests in a row without a verdict on any task, since `failing_since` (the submitter's time)."""

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.failures = 0
        self.failing_since: float | None = None
        self.renewals = 0  # of the credential
        # Whether a request may have been carried out without our hearing of it: `TaskExists` is then our own task.
        self.ambiguous = chunk.expected
        self._parts: deque[list[int]] = deque([list(range(len(chunk.ids)))])
        self._sent: set[int] = set()  # without a verdict, and perhaps carried out

    def next(self, largest: int) -> tuple[list[int], bytes] | None:
        """What to send now, of at most `largest` bytes if it can be divided. None: every task has its verdict."""
        while self._parts:
            part = self._parts[0]
            body = self.chunk.part(part)
            if len(body) <= largest or len(part) == 1:
                return part, body
            self.halve()
        return None

    def send(self) -> None:
        """What `next` gave is sent now."""
        self._sent.update(self._parts[0])

    def not_carried_out(self) -> None:
        """The service refused what was sent before it looked at any task."""
        if not self.ambiguous:
            self._sent.difference_update(self._parts[0])

    def failed(self, now: float) -> None:
        """What was sent got no verdict on any task."""
        self.failures += 1
        if self.failing_since is None:
            self.failing_since = now

    def halve(self) -> None:
        """The service did not take it as a whole, so nothing of it was carried out."""
        part = self._parts.popleft()
        self._sent.difference_update(part)
        middle = len(part) // 2
        self._parts.extendleft((part[middle:], part[:middle]))

    def judged(self, again: list[int]) -> None:
        """Every task of what was sent has its verdict, but for those to send again."""
        part = self._parts.popleft()
        self._sent.difference_update(set(part).difference(again))
        if len(again) < len(part):
            self.failures = 0
            self.failing_since = None
            self.renewals = 0
        if again:
            self._parts.appendleft(again)

    def ids(self, part: list[int]) -> list[str]:
        return self.chunk.ids if len(part) == len(self.chunk.ids) else [self.chunk.ids[place] for place in part]

    def left(self) -> tuple[list[str], int]:
        """The tasks without a verdict, and how many of them may be in the job."""
        places = [place for part in self._parts for place in part]
        return [self.chunk.ids[place] for place in places], sum(place in self._sent for place in places)
