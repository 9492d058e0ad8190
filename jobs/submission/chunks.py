"""From a stream of definitions to collections the service takes: at most 100 tasks and about a megabyte each.

Every task is serialised once (again only when a part of its chunk has to be sent again). The same stream always gives
the same chunks with the same digests: a resumed submission relies on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from pydantic_core import to_json

from ..errors import UsageError
from ..ids import IdSet

MAX_TASKS: Final = 100  # the service's limit for a collection
MAX_BYTES: Final = 1_000_000  # below its 1 MiB (1048576) for a request's body
_OPEN, _CLOSE = b'{"value":', b"}"
_ENVELOPE: Final = len(_OPEN) + len(_CLOSE) + 1


@dataclass(slots=True)
class Chunk:
    """Tasks that are sent together. `expected`: a former run may have sent it, so `TaskExists` says nothing new."""

    seq: int
    ids: list[str]
    definitions: list[Mapping[str, Any]]
    body: bytes
    expected: bool = False

    def part(self, places: Sequence[int]) -> bytes:
        """The body for some of the tasks."""
        return self.body if len(places) == len(self.ids) else _body([self.definitions[place] for place in places])

    def digest(self) -> str:
        return sha256(self.body).hexdigest()[:24]


def cut(definitions: Iterable[Mapping[str, Any]], seen: IdSet) -> Iterator[Chunk]:
    """Chunks in order. Raises `UsageError` for an id that is there twice, before the chunk with it is given out."""
    stream, seq = iter(definitions), 0
    while group := list(itertools.islice(stream, MAX_TASKS)):
        try:
            ids = [definition["id"] for definition in group]
            parts = _fitting(group)
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
        for start, end, body in parts:
            yield Chunk(seq, ids[start:end], group[start:end], body)
            seq += 1


def _fitting(group: list[Mapping[str, Any]]) -> list[tuple[int, int, bytes]]:
    """The group as few bodies within the limit, in order; a task above it has a body of its own."""
    if len(to_json(group[0])) * len(group) < 4 * MAX_BYTES:  # so that a hundred big ones are not written at once
        body = _body(group)
        if len(body) <= MAX_BYTES:
            return [(0, len(group), body)]
    found: list[tuple[int, int, bytes]] = []
    texts: list[bytes] = []
    start, size = 0, _ENVELOPE
    for place, definition in enumerate(group):
        text = to_json(definition)
        if texts and size + len(text) + 1 > MAX_BYTES:
            found.append((start, place, _joined(texts)))
            start, size, texts = place, _ENVELOPE, []
        texts.append(text)
        size += len(text) + 1
    return [*found, (start, len(group), _joined(texts))]


def _body(definitions: list[Mapping[str, Any]]) -> bytes:
    return b"".join((_OPEN, to_json(definitions), _CLOSE))


def _joined(texts: list[bytes]) -> bytes:
    return b"".join((_OPEN, b"[", b",".join(texts), b"]", _CLOSE))
