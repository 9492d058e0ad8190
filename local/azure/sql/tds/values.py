"""Values: parameters as clients send them, and columns as they are sent back.

Parameters are read into Python's types (dates and uniqueidentifiers as ISO text, which takes the type of its place), a
column is typed by the values in it. [MS-TDS] 2.2.5.4, 2.2.5.5.
"""

from __future__ import annotations

import datetime as dt
import decimal
import struct
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from local.azure.sql.errors import NotSupported
from local.azure.sql.tds.reader import Reader

Value = int | float | str | bytes | decimal.Decimal | dt.datetime | dt.date | dt.time | uuid.UUID | None
Row = tuple[Value, ...]
COLLATION: Final = bytes.fromhex("0904d00034")  # SQL_Latin1_General_CP1_CI_AS
_WIDE_CONTEXT: Final = decimal.Context(prec=60)
_EPOCH: Final = dt.datetime(1900, 1, 1)
_FIXED: Final = {0x30: "<B", 0x32: "<B", 0x34: "<h", 0x38: "<i", 0x7F: "<q", 0x3E: "<d", 0x3B: "<f"}
_GUID, _INT, _BIT, _FLOAT, _MONEY, _DATETIME = 0x24, 0x26, 0x68, 0x6D, 0x6E, 0x6F
_DECIMALS: Final = (0x6A, 0x6C)
_DATE, _TIME, _DATETIME2, _OFFSET = 0x28, 0x29, 0x2A, 0x2B
_NARROW: Final = (0xA7, 0xAF)
_WIDE: Final = (0xE7, 0xEF)
_BINARY: Final = (0xA5, 0xAD)
_TEXT, _NTEXT, _IMAGE = 0x23, 0x63, 0x22


def read_value(reader: Reader) -> Value:
    """A parameter: type, then value."""
    kind = reader.number("<B")
    if kind == 0x1F:
        return None
    if form := _FIXED.get(kind):
        return reader.number(form)
    if kind in (_GUID, _INT, _BIT, _FLOAT, _MONEY, _DATETIME):
        reader.take(1)
        return _nullable(kind, reader)
    if kind in _DECIMALS:
        return _decimal(reader)
    if kind in (_DATE, _TIME, _DATETIME2, _OFFSET):
        return _temporal(kind, reader)
    if kind in _WIDE + _NARROW + _BINARY:
        return _variable(kind, reader)
    if kind in (_TEXT, _NTEXT, _IMAGE):
        return _large(kind, reader)
    raise NotSupported(f"parameters of type 0x{kind:02x}")


def _nullable(kind: int, reader: Reader) -> Value:
    data = reader.take(reader.number("<B"))
    if not data:
        return None
    if kind == _INT:
        return data[0] if len(data) == 1 else int.from_bytes(data, "little", signed=True)
    if kind == _BIT:
        return data[0]
    if kind == _FLOAT:
        return struct.unpack("<f" if len(data) == 4 else "<d", data)[0]
    if kind == _MONEY:
        if len(data) == 8:
            high, low = struct.unpack("<iI", data)
            return ((high << 32) | low) / 10000
        return int.from_bytes(data, "little", signed=True) / 10000
    if kind == _DATETIME:
        days, ticks = struct.unpack("<iI" if len(data) == 8 else "<HH", data)
        seconds = ticks / 300 if len(data) == 8 else ticks * 60
        return (_EPOCH + dt.timedelta(days=days, seconds=seconds)).isoformat(" ")
    return str(uuid.UUID(bytes_le=data))


def _decimal(reader: Reader) -> Value:
    _, _, scale = reader.take(3)
    data = reader.take(reader.number("<B"))
    if not data:
        return None
    number = int.from_bytes(data[1:], "little")
    return decimal.Decimal(number if data[0] else -number).scaleb(-scale)


def _temporal(kind: int, reader: Reader) -> Value:
    scale = 0 if kind == _DATE else reader.number("<B")
    data = Reader(reader.take(reader.number("<B")))
    if not data.left:
        return None
    clock = dt.timedelta()
    if kind != _DATE:
        ticks = int.from_bytes(data.take(data.left - {_TIME: 0, _DATETIME2: 3, _OFFSET: 5}[kind]), "little")
        clock = dt.timedelta(microseconds=ticks * 10.0 ** (6 - scale))
    if kind == _TIME:
        return (dt.datetime(1, 1, 1) + clock).time().isoformat()
    day = dt.datetime(1, 1, 1) + dt.timedelta(days=int.from_bytes(data.take(3), "little"))
    if kind == _DATE:
        return day.date().isoformat()
    if kind == _DATETIME2:
        return (day + clock).isoformat(" ")
    zone = dt.timezone(dt.timedelta(minutes=data.number("<h")))
    return (day + clock).replace(tzinfo=dt.UTC).astimezone(zone).isoformat(" ")


def _variable(kind: int, reader: Reader) -> Value:
    most = reader.number("<H")
    if kind not in _BINARY:
        reader.take(len(COLLATION))
    if most == 0xFFFF:
        if reader.number("<Q") == 0xFFFFFFFFFFFFFFFF:
            return None
        data = b""
        while size := reader.number("<I"):
            data += reader.take(size)
    else:
        size = reader.number("<H")
        if size == 0xFFFF:
            return None
        data = reader.take(size)
    return data if kind in _BINARY else data.decode("utf-16-le" if kind in _WIDE else "cp1252")


