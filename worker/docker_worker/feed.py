"""Rows of a CSV or JSON lines file as items, each with the key that makes adding it twice harmless."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from .errors import InputError

FORMATS: Final = ("csv", "jsonl")
KEY_LENGTH: Final = 200
BATCH: Final = 100  # items a transaction

Row = tuple[str, Mapping[str, Any]]


def format_of(name: str, given: str | None) -> str:
    """The format that was named, or the one that the file's name ends in."""
    found = given or Path(name).suffix.removeprefix(".").lower()
    if found == "ndjson":
        found = "jsonl"
    if found not in FORMATS:
        raise InputError(
            f"the format of {name!r} is not known", cause="its name ends in neither .csv nor .jsonl",
            next_step="Give --format csv or --format jsonl",
        )  # fmt: skip
    return found


def rows(stream: TextIO, form: str, key: str | None) -> Iterator[Row]:
    """The stream's rows with their keys: the named column, or a digest of the whole row."""
    try:
        for number, data in enumerate(_read(stream, form), start=1):
            yield _key(data, key, number), data
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("the file is not text", cause=str(error), next_step="Save it as UTF-8") from error


def batches(source: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in portions of one transaction."""
    rest = iter(source)
    while portion := list(itertools.islice(rest, BATCH)):
        yield portion


def _read(stream: TextIO, form: str) -> Iterator[Mapping[str, Any]]:
    if form == "csv":
        for number, row in enumerate(csv.DictReader(stream), start=2):
            if None in row or None in row.values():
                raise _wrong(number, f"it has not as many values as the first line has names: {list(row.values())!r}")
            yield row
        return
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except json.JSONDecodeError as error:
            raise _wrong(number, f"it is no JSON: {error}") from error
        if not isinstance(data, dict):
            raise _wrong(number, f"expected an object, got {line.strip()[:60]!r}")
        yield data


def _key(data: Mapping[str, Any], name: str | None, number: int) -> str:
    if name is None:
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    found = str(data.get(name) if data.get(name) is not None else "")
    if not 0 < len(found) <= KEY_LENGTH:
        raise InputError(
            f"row {number} has {name} {found[:60]!r}", cause=f"a key has 1 to {KEY_LENGTH} characters",
            next_step="Correct the row, or name another column with --key",
        )  # fmt: skip
    return found


def _wrong(number: int, cause: str) -> InputError:
    return InputError(f"line {number} is wrong", cause=cause, next_step="Correct it; nothing after it was added")
