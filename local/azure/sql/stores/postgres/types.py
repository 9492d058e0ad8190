"""Values between T-SQL and PostgreSQL, in its text format."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from local.azure.sql.stores.postgres.client import Parameter
from local.azure.sql.tds.values import Value

_INFERRED, _BYTEA, _BIGINT, _INT, _TEXT, _DOUBLE, _NUMERIC = 0, 17, 20, 23, 25, 701, 1700


def parameter(value: Value) -> Parameter:
    """A parameter by its own type; text takes the type of its place, as T-SQL converts it."""
    if value is None:
        return _INFERRED, None
    if isinstance(value, bytes):
        return _BYTEA, b"\\x" + value.hex().encode()
    if isinstance(value, int):
        return (_INT if -(2**31) <= value < 2**31 else _BIGINT), str(int(value)).encode()
    if isinstance(value, float):
        return _DOUBLE, repr(value).encode()
    if isinstance(value, Decimal):
        return _NUMERIC, str(value).encode()
    return _INFERRED, str(value).encode()


def retries(given: list[Parameter]) -> list[list[Parameter]]:
    """Other typings for a statement that PostgreSQL finds inconsistent: all inferred, then what is inferred as text."""
    inferred = [(_INFERRED, value) for _, value in given]
    text = [(_TEXT if kind == _INFERRED else kind, value) for kind, value in given]
    return [inferred, text]


def read(oid: int, data: bytes | None) -> Value:
    """A value of a row."""
    return None if data is None else _READERS.get(oid, bytes.decode)(data)


def _moment(data: bytes) -> dt.datetime:
    return dt.datetime.fromisoformat(data.decode())


_READERS: Final[dict[int, Callable[[bytes], Value]]] = {
    16: lambda data: int(data == b"t"),
    17: lambda data: bytes.fromhex(data[2:].decode()),
    20: int,
    21: int,
    23: int,
    26: int,
    700: float,
    701: float,
    1082: lambda data: dt.date.fromisoformat(data.decode()),
    1083: lambda data: dt.time.fromisoformat(data.decode()),
    1114: _moment,
    1184: _moment,
    1700: lambda data: Decimal(data.decode()),
    2950: lambda data: uuid.UUID(data.decode()),
}
