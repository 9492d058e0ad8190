"""Rows of a `.csv` or JSON lines file, as a stream: texts by column, each with the line where it begins."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ... import text
from ...errors import JobFileError

_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]')


class _Number(str):
    """A number of JSON as it is written."""

    __slots__ = ()


def rows_of(path: Path, where: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(`FILE:LINE`, row) for every row. `where` is the place in the job file that names the file."""
    try:
        with path.open("rb") as stream:
            csv_file = path.suffix.lower() == ".csv"
            source = text.lines(stream, -1 if csv_file else text.MOST_LINE)
            for line, row in _csv(source) if csv_file else _json_lines(source):
                yield f"{path}:{line}", row
    except (OSError, ValueError) as error:
        if isinstance(error, text.TextError):
            raise JobFileError([f"{path}:{error.line}: {error}"]) from error
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise JobFileError([f"{where}: tasks.rows.file: {path} cannot be read: {cause}; correct the path"]) from error


def _csv(source: Iterator[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with the line where each begins."""
    csv.field_size_limit(text.MOST_CELL)
    lines = _Counted(source)
    reader = csv.reader(lines, strict=True)
    names: list[str] = []
    while True:
        lines.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = "a quote is never closed" if "unexpected end of data" in str(error) else str(error)
            raise text.TextError(lines.first, f"not CSV: {what}; correct the row that begins here") from error
        if lines.blank:
            continue
        if not names:
            names = cells
            _check_names(names, lines.first)
        elif len(cells) != len(names):
            what = f"expected {len(names)} columns as in the header, got {len(cells)}"
            raise text.TextError(lines.first, what)
        else:
            yield lines.first, dict(zip(names, cells, strict=True))


class _Counted:
    """Lines on their way to the CSV reader, which says only where a row ended."""

    def __init__(self, source: Iterator[str]) -> None:
        self._source = source
        self._number = 0
        self.first = 1
        self.blank = False

    def begin(self) -> None:
        """The next line is the first one of a row."""
        self.first = self._number + 1
        self.blank = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._source)
        self._number += 1
        self.blank = self._number == self.first and not line.strip(" \t\r\n")
        return line


def _check_names(names: list[str], line: int) -> None:
    if len(set(names)) != len(names):
        raise text.TextError(line, f"a column is there twice in {', '.join(names)}; rename one")
    if any(not name.strip() for name in names):
        raise text.TextError(line, f"column {[not name.strip() for name in names].index(True) + 1} has no name; add it")


def _json_lines(source: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(source, 1):
        if not line.strip(" \t\r\n"):
            continue
        try:
            yield number, _object(line)
        except ValueError as error:
            raise text.TextError(number, str(error)) from error


def _object(line: str) -> dict[str, str]:
    """The columns of one line. Raises `ValueError` with what is wrong."""
    if line.count("[") + line.count("{") > text.MOST_DEPTH:
        _check_depth(line)
    try:
        row = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg}") from error
    if not isinstance(row, dict):
        raise ValueError(f"expected an object of texts and numbers, got {line.strip():.60}")
    for name, value in row.items():
        if not isinstance(value, str):
            raise ValueError(f"expected an object of texts and numbers, got {line.strip():.60}")
        if wrong := text.flaw(value) or text.flaw(name):
            raise ValueError(f"{name!r}: {wrong}")
    return {name: str(value) for name, value in row.items()}


def _check_depth(line: str) -> None:
    depth = 0
    for match in _BRACKETS.finditer(line):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match.group(), 0)
        if depth > text.MOST_DEPTH:
            raise ValueError(f"lists and objects are nested deeper than {text.MOST_DEPTH} levels")


def _number(written: str) -> _Number:
    if len(written) > text.MOST_NUMBER:
        raise ValueError(f"a number has more than {text.MOST_NUMBER} characters; write it as a text")
    return _Number(written)


def _constant(written: str) -> Any:
    raise ValueError(f"not JSON: {written} is no number of JSON; write it as a text")


def _columns(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is there twice in the object; rename one")
        found[name] = value
    return found


_DECODER: Final = json.JSONDecoder(
    parse_int=_number, parse_float=_number, parse_constant=_constant, object_pairs_hook=_columns
)
