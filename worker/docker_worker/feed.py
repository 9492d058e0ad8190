"""Rows of a CSV or JSON lines file as items, each with the key that makes adding it twice harmless.

The rules of reading are those of a job file's rows (docs/jobfile.md, "Text"): what can be taken in two ways is
refused with file and line. Memory: one row at a time. The limits are those of `jobs`; a test compares them.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from .errors import InputError
from .log import units

FORMATS: Final = ("csv", "jsonl")
KEY_LENGTH: Final = 200  # units of UTF-16
BATCH: Final = 100  # items a transaction
MOST_CELL: Final = 131_072
MOST_LINE: Final = 2**20
MOST_NUMBER: Final = 4300
MOST_DEPTH: Final = 100

_BLOCK: Final = 65_536  # bytes
_END_OF_LINE: Final = re.compile(r"\r\n|\r|\n")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"?')
_UTF32: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: where it began, its key, and its data as the JSON text that is stored."""

    line: int
    key: str
    data: str


class Number(str):
    """A number of a JSON text, as it is written there."""

    __slots__ = ()


def format_of(name: str, given: str | None) -> str:
    """The format that was named, or the one that the file's name ends in."""
    found = given or Path(name).suffix.removeprefix(".").lower()
    if found == "ndjson":
        found = "jsonl"
    if found not in FORMATS:
        raise InputError(
            f"the format of {name!r} is not known",
            cause="its name ends in neither .csv nor .jsonl",
            next_step="give --format csv or --format jsonl",
        )
    return found


def rows(stream: BinaryIO, form: str, key: str | None, *, name: str = "-") -> Iterator[Row]:
    """The stream's rows with their keys: the named column, or a digest of the whole row. Raises InputError."""
    reader = _csv if form == "csv" else _json
    for line, data in reader(_lines(stream, name), name):
        yield Row(line=line, key=_key(data, key, name, line), data=_as_json(data))


