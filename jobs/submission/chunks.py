"""From a stream of definitions to collections the service takes: at most 100 tasks and about a megabyte each.

Every task is serialised once, here or before. The same stream always gives the same chunks with the same digests: a
resumed submission relies on it. A `ChunkAttempt` is one chunk on its way: which of its tasks have to be sent together,
and what is known of those that were sent. Nothing is sent here; `submitter` does that.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

from pydantic_core import to_json

from ..errors import UsageError
from .spool import SerialisedTask

MAX_TASKS: Final = 100  # the service's limit for a collection
MAX_BYTES: Final = 1_000_000  # below its 1 MiB (1048576) for a request's body
_OPEN, _CLOSE = b'{"value":', b"}"
_ENVELOPE: Final = len(_OPEN) + len(_CLOSE) + 1


class Ids(Protocol):
    """The ids that were cut so far (`jobs.ids.IdSet`): tells one that is there twice, and its first place."""

    count: int

    def add_all(self, ids: list[str]) -> tuple[str, int] | None: ...
    def __iter__(self) -> Iterator[str]: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Chunk:
    """Tasks that are sent together. `expected`: a former run may have sent it, so `TaskExists` says nothing new."""

    seq: int
    ids: list[str]
    texts: list[bytes]
    body: bytes
    expected: bool = False

    def part(self, places: Sequence[int]) -> bytes:
        """The body for some of the tasks."""
        return self.body if len(places) == len(self.ids) else _joined([self.texts[place] for place in places])

    def definition(self, place: int) -> Any:
        return json.loads(self.texts[place])

    def digest(self) -> str:
        return sha256(self.body).hexdigest()[:24]


def cut(tasks: Iterable[Mapping[str, Any] | SerialisedTask], seen: Ids) -> Iterator[Chunk]:
    """Chunks in order. Raises `UsageError` for an id that is there twice, before the chunk with it is given out."""
    stream, seq = iter(tasks), 0
    while group := list(itertools.islice(stream, MAX_TASKS)):
        try:
            ids, texts = _serialised(group)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"one of the tasks {seen.count} to {seen.count + len(group) - 1} cannot be written as JSON with an id: "
                f"{error!r}",
                next_step="correct what gives the tasks",
            ) from error
        if (doubled := seen.add_all(ids)) is not None:
            task_id, first = doubled
            raise UsageError(
                f"task {seen.count}: id {task_id!r} is also the id of task {first} (case does not count)",
                next_step="make the ids differ; the service would silently keep only the first",
            )
        for start, end in _fitting(texts):
            part = texts[start:end]
            yield Chunk(seq, ids[start:end], part, _joined(part))
            seq += 1


def _serialised(group: Sequence[Mapping[str, Any] | SerialisedTask]) -> tuple[list[str], list[bytes]]:
    ids, texts = [], []
    for task in group:
        if isinstance(task, SerialisedTask):
            ids.append(task.id)
            texts.append(task.text)
        else:
            ids.append(task["id"])
            texts.append(to_json(task))
    return ids, texts


def _fitting(texts: list[bytes]) -> Iterator[tuple[int, int]]:
    """Where to cut, so that each body is within the limit; a task above it is alone."""
    start, size = 0, _ENVELOPE
    for place, text in enumerate(texts):
        if place > start and size + len(text) + 1 > MAX_BYTES:
            yield start, place
            start, size = place, _ENVELOPE
        size += len(text) + 1
    yield start, len(texts)


def _joined(texts: list[bytes]) -> bytes:
    return b"".join((_OPEN, b"[", b",".join(texts), b"]", _CLOSE))


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
        """Take the answer to the part that was sent: its tasks have their verdicts but those at `again`, sent next."""
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
