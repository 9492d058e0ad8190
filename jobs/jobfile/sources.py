"""From a checked job file to single tasks, streamed: list, sweep, rows of a file, blobs, or a Python generator."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, product
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

from ..errors import JobFileError
from .generator import rows_of
from .model import ZIP, JobFile, Task, listed
from .placeholders import check_names, fill_task
from .secrecy import ADVICE, looks_secret
from .task_ids import TaskIds

MOST_TOLD: Final = 10  # problems of tasks with their dependencies that are told at once
_NOT_FOR_IDS: Final = re.compile(r"[^A-Za-z0-9_-]+")
Row = Mapping[str, str]


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
    of_task = "" if key == "id" else f"task {task_id!r}: "
    if where:
        return f"{where}: {key}: {of_task}{what}"
    return f"{file.where(('tasks', 'template', key))}: tasks.template.{key}: {of_task}{what}"


def _tasks(file: JobFile, job_id: str, folder: Path, list_blobs: ListBlobs | None) -> Iterator[tuple[str, Task]]:
    """(`FILE:LINE` of its row, the task); nothing in its place for one that is no row."""
    if file.tasks.tasks is not None:
        for index, task in enumerate(file.tasks.tasks):
            yield file.where(("tasks", "list", index)), task
        return
    template = file.tasks.template
    assert template is not None
    for index, (where, row) in enumerate(_rows(file, folder, list_blobs)):
        yield where, fill_task(template, {**row, "job_id": job_id, "index": str(index)})


def _rows(file: JobFile, folder: Path, list_blobs: ListBlobs | None) -> Iterator[tuple[str, Row]]:
    source, template = file.tasks, file.tasks.template
    assert template is not None
    if source.sweep is not None:
        yield from (("", row) for row in _sweep(source.sweep))
    elif source.blobs is not None:
        yield from (("", row) for row in _blobs(source.blobs.container, source.blobs.prefix, list_blobs))
    elif source.python is not None:
        yield from _checked(rows_of(source.python, folder, file.where(("tasks", "python"))), template)
    else:
        assert source.rows is not None
        yield from _checked(_file(folder / source.rows.file, file.where(("tasks", "rows", "file"))), template)


def _sweep(sweep: Mapping[str, Any]) -> Iterator[Row]:
    """The product of all values; those under `zip` go together."""
    axes: list[list[dict[str, str]]] = []
    for name, values in sweep.items():
        if name == ZIP:
            columns = [listed(column) for column in values.values()]
            axes.append([dict(zip(values, together, strict=True)) for together in zip(*columns, strict=True)])
        else:
            axes.append([{name: value} for value in listed(values)])
    for parts in product(*axes):
        row: dict[str, str] = {}
        for part in parts:
            row |= part
        yield row


def _blobs(container: str, prefix: str, list_blobs: ListBlobs | None) -> Iterator[Row]:
    if list_blobs is None:
        raise JobFileError(["tasks.blobs: without a stack no storage account is known. Use --stack"])
    url, found = list_blobs(container, prefix)
    for blob in found:
        path = PurePosixPath(blob.name)
        yield {
            "name": blob.name,
            "file": path.name,
            "stem": path.stem,
            "slug": _NOT_FOR_IDS.sub("-", blob.name).strip("-"),
            "url": f"{url}/{blob.name}",
            "size": str(blob.size),
        }


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


def _file(path: Path, where: str) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for line, row in _csv(stream, path) if path.suffix == ".csv" else _json_lines(stream, path):
                yield f"{path}:{line}", row
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise JobFileError([f"{where}: tasks.rows.file: {path} cannot be read: {cause}; correct the path"]) from error


def _csv(stream: Any, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(stream, strict=True)
    try:
        names = reader.fieldnames or []
        if len(set(names)) != len(names):
            raise JobFileError([f"{path}:1: a column is there twice in {', '.join(names)}; rename one"])
        for row in reader:
            if None in row or None in row.values():
                cells = sum(value is not None for name, value in row.items() if name) + len(row.get(None) or ())
                raise JobFileError(
                    [f"{path}:{reader.line_num}: expected {len(names)} columns as in the header, got {cells}"]
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise JobFileError([f"{path}:{reader.line_num}: not CSV: {error}"]) from error


def _json_lines(stream: Any, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise JobFileError([f"{path}:{number}: not JSON: {error.msg}"]) from error
        if not isinstance(row, dict) or any(
            isinstance(value, dict | list | bool) or value is None for value in row.values()
        ):
            raise JobFileError([f"{path}:{number}: expected an object of texts and numbers, got {line.strip():.60}"])
        yield number, {name: str(value) for name, value in row.items()}
