"""Bytes from outside as text, by the rules of docs/jobfile.md, "Text": which encodings are read, where lines end, and
which characters no value can hold. `files/load.py`, `files/expand/rows.py` and `service/connection.py` read through it.

The worker's `feed.py` follows the same rules; the worker and `jobs` share no code, so a test holds the two together.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, Final

MOST_LINE: Final = 1 << 20  # characters of a line of JSON: one request to Batch takes 1 MB
MOST_CELL: Final = 131_072  # characters of a CSV cell
MOST_NUMBER: Final = 4_300  # characters of a number: Python reads no longer one as an integer
MOST_DEPTH: Final = 100  # levels of lists and mappings in JSON and YAML

_UTF8: Final = "utf-8"
_MARKS: Final = (  # the longer ones first: UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, ""),
    (codecs.BOM_UTF32_BE, ""),
    (codecs.BOM_UTF8, _UTF8),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAVE: Final = "save it as UTF-8"
_ENDS: Final = re.compile(r"\r\n|\r|\n")
_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_FLAW: Final = re.compile("[\0\ud800-\udfff]")


class TextError(ValueError):
    """What is wrong with a text, and in which line (from 1)."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def decode(data: bytes) -> str:
    """The whole text, line ends as they are. Raises `TextError`."""
    return "".join(lines(io.BytesIO(data)))


def lines(stream: BinaryIO, most: int = -1) -> Iterator[str]:
    """The stream's lines with their ends: LF, CR LF or CR. Raises `TextError` for a line that is no text.

    `most`: characters that a line may have; a longer one is refused before it is read whole.
    """
    head = stream.read(4)
    encoding, size = _UTF8, 0
    for mark, name in _MARKS:
        if head.startswith(mark):
            encoding, size = name, len(mark)
            break
    if not encoding:
        raise TextError(1, f"the file is UTF-32; {_SAVE}")
    source = io.BufferedReader(_Rest(head[size:], stream))
    # Bytes that are no UTF-8 become surrogates U+DC80 to U+DCFF, which UTF-8 itself never gives: so the line is known.
    errors = "surrogateescape" if encoding == _UTF8 else "surrogatepass"
    text = io.TextIOWrapper(source, encoding=encoding, errors=errors, newline="")
    number = 0
    try:
        while line := text.readline(most + 3 if most >= 0 else -1):
            number += 1
            if not line.isascii() or "\0" in line:
                _check(line, number, encoding)
            if 0 <= most < len(line.rstrip("\r\n")):
                raise TextError(number, f"the line has more than {most} characters; split it")
            yield line
    except UnicodeDecodeError as error:  # UTF-16 that ends within a character
        raise TextError(number + 1, f"not UTF-16: {error.reason}; {_SAVE}") from error
    finally:
        text.detach()


class _Rest(io.RawIOBase):
    """The bytes read ahead, then the rest of the stream. Closing it leaves the stream open."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        super().__init__()
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data, self._head = self._head, b""
        data = data or self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _check(line: str, number: int, encoding: str) -> None:
    match = _FLAW.search(line)
    if match is None:
        return
    found = match.group()
    if found == "\0":
        more = "" if encoding != _UTF8 else f"; if it is UTF-16, {_SAVE}"
        raise TextError(number, f"a NUL is in the line, which no value can hold{more}")
    if encoding == _UTF8:
        byte = line[match.start()].encode(_UTF8, "surrogateescape")[0]
        raise TextError(number, f"byte 0x{byte:02x} is not UTF-8; {_SAVE}")
    raise TextError(number, f"half of a surrogate pair (U+{ord(found):04X}) is no character; {_SAVE}")


def whole(value: str) -> str:
    """The text with surrogate pairs as their characters: JSON and YAML write those above U+FFFF so."""
    if not _PAIR.search(value):
        return value
    return _PAIR.sub(lambda match: match.group().encode("utf-16", "surrogatepass").decode("utf-16"), value)


def flaw(value: str) -> str:
    """What no program, variable or id can hold in a text; empty for a good one."""
    match = None if value.isascii() and "\0" not in value else _FLAW.search(value)
    if match is None:
        return ""
    if match.group() == "\0":
        return "a NUL is in it, which no program or environment can be given; take it out"
    return f"half of a surrogate pair (U+{ord(match.group()):04X}) is in it, which is no character; take it out"


def line_of(text: str, place: int) -> int:
    """The line (from 1) of a place in a text."""
    return len(_ENDS.findall(text, 0, place)) + 1
