"""From a checked job file to single tasks, streamed: list, sweep, rows of a file, blobs, or a Python generator."""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol
from urllib.parse import quote

from ...errors import JobFileError
from ...ids import IdSet
from ..checks import limits
from ..checks.secrecy import ADVICE, looks_secret
from ..checks.task_ids import TaskIds
from ..document import Place
from ..model.job import JobFile, Task
from ..model.sweep import listed
from . import generator, rows
from .placeholders import check_names, fill_task

MOST_TOLD: Final = 10  # problems of tasks with their dependencies that are told at once
_NOT_FOR_IDS: Final = re.compile(r"[^A-Za-z0-9_-]+")
SLUG_LENGTH: Final = 48  # of an id's 64: so much is left for the rest of the id's template
DIGEST_LENGTH: Final = 12  # base 32: 60 bits tell a million names apart
Row = Mapping[str, str]
Axis = Mapping[str, Sequence[str]]  # columns whose values go together


class Listed(Protocol):
    """A blob of a listing."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...


ListBlobs = Callable[[str, str], tuple[str, Iterable[Listed]]]  # (container, prefix) -> container's URL, blobs


def expand(file: JobFile, *, job_id: str, folder: Path, list_blobs: ListBlobs | None = None) -> Iterator[Task]:
    """Every task of the file, placeholders filled, ids and dependencies checked. Files are relative to `folder`.

    A problem is told with the line of its row, or with that of the template. Whether dependencies are right is known
    only after the last task: who sends has to go through all tasks once before.
    """
    return (task for _, task in located(file, job_id=job_id, folder=folder, list_blobs=list_blobs))


def located(
    file: JobFile, *, job_id: str, folder: Path, list_blobs: ListBlobs | None = None
) -> Iterator[tuple[str, Task]]:
    """What `expand` gives, each with the `FILE:LINE` that it is from: its row, or the template."""
    ids = TaskIds[str](file.job)
    for where, task in _tasks(file, job_id, folder, list_blobs):
        if wrong := ids.note(where, task):
            raise JobFileError([_told(file, where, task.id, *wrong)])
        if never := limits.problem(task, file.job):
            place, what = never
            raise JobFileError([_told(file, where, task.id, ".".join(map(str, place)), what)])
        yield where or file.where(("tasks", "template")), task
    if not ids.count:
        raise JobFileError(
            [f"{file.where(('tasks',))}: tasks: the source gives no tasks; a job without tasks would end at once"]
        )
    found = ids.problems()
    first = [_told(file, where, task_id, "depends_on", what) for where, task_id, what in islice(found, MOST_TOLD)]
    if first:
        more = sum(1 for _ in found)
        raise JobFileError([*first, f"and {more} more of the kind"] if more else first)


def _told(file: JobFile, where: str, task_id: str, key: str, what: str) -> str:
    """A problem of one task, at its row or else at the template."""
    of_task = "" if key == "id" or not task_id else f"task {task_id!r}: "
    if where:
        return f"{where}: {key}: {of_task}{what}"
    return f"{file.where(('tasks', 'template', *_place(key)))}: tasks.template.{key}: {of_task}{what}"


def _place(key: str) -> Place:
    return tuple(int(part) if part.isdecimal() else part for part in key.split("."))


def _tasks(file: JobFile, job_id: str, folder: Path, list_blobs: ListBlobs | None) -> Iterator[tuple[str, Task]]:
    """(`FILE:LINE` of its row, the task); nothing in its place for one that is no row."""
    if file.tasks.tasks is not None:
        for index, task in enumerate(file.tasks.tasks):
            yield file.where(("tasks", "list", index)), task
        return
    template = file.tasks.template
    assert template is not None
    for index, (where, row) in enumerate(_rows(file, folder, list_blobs)):
        try:
            task = fill_task(template, {"job_id": job_id, "index": str(index), **row})
        except ValueError as error:
            raise JobFileError([_told(file, where, "", "command", str(error))]) from error
        yield where, task


def _rows(file: JobFile, folder: Path, list_blobs: ListBlobs | None) -> Iterator[tuple[str, Row]]:
    source, template = file.tasks, file.tasks.template
    assert template is not None
    if source.sweep is not None:
        yield from (("", row) for row in _sweep(source.sweep))
    elif source.blobs is not None:
        yield from (("", row) for row in _blobs(source.blobs.container, source.blobs.prefix, list_blobs))
    elif source.python is not None:
        yield from _checked(generator.rows_of(source.python, folder, file.where(("tasks", "python"))), template)
    else:
        assert source.rows is not None
        yield from _checked(rows.rows_of(folder / source.rows.file, file.where(("tasks", "rows", "file"))), template)


def _sweep(sweep: Mapping[str, Any]) -> Iterator[Row]:
    """The product of all values; those under `zip` go together."""
    axes: list[Axis] = []
    for name, values in sweep.items():
        columns = values if isinstance(values, dict) else {name: values}
        axes.append({column: listed(column_values) for column, column_values in columns.items()})
    yield from _product(axes)


def _product(axes: Sequence[Axis]) -> Iterator[dict[str, str]]:
    if not axes:
        yield {}
        return
    first, *rest = axes
    for together in zip(*first.values(), strict=True):
        part = dict(zip(first, together, strict=True))
        for others in _product(rest):
            yield part | others


def _blobs(container: str, prefix: str, list_blobs: ListBlobs | None) -> Iterator[Row]:
    if list_blobs is None:
        raise JobFileError(["tasks.blobs: without a stack no storage account is known. Use --stack"])
    url, found = list_blobs(container, prefix)
    slugs = Slugs()
    try:
        for blob in found:
            path = PurePosixPath(blob.name)
            yield {
                "name": blob.name,
                "file": path.name,
                "stem": path.stem,
                "slug": slugs.of(blob.name),
                "url": f"{url}/{quote(blob.name, safe='/~')}",
                "size": str(blob.size),
            }
    finally:
        slugs.close()


class Slugs:
    """A part of an id for each blob: its name with `-` for what no id has.

    A name that is too long, that has nothing an id could have, or whose slug another blob of the listing has (ids are
    compared without case), gets a digest of its whole name.
    """

    def __init__(self) -> None:
        self._taken = IdSet()

    def of(self, name: str) -> str:
        """The slug of the next blob: 1 to `SLUG_LENGTH` characters."""
        slug = _NOT_FOR_IDS.sub("-", name).strip("-")
        if 0 < len(slug) <= SLUG_LENGTH and self._taken.add_all([slug]) is None:
            return slug
        digest = b32encode(hashlib.sha256(name.encode(errors="surrogatepass")).digest()).decode().lower()
        for size in range(DIGEST_LENGTH, SLUG_LENGTH):
            result = f"{slug[: SLUG_LENGTH - size - 1].rstrip('-')}-{digest[:size]}".lstrip("-")
            if self._taken.add_all([result]) is None:
                return result
        raise JobFileError([f"tasks.blobs: blob {name!r} is listed twice; list the container again"])

    def close(self) -> None:
        self._taken.close()


def _checked(rows: Iterator[tuple[str, Row]], template: Task) -> Iterator[tuple[str, Row]]:
    """Rows whose columns the template knows. Columns may change from row to row; each set is checked once."""
    known: frozenset[str] | None = None
    for where, row in rows:
        if known != frozenset(row):
            known = frozenset(row)
            if problems := check_names(template, tuple(row)):
                raise JobFileError([f"{where}: {problem}" for problem in problems])
        if column := looks_secret(row):
            raise JobFileError([f"{where}: the value of {column!r} looks like a secret; {ADVICE}"])
        yield where, row
