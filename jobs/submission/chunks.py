"""From a stream of definitions to collections the service takes: at most 100 tasks and about a megabyte each.

Every task is serialised once, here or before. The same stream always gives the same chunks with the same digests: a
resumed submission relies on it.
"""

from __future__ import annotations

import itertools
import json
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
                f"{error!r}"
            ) from error
        if (doubled := seen.add_all(ids)) is not None:
            task_id, first = doubled
            raise UsageError(
                f"task {seen.count}: id {task_id!r} is also the id of task {first} (case does not count). "
                "Make the ids differ; the service would silently keep only the first"
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
