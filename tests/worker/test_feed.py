"""The feed: text in every form is read as it is meant, or refused with its line; key and data are what a row says."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from worker.docker_worker.errors import InputError
from worker.docker_worker.feed import BATCH, Row, batches, rows
from worker.docker_worker.log import storable, units

CSV = 'id,name\n1,café\n2,"a\r\nb"\n'


class Slow(io.RawIOBase):
    """A stream that gives a byte at a time, as a pipe may: an end of line or a character falls between two reads."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(4 if self._data.tell() == 0 else 1)


def read(data: bytes, form: str = "csv", key: str | None = None) -> list[Row]:
    return list(rows(io.BytesIO(data), form, key, name="in"))


def refused(data: bytes, form: str = "csv", key: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read(data, form, key)
    return str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_form_of_text_is_the_same_rows(encoding: str, end: str) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    text = f'id,name{end}1,café{end}{end}2,"a{end}b"{end}'
    data = mark + text.encode(encoding)
    found = read(data, key="id")
    assert [(row.key, json.loads(row.data)["name"]) for row in found] == [("1", "café"), ("2", f"a{end}b")]
    assert [row.line for row in found] == [2, 4]
    assert list(rows(Slow(data), "csv", "id")) == found  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_wrong_character_far_behind_the_beginning_is_told_with_its_line(encoding: str) -> None:
    good = "".join(f'{{"id": {number}, "name": "{"x" * 40}"}}\n' for number in range(3000))
    mark = b"" if encoding == "utf-8" else "\ufeff".encode(encoding)
    half = "\ud800a".encode(encoding, "surrogatepass")
    found = rows(io.BytesIO(mark + good.encode(encoding) + half), "jsonl", "id", name="in")
    given: list[str] = []
    with pytest.raises(InputError, match="in, line 3001, is wrong"):
        given.extend(row.key for row in found)
    assert given == [str(number) for number in range(3000)]


def test_a_disk_that_fails_is_told_with_the_line_and_what_was_read_before_is_given_out() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            if not found:
                raise OSError(5, "Input/output error")
            return found

    found = rows(Failing(b'{"id": 1}\n{"id": 2}\n{"id"'), "jsonl", "id", name="in")
    assert [next(found).key, next(found).key] == ["1", "2"]
    with pytest.raises(InputError, match="in, line 3, is wrong; it cannot be read: Input/output error"):
        next(found)


def test_only_line_ends_end_a_line() -> None:
    strange = "a\u2028b\x85c\x0bd\x0ce"
    assert json.loads(read(f"id\n{strange}\n".encode())[0].data) == {"id": strange}
    assert json.loads(
        read(f'{{"id": "{strange}"}}\n'.replace("\x0b", "").replace("\x0c", "").encode(), "jsonl")[0].data
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"id\n1\n\xff\xfe2\n", "line 3"),
        ("id\ncafé\n".encode("latin-1"), "line 2"),
        ("id\n1\n".encode("utf-32"), "UTF-32"),
        ("id\n1\n".encode("utf-16-le"), "NUL"),
        (b"\xff\xfei\x00d\x00\n\x00\x41", "line 2"),
        (b"id\n1\n2\0\n", "line 3"),
        (b'id,v\n1,"a\n2,b\n', "line 2, is wrong; a quote is never closed"),
        (b'id,v\n1,"a"b\n', "line 2"),
        (b"id,v\n1\n", "line 2, is wrong; the row has 1 values and the first line 2 names"),
        (b"id,v\n1,2,3\n", "the row has 3 values"),
        (b"id,id\n1,2\n", "the column 'id' is there twice"),
        (b"id,\n1,2\n", "a column has no name"),
        (b"id\n" + b"a" * 131_073 + b"\n", "131072"),
    ],
)
def test_a_csv_that_can_be_taken_in_two_ways_is_refused_with_its_line(data: bytes, said: str) -> None:
    text = refused(data)
    assert said in text
    assert "in, line" in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"a": NaN}', "no number NaN"),
        ('{"a": -Infinity}', "no number -Infinity"),
        ('{"a": 1, "a": 2}', "there twice"),
        (r'{"a": "\ud800"}', "half of a surrogate pair"),
        (r'{"\udc00": 1}', "half of a surrogate pair"),
        (r'{"a": ["\ud800x"]}', "half of a surrogate pair"),
        (r'{"a": "\u0000"}', "a text has a NUL"),
        ('{"a": ' + "[" * 101 + "]" * 101 + "}", "nested deeper than 100"),
        ('{"a": ' + "9" * 4301 + "}", "more than 4300"),
        ("[1]", "expected an object"),
        ('{"a": 1} {"b": 2}', "it is no JSON"),
        ("{'a': 1}", "it is no JSON"),
        ('{"a": "' + "x" * 2**20 + '"}', "more than 1048576"),
    ],
)
def test_a_wrong_line_of_json_is_refused_with_its_number(line: str, said: str) -> None:
    text = refused(f'{{"a": 0}}\n\n{line}\n'.encode(), "jsonl")
    assert "line 3" in text
    assert said in text


def test_numbers_are_stored_as_they_are_written() -> None:
    line = r'{"a": 1.10, "b": 1e400, "c": 1234567890123456789012345678901, "d": "\ud83d\ude00", "e": [true, null]}'
    [row] = read(line.encode(), "jsonl")
    assert row.data == line.replace(r"\ud83d\ude00", "😀")


def test_rows_have_the_keys_that_they_had_before() -> None:
    """A digest of the row; so that a file that is added again after an update of the worker adds nothing."""
    [row] = read(b'{"b": 1, "a": "\xc3\xa4", "c": 2.5}', "jsonl")
    assert row.key == "08e3005c76256706083fb3653c721c52e34217a84f9d0716b417d8f04b704172"
    assert row.key != read(b'{"b": 1, "a": "\xc3\xa4", "c": 2.50}', "jsonl")[0].key


@pytest.mark.parametrize(
    ("line", "key"), [('{"k": 1.10}', "1.10"), ('{"k": "007"}', "007"), ('{"k": 7}', "7"), ('{"k": true}', "True")]
)
def test_a_key_is_the_text_of_its_column(line: str, key: str) -> None:
    assert read(line.encode(), "jsonl", "k")[0].key == key


@pytest.mark.parametrize("value", ['""', "null", "[1]", "{}", f'"{"x" * 201}"', f'"{"😀" * 101}"'])
def test_a_row_without_a_key_that_can_be_stored_is_refused(value: str) -> None:
    assert "line 1" in refused(f'{{"k": {value}}}'.encode(), "jsonl", "k")
    assert "line 1" in refused(b"{}", "jsonl", "k")


def test_rows_before_a_wrong_one_are_given_out_first() -> None:
    def source() -> Iterator[Row]:
        for number in range(BATCH + 2):
            yield Row(line=number, key=str(number), data="{}")
        raise InputError("x", cause="y", next_step="z")

    given = batches(source())
    assert len(next(given)) == BATCH
    assert len(next(given)) == 2
    with pytest.raises(InputError):
        next(given)


@pytest.mark.parametrize("text", ["plain", "\ud800", "a\0b\x1b[2J", "😀" * 3000, "\ud83d", "x" * 5000, "é" * 2000])
def test_any_text_can_be_stored(text: str) -> None:
    made = storable(text, 2000)
    assert units(made) <= 2000
    made.encode("utf-16-le")  # raises for halves
    assert "\0" not in made
    assert made.startswith(text[:2]) or "\\u" in made
