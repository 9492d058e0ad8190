"""From a checked job file to single tasks, streamed: list, sweep, rows of a file, blobs, or a Python generator."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

from ..errors import JobFileError
from ..ids import IdSet
from .generator import rows_of
from .model import ID, ZIP, JobFile, Task, listed
from .placeholders import check_names, fill_task
from .secrecy import ADVICE, looks_secret

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
    """Every task of the file, placeholders filled, ids checked. `folder` is what files are relative to.

    Ids already seen are remembered: Batch compares them without case, and silently skips a second one.
    """
    seen = IdSet()
    for index, task in enumerate(_tasks(file, job_id, folder, list_blobs)):
        if not ID.fullmatch(task.id):
            raise JobFileError([f"task {index}: id {task.id!r}: expected 1 to 64 letters, digits, '-' and '_'"])
        if doubled := seen.add_all([task.id]):
            where = f"is also the id of task {doubled[1]}"
            raise JobFileError([f"task {index}: id {task.id!r} {where} (case does not count); make ids differ"])
        yield task
    if not seen.count:
        raise JobFileError(["the file gives no tasks; a job without tasks would end at once"])


def _tasks(file: JobFile, job_id: str, folder: Path, list_blobs: ListBlobs | None) -> Iterator[Task]:
    if file.tasks.tasks is not None:
        yield from file.tasks.tasks
        return
    template = file.tasks.template
    assert template is not None
    for index, row in enumerate(_rows(file, folder, list_blobs)):
        yield fill_task(template, {**row, "job_id": job_id, "index": str(index)})


def _rows(file: JobFile, folder: Path, list_blobs: ListBlobs | None) -> Iterator[Row]:
    source, template = file.tasks, file.tasks.template
    assert template is not None
    if source.sweep is not None:
        yield from _sweep(source.sweep)
    elif source.blobs is not None:
        yield from _blobs(source.blobs.container, source.blobs.prefix, list_blobs)
    elif source.python is not None:
        yield from _checked(rows_of(source.python, folder), template)
    else:
        assert source.rows is not None
        yield from _checked(_file(folder / source.rows.file), template)


def _sweep(sweep: Mapping[str, Any]) -> Iterator[Row]:
    """The product of all values; those under `zip` go together."""
    axes: list[list[dict[str, str]]] = []
    for name, values in sweep.items():
        if name == ZIP:
            columns = [listed(column) for column in values.values()]
            axes.append([dict(zip(values, together, strict=True)) for together in zip(*columns, strict=True)])
        else:
            axes.append([{name: value} for value in listed(values)])
    for parts in itertools.product(*axes):
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


def _checked(rows: Iterator[tuple[str, dict[str, str]]], template: Task) -> Iterator[Row]:
    """Rows whose columns the template knows. Columns may change from row to row; each set is checked once."""
    known: frozenset[str] | None = None
    for where, row in rows:
        if known != frozenset(row):
            known = frozenset(row)
            if problems := check_names(template, tuple(row)):
                raise JobFileError([f"{where}: {problem}" for problem in problems])
        if column := looks_secret(row):
            raise JobFileError([f"{where}: the value of {column!r} looks like a secret; {ADVICE}"])
        yield row


def _file(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for line, row in _csv(stream, path) if path.suffix == ".csv" else _json_lines(stream, path):
                yield f"{path}:{line}", row
    except (OSError, UnicodeDecodeError) as error:
        raise JobFileError([f"{path}: rows cannot be read: {error}"]) from error


def _csv(stream: Any, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(stream, strict=True)
    try:
        names = reader.fieldnames or []
        if len(set(names)) != len(names):
            raise JobFileError([f"{path}:1: a column is there twice in {', '.join(names)}; rename one"])
        for row in reader:
            if None in row or None in row.values():
                raise JobFileError([f"{path}:{reader.line_num}: expected {len(names)} columns as in the header"])
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
