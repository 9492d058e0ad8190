"""The rules of docs/jobfile.md, "Text": one table of inputs for both readers of rows, that of `jobs` and the worker's
feed, which share no code; then the words of `jobs` for each refusal (the worker's are in tests/worker/test_feed.py).
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import text
from jobs.errors import JobFileError, UsageError
from jobs.files.expand.rows import rows_of
from jobs.service.connection import connect
from tests.jobs.fakes import OUTPUTS
from worker.docker_worker import feed
from worker.docker_worker.errors import InputError

ROWS = "id,name\n1,café\n2,b\n"
READ = [{"id": "1", "name": "café"}, {"id": "2", "name": "b"}]


Found = list[tuple[int, dict[str, str]]] | int  # rows with the lines where they begin, or the line that was refused


def read_by_jobs(tmp_path: Path, data: bytes, form: str) -> Found:
    path = tmp_path / f"rows.{form}"
    path.write_bytes(data)
    try:
        return [(int(place.rpartition(":")[2]), row) for place, row in rows_of(path, "job.yaml:4")]
    except JobFileError as error:
        return int(error.problems[0].removeprefix(f"{path}:").partition(":")[0])


def read_by_the_worker(_: Path, data: bytes, form: str) -> Found:
    try:
        found = list(feed.rows(io.BytesIO(data), form, None, name="in"))
    except InputError as error:
        line = re.match(r"in, line (\d+), is wrong", str(error))
        assert line, error
        return int(line[1])
    return [(row.line, json.loads(row.data, parse_int=str, parse_float=str)) for row in found]


def one(**row: str) -> Found:
    return [(2, row)]


BOTH = [(2, {"id": "1", "name": "café"}), (3, {"id": "2", "name": "b"})]
LONG = "x" * 131_072
CSV: dict[str, tuple[bytes, Found]] = {
    "UTF-8": (ROWS.encode(), BOTH),
    "a mark of UTF-8": (codecs.BOM_UTF8 + ROWS.encode(), BOTH),
    "UTF-16 with its mark": (ROWS.encode("utf-16"), BOTH),
    "UTF-16, big end first": (codecs.BOM_UTF16_BE + ROWS.encode("utf-16-be"), BOTH),
    "CR LF": (ROWS.replace("\n", "\r\n").encode(), BOTH),
    "CR": (ROWS.replace("\n", "\r").encode(), BOTH),
    "no end of the last line": (ROWS.removesuffix("\n").encode(), BOTH),
    "blank lines": (b"\n \t\nid\n\n1\n\n", [(5, {"id": "1"})]),
    "nothing": (b"", []),
    "a mark alone": (codecs.BOM_UTF8, []),
    "line ends and blank lines in quotes": (b'a,b\r\n"x\r\n\n y\rz",w\r\n', one(a="x\r\n\n y\rz", b="w")),
    "other separators end nothing": ("a\np\u2028q\x0b\x0c\x85\x1cr\n".encode(), one(a="p\u2028q\x0b\x0c\x85\x1cr")),
    "a quote within a cell": (
        b'a,b\n5" pipe,1\n6" pipe,2\n',
        [(2, {"a": '5" pipe', "b": "1"}), (3, {"a": '6" pipe', "b": "2"})],
    ),
    "one quote within a cell": (b'a\nit is 5" long\nx\n', [(2, {"a": 'it is 5" long'}), (3, {"a": "x"})]),
    "doubled quotes": (b'a\n"say ""x"""\n', one(a='say "x"')),
    "empty cells": (b'a,b\n,""\n', one(a="", b="")),
    "blanks stay": (b"a\n x \n", one(a=" x ")),
    "a number keeps its text": (b"a,b,c\n007,1.10,1e400\n", one(a="007", b="1.10", c="1e400")),
    "names differ by case": (b"a,A\n1,2\n", one(a="1", A="2")),
    "the longest cell": (f"a\n{LONG}\n".encode(), one(a=LONG)),
    "a character of two units": ("a\n\U0001f600\n".encode("utf-16"), one(a="\U0001f600")),
    "Latin-1": (ROWS.encode("latin-1"), 2),
    "UTF-32": (ROWS.encode("utf-32"), 1),
    "UTF-16 without its mark": (ROWS.encode("utf-16-le"), 1),
    "UTF-16 that ends within a character": (ROWS.encode("utf-16")[:-1], 3),
    "half of a pair in UTF-16": (codecs.BOM_UTF16_LE + "a\nx".encode("utf-16-le") + b"\x00\xd8\n\0", 2),
    "a NUL": (b"id\n1\n2\0\n", 3),
    "a NUL in quotes": (b'id\n"1\n2\0"\n', 3),
    "a surrogate as UTF-8": (b"id\n1\n\xed\xa0\x80\n", 3),
    "a wrong byte far behind": (b"id\n" + b"1234567\n" * 20_000 + b"\xff\n", 20_002),
    "a quote that is never closed": (b'id,name\n1,a\n2,"b\n3,c\n', 3),
    "text after a closing quote": (b'id,name\n1,"a"b\n', 2),
    "too few cells": (b"id,name\n1\n", 2),
    "too many cells": (b"id,name\n\n1,2,3\n", 3),
    "a column twice": (b"id,id\n1,2\n", 1),
    "a column without a name": (b"\nid, ,x\n1,2,3\n", 2),
    "a cell above the longest": (f"a\n{LONG}x\n".encode(), 2),
    "a long cell over many lines": (b'a\n"' + b"1234567\n" * 20_000 + b'"\n', 2),
}
JSON: dict[str, tuple[str, Found]] = {
    "texts": ('{"id": "1", "name": "café"}', one(id="1", name="café")),
    "blanks around": (' \t{"a": "x"}\t ', one(a="x")),
    "numbers": ('{"a": 1.10, "b": 1e400, "c": -0.0, "d": 1E+2}', one(a="1.10", b="1e400", c="-0.0", d="1E+2")),
    "forty digits": ('{"a": ' + "1" * 40 + "}", one(a="1" * 40)),
    "the longest number": ('{"a": ' + "1" * 4300 + "}", one(a="1" * 4300)),
    "a pair of surrogates": ('{"a": "\\ud83d\\ude00"}', one(a="\U0001f600")),
    "an escaped line end": ('{"a": "x\\r\\ny"}', one(a="x\r\ny")),
    "other separators": ('{"a": "x\u2028y\x85"}', one(a="x\u2028y\x85")),
    "brackets in a text": ('{"a": "' + "[{" * 200 + '"}', one(a="[{" * 200)),
    "nothing but blanks": ("  ", []),
    "NaN": ('{"a": NaN}', 2),
    "-Infinity": ('{"a": -Infinity}', 2),
    "a key twice": ('{"a": 1, "a": 2}', 2),
    "half of a pair": ('{"a": "\\ud800"}', 2),
    "half of a pair in a name": ('{"\\udfff": "x"}', 2),
    "a NUL as an escape": ('{"a": "x\\u0000"}', 2),
    "a NUL in a name": ('{"x\\u0000": "x"}', 2),
    "a list": ("[1]", 2),
    "a text": ('"x"', 2),
    "two objects": ('{"a": 1} {"b": 2}', 2),
    "no JSON": ("{'a': 1}", 2),
    "half an object": ('{"a": ', 2),
    "a control character": ('{"a": "x\ty"}', 2),
    "a number above the longest": ('{"a": ' + "9" * 4301 + "}", 2),
    "an integer above the longest, negative": ('{"a": -' + "9" * 4300 + "}", 2),
    "deep lists": ("[" * 200_000, 2),
    "deep objects": ('{"a":' * 5000, 2),
    "a line above the longest": ('{"a": "' + "x" * (1 << 20) + '"}', 2),
}
Reader = Callable[[Path, bytes, str], Found]
READERS = pytest.mark.parametrize("reader", [read_by_jobs, read_by_the_worker])