def _large(kind: int, reader: Reader) -> Value:
    reader.take(4)
    if kind != _IMAGE:
        reader.take(len(COLLATION))
    size = reader.number("<i")
    if size < 0:
        return None
    data = reader.take(size)
    return data if kind == _IMAGE else data.decode("utf-16-le" if kind == _NTEXT else "cp1252")


def column(values: Sequence[Value]) -> tuple[bytes, Callable[[Value], bytes]]:
    """The type of a column with these values, and how to write one of them."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int) for value in known):
        return _integers(known)  # type: ignore[arg-type]
    if known and all(isinstance(value, (int, decimal.Decimal)) for value in known):
        return _decimals([decimal.Decimal(value) for value in known])  # type: ignore[arg-type]
    if known and (temporal := _moments(known)):
        return temporal
    if known and all(isinstance(value, uuid.UUID) for value in known):
        return b"\x24\x10", lambda v: b"\x10" + v.bytes_le if isinstance(v, uuid.UUID) else b"\x00"
    if known and all(isinstance(value, (int, float)) for value in known):
        return b"\x6d\x08", lambda v: b"\x00" if v is None else b"\x08" + struct.pack("<d", v)
    if known and all(isinstance(value, bytes) for value in known):
        return _strings(0xA5, known, b"", lambda v: bytes(v))  # type: ignore[arg-type]
    return _strings(0xE7, known, COLLATION, lambda v: str(v).encode("utf-16-le"))


def _integers(known: Sequence[int]) -> tuple[bytes, Callable[[Value], bytes]]:
    size = 4 if all(-(2**31) <= value < 2**31 for value in known) else 8

    def write(value: Value) -> bytes:
        if not isinstance(value, int):
            return b"\x00"
        return bytes([size]) + value.to_bytes(size, "little", signed=True)

    return bytes([0x26, size]), write


def _decimals(known: Sequence[decimal.Decimal]) -> tuple[bytes, Callable[[Value], bytes]]:
    """DECIMAL(38, s): s is the longest fraction among the values."""
    scale = max(0, *(-int(value.as_tuple().exponent) for value in known))
    if scale > 38 or any(abs(value) >= decimal.Decimal(10) ** (38 - scale) for value in known):
        return b"\x6d\x08", lambda v: b"\x00" if v is None else b"\x08" + struct.pack("<d", v)

    def write(value: Value) -> bytes:
        if not isinstance(value, (int, decimal.Decimal)):
            return b"\x00"
        number = int(decimal.Decimal(value).scaleb(scale, _WIDE_CONTEXT))
        return b"\x11" + bytes([number >= 0]) + abs(number).to_bytes(16, "little")

    return bytes([0x6C, 17, 38, scale]), write


def _moments(known: Sequence[Value]) -> tuple[bytes, Callable[[Value], bytes]] | None:
    """DATE, TIME, DATETIME2 or DATETIMEOFFSET, with the microseconds that Python has; None for anything else."""
    if all(isinstance(value, dt.datetime) for value in known):
        if all(value.tzinfo is not None for value in known):  # type: ignore[union-attr]
            return bytes([_OFFSET, 6]), _written(lambda v: _clock(v.astimezone(dt.UTC)) + _zone(v))
        return bytes([_DATETIME2, 6]), _written(_clock)
    if all(type(value) is dt.date for value in known):
        return bytes([_DATE]), _written(_days)
    if all(isinstance(value, dt.time) for value in known):
        return bytes([_TIME, 6]), _written(_ticks)
    return None


def _written(encode: Callable[..., bytes]) -> Callable[[Value], bytes]:
    def write(value: Value) -> bytes:
        if value is None:
            return b"\x00"
        data = encode(value)
        return bytes([len(data)]) + data

    return write


def _clock(value: dt.datetime) -> bytes:
    return _ticks(value.time()) + _days(value.date())


def _days(value: dt.date) -> bytes:
    return (value.toordinal() - 1).to_bytes(3, "little")


def _ticks(value: dt.time) -> bytes:
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return (seconds * 1_000_000 + value.microsecond).to_bytes(5, "little")


def _zone(value: dt.datetime) -> bytes:
    return struct.pack("<h", int((value.utcoffset() or dt.timedelta()).total_seconds() // 60))


def _strings(
    kind: int, known: Sequence[Value], collation: bytes, encode: Callable[[Value], bytes]
) -> tuple[bytes, Callable[[Value], bytes]]:
    """Up to 8,000 bytes with a short length, else in the (max) form."""
    if any(len(encode(value)) > 8000 for value in known):

        def write_long(value: Value) -> bytes:
            if value is None:
                return b"\xff" * 8
            data = encode(value)
            body = struct.pack("<I", len(data)) + data if data else b""
            return struct.pack("<Q", len(data)) + body + bytes(4)

        return struct.pack("<BH", kind, 0xFFFF) + collation, write_long

    def write(value: Value) -> bytes:
        if value is None:
            return b"\xff\xff"
        data = encode(value)
        return struct.pack("<H", len(data)) + data

    return struct.pack("<BH", kind, 8000) + collation, write