def batches(source: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in portions of one transaction. What is wrong with a row is told after those before it were given out."""
    rest = iter(source)
    while True:
        portion, problem = list[Row](), None
        try:
            portion.extend(itertools.islice(rest, BATCH))
        except InputError as error:
            problem = error
        if portion:
            yield portion
        if problem is not None:
            raise problem
        if len(portion) < BATCH:
            return


def _lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, decoded as the file's first bytes say. LF, CR LF and CR end a line, nothing else."""
    first = _block(stream, name, 1)
    if first.startswith(_UTF32):
        raise _input_error(name, 1, "the file is UTF-32", "save it as UTF-8")
    encoding = "utf-16" if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    decoder = codecs.getincrementaldecoder(encoding)()
    rest, number, block = "", 1, first
    while True:
        try:
            text, failure = decoder.decode(block, final=not block), None
        except UnicodeDecodeError as error:
            text, failure = _decodable_part(error, encoding, number), error
        rest += text
        begin = 0
        for match in _END_OF_LINE.finditer(rest):
            if match.end() == len(rest) and match[0] == "\r" and block and failure is None:
                break  # the LF of a CR LF may follow in the next block
            yield number, _without_nul(rest[begin : match.end()], name, number)
            begin, number = match.end(), number + 1
        rest = rest[begin:]
        if failure is not None:
            raise _input_error(
                name, number, f"it is no {'UTF-16' if encoding == 'utf-16' else 'UTF-8'}", "save it as UTF-8"
            )
        if len(rest) > max(MOST_LINE, MOST_CELL * 8):
            raise _input_error(name, number, f"it has more than {MOST_LINE} characters", "correct the line")
        if not block:
            break
        block = _block(stream, name, number)
    if rest:
        yield number, _without_nul(rest, name, number)


def _block(stream: BinaryIO, name: str, number: int) -> bytes:
    """The next bytes. Raises InputError for what is no file to read, or a disk that fails."""
    try:
        return stream.read(_BLOCK)
    except OSError as error:
        raise _input_error(name, number, f"it cannot be read: {error.strerror or error}", "look at the disk") from error


def _decodable_part(error: UnicodeDecodeError, encoding: str, number: int) -> str:
    """What stands before the first wrong byte, so that the line of that is known."""
    data = error.object[: error.start]
    if encoding == "utf-16":  # behind the first block the mark is gone; the decoder remembers which end comes first
        return data.decode(error.encoding, "ignore")
    return data.decode("utf-8-sig" if number == 1 else "utf-8", "ignore")


def _without_nul(line: str, name: str, number: int) -> str:
    if "\0" in line:
        raise _input_error(name, number, "it has a NUL", "remove it: no key and no program can hold one")
    return line


def _csv(lines: Iterator[tuple[int, str]], name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Rows of a CSV by the columns of its first line."""
    columns: list[str] | None = None
    for number, cells in _csv_rows(lines, name):
        if columns is None:
            columns = cells
            twice = next((one for one in columns if columns.count(one) > 1), None)
            if twice is not None:
                raise _input_error(name, number, f"the column {twice!r} is there twice", "rename one of them")
            if any(not one.strip() for one in columns):
                raise _input_error(name, number, "a column has no name", "name every column in the first line")
            continue
        if len(cells) != len(columns):
            raise _input_error(
                name,
                number,
                f"the row has {len(cells)} values and the first line {len(columns)} names",
                "correct the row",
            )
        yield number, dict(zip(columns, cells, strict=True))


def _csv_rows(lines: Iterator[tuple[int, str]], name: str) -> Iterator[tuple[int, list[str]]]:
    """Cells of each row, with the line where the row begins."""
    csv.field_size_limit(MOST_CELL)
    numbered = _Numbered(lines)
    reader = csv.reader(numbered, strict=True)
    while True:
        numbered.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise _input_error(
                    name, numbered.first, "a quote is never closed", "close it, or double a quote that is meant as one"
                ) from error
            raise _input_error(name, numbered.first, f"it is no CSV: {error}", "correct the row") from error
        if not numbered.blank:
            yield numbered.first, cells


class _Numbered:
    """Lines on their way to the CSV reader, which says only where a row ended."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self._begins = True
        self.first = 1
        self.blank = False

    def begin(self) -> None:
        """The next line is the first one of a row."""
        self._begins = True
        self.blank = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = next(self._lines)
        if self._begins:
            self._begins = False
            self.first = number
            self.blank = not line.strip(" \t\r\n")
        return line


def _json(lines: Iterator[tuple[int, str]], name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of JSON lines. Numbers keep their text."""
    for number, line in lines:
        text = line.strip(" \t\r\n")
        if not text:
            continue
        if len(text) > MOST_LINE:
            raise _input_error(name, number, f"it has more than {MOST_LINE} characters", "shorten it")
        if _depth(text) > MOST_DEPTH:
            raise _input_error(name, number, f"it is nested deeper than {MOST_DEPTH} levels", "make it flatter")
        try:
            data = json.loads(
                text, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant, object_pairs_hook=_object
            )
        except ValueError as error:
            raise _input_error(name, number, f"it is no JSON: {error}", "correct it") from error
        if not isinstance(data, dict):
            raise _input_error(name, number, f"expected an object, got {text[:60]!r}", "write one object a line")
        yield number, data


def _depth(text: str) -> int:
    """How deep brackets are nested outside strings."""
    depth = most = 0
    for character in _STRING.sub("", text):
        if character in "[{":
            depth += 1
            most = max(most, depth)
        elif character in "]}":
            depth -= 1
    return most


def _number(text: str) -> Number:
    if len(text) > MOST_NUMBER:
        raise ValueError(f"a number has more than {MOST_NUMBER} characters")
    return Number(text)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"JSON has no number {text}; write it as a text")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key!r} is there twice")
        result[key] = value
        for text in (key, value):
            _refuse_unstorable(text)
    return result


def _refuse_unstorable(value: Any) -> None:
    if isinstance(value, list):
        for one in value:
            _refuse_unstorable(one)
    elif isinstance(value, str):
        if "\0" in value:
            raise ValueError("a text has a NUL")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("a text has half of a surrogate pair, which is no character")


def _as_json(value: Any, *, ordered: bool = False) -> str:
    """A row as JSON, numbers as they were written; `ordered`: in one order of keys, for its digest."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, Mapping):
        pairs = sorted(value.items()) if ordered else value.items()
        body = ", ".join(
            f"{json.dumps(key, ensure_ascii=ordered)}: {_as_json(one, ordered=ordered)}" for key, one in pairs
        )
        return "{" + body + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_as_json(one, ordered=ordered) for one in value) + "]"
    return json.dumps(value, ensure_ascii=ordered)


def _key(data: Mapping[str, Any], column: str | None, name: str, line: int) -> str:
    if column is None:
        return hashlib.sha256(_as_json(data, ordered=True).encode()).hexdigest()
    value = data.get(column, "")
    if isinstance(value, (list, Mapping)):
        raise _input_error(name, line, f"{column} is a list or an object, no key", "name another column with --key")
    found = "" if value is None else str(value)
    if not 0 < units(found) <= KEY_LENGTH:
        raise _input_error(
            name,
            line,
            f"{column} is {found[:60]!r}, and a key has 1 to {KEY_LENGTH} characters",
            "correct the row, or name another column with --key",
        )
    return found


def _input_error(name: str, line: int, cause: str, next_step: str) -> InputError:
    return InputError(
        f"{name}, line {line}, is wrong", cause=cause, next_step=f"{next_step}; nothing from there on was added"
    )
