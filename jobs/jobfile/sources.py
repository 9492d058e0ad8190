"""From a checked job file to single tasks: the list, the sweep's product, or the rows of a file, streamed."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import JobFileError
from ..ids import IdSet
from .model import ID, JobFile, Task
from .placeholders import check_names, fill_task, values


def expand(file: JobFile, *, job_id: str, folder: Path) -> Iterator[Task]:
    """Every task of the file, placeholders filled, ids checked. `folder` is what a rows file is relative to.

    Ids already seen are remembered: Batch compares them without case, and silently skips a second one.
    """
    seen = IdSet()
    for index, task in enumerate(_tasks(file, job_id, folder)):
        if not ID.fullmatch(task.id):
            raise JobFileError([f"task {index}: id {task.id!r}: expected 1 to 64 letters, digits, '-' and '_'"])
        if doubled := seen.add_all([task.id]):
            where = f"is also the id of task {doubled[1]}"
            raise JobFileError([f"task {index}: id {task.id!r} {where} (case does not count); make ids differ"])
        yield task
    if not seen.count:
        raise JobFileError(["the file gives no tasks; a job without tasks would end at once"])


def _tasks(file: JobFile, job_id: str, folder: Path) -> Iterator[Task]:
    if file.tasks.tasks is not None:
        yield from file.tasks.tasks
        return
    template = file.tasks.template
    assert template is not None
    for index, row in enumerate(_rows(file, folder)):
        yield fill_task(template, {**row, "job_id": job_id, "index": str(index)})


def _rows(file: JobFile, folder: Path) -> Iterator[Mapping[str, str]]:
    if file.tasks.sweep is not None:
        names = list(file.tasks.sweep)
        for combination in itertools.product(*(values(source) for source in file.tasks.sweep.values())):
            yield dict(zip(names, combination, strict=True))
        return
    assert file.tasks.rows is not None
    assert file.tasks.template is not None
    path = folder / file.tasks.rows.file
    known: frozenset[str] | None = None
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for line, row in _csv(stream, path) if path.suffix == ".csv" else _json_lines(stream, path):
                if known != frozenset(row):
                    known = frozenset(row)
                    if problems := check_names(file.tasks.template, tuple(row)):
                        raise JobFileError([f"{path}:{line}: {problem}" for problem in problems])
                yield row
    except (OSError, UnicodeDecodeError) as error:
        raise JobFileError([f"{path}: rows cannot be read: {error}"]) from error


def _csv(stream: Any, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(stream, strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise JobFileError(
                    [f"{path}:{reader.line_num}: expected {len(reader.fieldnames or [])} columns as in the header"]
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