@READERS
@pytest.mark.parametrize("case", CSV)
def test_a_csv_file_is_the_same_rows_or_refused_at_the_same_line_by_both_readers(
    tmp_path: Path, reader: Reader, case: str
) -> None:
    data, expected = CSV[case]
    assert reader(tmp_path, data, "csv") == expected


@READERS
@pytest.mark.parametrize("case", JSON)
@pytest.mark.parametrize(("encoding", "end"), [("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("utf-16", "\r")])
def test_a_line_of_json_is_the_same_row_or_refused_at_the_same_line_by_both_readers(
    tmp_path: Path, reader: Reader, case: str, encoding: str, end: str
) -> None:
    line, expected = JSON[case]
    assert reader(tmp_path, f"{end}{line}{end}".encode(encoding), "jsonl") == expected


def rows(tmp_path: Path, data: bytes, name: str = "rows.csv") -> list[dict[str, str]]:
    (tmp_path / name).write_bytes(data)
    return [row for _, row in rows_of(tmp_path / name, "job.yaml:4")]


def refusal(tmp_path: Path, data: bytes, name: str = "rows.csv") -> str:
    with pytest.raises(JobFileError) as caught:
        rows(tmp_path, data, name)
    (problem,) = caught.value.problems
    return problem.removeprefix(f"{tmp_path}/")


@pytest.mark.parametrize(
    "data",
    [
        ROWS.encode(),
        codecs.BOM_UTF8 + ROWS.encode(),
        ROWS.encode("utf-16"),
        codecs.BOM_UTF16_BE + ROWS.encode("utf-16-be"),
        ROWS.replace("\n", "\r\n").encode(),
        ROWS.replace("\n", "\r").encode(),
        ROWS.removesuffix("\n").encode(),
        ROWS.replace("\n", "\n\n \t\n").encode(),
        b"\n" + ROWS.encode(),
        b'"id","name"\n"1",caf\xc3\xa9\n2,"b"\n',
    ],
)
@pytest.mark.parametrize("name", ["rows.csv", "ROWS.CSV"])
def test_a_csv_file_gives_the_same_rows_however_it_was_saved(tmp_path: Path, data: bytes, name: str) -> None:
    assert rows(tmp_path, data, name) == READ


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.ndjson"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_lines_give_the_same_rows_however_they_were_saved(
    tmp_path: Path, name: str, end: str, encoding: str
) -> None:
    data = end.join(json.dumps(row, ensure_ascii=False) for row in READ)
    assert rows(tmp_path, data.encode(encoding), name) == READ


def test_line_ends_inside_of_quotes_stay_and_other_separators_end_nothing(tmp_path: Path) -> None:
    data = 'a,b\r\n"x\r\n\n y\rz","p\u2028q\x0b\x85r"\r\n'.encode()
    assert rows(tmp_path, data) == [{"a": "x\r\n\n y\rz", "b": "p\u2028q\x0b\x85r"}]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (ROWS.encode("latin-1"), "rows.csv:2: byte 0xe9 is not UTF-8; save it as UTF-8"),
        (ROWS.encode("utf-32"), "rows.csv:1: the file is UTF-32; save it as UTF-8"),
        (ROWS.encode("utf-16-le"), "rows.csv:1: a NUL is in the line, which no value can hold; if it is UTF-16, save"),
        (ROWS.encode("utf-16")[:-1], "rows.csv:3: not UTF-16"),
        (b"id\n1\n2\0\n", "rows.csv:3: a NUL is in the line"),
        (b"id\n1\n\xed\xa0\x80\n", "rows.csv:3: byte 0xed is not UTF-8"),
        (
            b'id,name\n1,a\n2,"b\n3,c\n',
            "rows.csv:3: not CSV: a quote is never closed; correct the row that begins here",
        ),
        (b'id,name\n1,"a"b\n', "rows.csv:2: not CSV"),
        (b"id,name\n1\n", "rows.csv:2: expected 2 columns as in the header, got 1"),
        (b"id,name\n\n1,2,3\n", "rows.csv:3: expected 2 columns as in the header, got 3"),
        (b"id,id\n1,2\n", "rows.csv:1: a column is there twice in id, id; rename one"),
        (b"\nid,,x\n1,2,3\n", "rows.csv:2: column 2 has no name; add it"),
        (b"id\n" + b"x" * 131_073 + b"\n", "rows.csv:2: not CSV: field larger than field limit"),
    ],
)
def test_a_csv_file_that_cannot_be_read_is_told_with_the_line_where_the_row_begins(
    tmp_path: Path, data: bytes, told: str
) -> None:
    assert refusal(tmp_path, data).startswith(told)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('{"a": 1.10}', "1.10"),
        ('{"a": 1e400}', "1e400"),
        ('{"a": 123456789012345678901234567890123456789012345}', "123456789012345678901234567890123456789012345"),
        ('{"a": -0.0}', "-0.0"),
        ('{"a": 1E+2}', "1E+2"),
        ('{"a": "\\ud83d\\ude00"}', "\U0001f600"),
        (' {"a": "x"}\t', "x"),
    ],
)
def test_values_of_json_keep_their_text(tmp_path: Path, line: str, value: str) -> None:
    assert rows(tmp_path, line.encode(), "rows.jsonl") == [{"a": value}]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"a": NaN}', "not JSON: NaN is no number of JSON; write it as a text"),
        ('{"a": -Infinity}', "not JSON: -Infinity is no number of JSON; write it as a text"),
        ('{"a": 1, "a": 2}', "'a' is there twice in the object; rename one"),
        ('{"a": "\\ud800"}', "'a': half of a surrogate pair (U+D800) is in it"),
        ('{"a": "x\\u0000"}', "'a': a NUL is in it"),
        ('{"\\udfff": "x"}', "'\\udfff': half of a surrogate pair (U+DFFF) is in it"),
        ('{"a": true}', "expected an object of texts and numbers, got"),
        ('{"a": null}', "expected an object of texts and numbers, got"),
        ('{"a": [1]}', "expected an object of texts and numbers, got"),
        ('{"a": ' + "9" * 4301 + "}", "a number has more than 4300 characters; write it as a text"),
        ("[" * 200_000, "lists and objects are nested deeper than 100 levels"),
        ('{"a":' * 5000, "lists and objects are nested deeper than 100 levels"),
        ('{"a": "' + "x" * (1 << 20) + '"}', "the line has more than 1048576 characters; split it"),
        ('{"a": 1} {"b": 2}', "not JSON: Extra data"),
    ],
)
def test_a_line_of_json_that_cannot_be_taken_is_told_with_its_number(tmp_path: Path, line: str, told: str) -> None:
    assert refusal(tmp_path, f'{{"a": "1"}}\r\n\r\n{line}\n'.encode(), "rows.jsonl").startswith(f"rows.jsonl:3: {told}")


def test_the_line_of_a_long_file_is_found_behind_what_was_read_ahead(tmp_path: Path) -> None:
    data = b"id\n" + b"1234567\n" * 20_000 + b"\xff\n"
    assert refusal(tmp_path, data).startswith("rows.csv:20002: byte 0xff is not UTF-8")


def test_a_long_line_is_refused_before_it_is_read_whole() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            self.given += 8192
            assert self.given < 8 << 20
            return b"x" * 8192

    with pytest.raises(text.TextError, match="more than 1048576"):
        list(text.lines(Endless(), text.MOST_LINE))  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_stacks_outputs_are_read_however_a_shell_wrote_them(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(OUTPUTS), encoding=encoding)
    outputs = connect(None, file, {}).outputs
    assert outputs is not None
    assert outputs.sql_database == "app"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ('{"a":\n "é"}'.encode("latin-1"), r"outputs\.json:2: cannot be read: byte 0xe9 is not UTF-8"),
        (b"[" * 100_000, "cannot be read as JSON: .*recursion"),
    ],
)
def test_outputs_that_cannot_be_read_are_told(tmp_path: Path, data: bytes, told: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_bytes(data)
    with pytest.raises(UsageError, match=told):
        connect(None, file, {})
