"""The tokens of a reply: results, messages, changes of environment, ends of statements. [MS-TDS] 2.2.7."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from local.azure.sql.errors import SqlError
from local.azure.sql.tds.values import COLLATION, Value, column

DONE, DONE_PROC, DONE_IN_PROC = 0xFD, 0xFE, 0xFF
MORE, FAILED, COUNTED, CANCELLED = 0x01, 0x02, 0x10, 0x20
# DONE.CurCmd: without it the Microsoft driver reports -1 affected rows.
COMMANDS: Final = {"SELECT": 0xC1, "INSERT": 0xC3, "DELETE": 0xC4, "UPDATE": 0xC5, "MERGE": 0x117}
_OTHER_COMMAND: Final = 0xC6
SERVER_NAME: Final = "local-azure-sql"
PROGRAM_VERSION: Final = bytes([16, 0, 3, 232])
NULLABLE: Final = 0x0009
_DESCRIPTOR: Final = b"\x08" + struct.pack("<Q", 1)
_NO_DESCRIPTOR: Final = b"\x00"


def short_text(text: str) -> bytes:
    """B_VARCHAR."""
    return bytes([len(text)]) + text.encode("utf-16-le")


def long_text(text: str) -> bytes:
    """US_VARCHAR."""
    return struct.pack("<H", len(text)) + text.encode("utf-16-le")


def done(token: int = DONE, status: int = 0, count: int | None = None, verb: str = "") -> bytes:
    """The end of a statement; `count` rows were seen or changed."""
    flags = status | (0 if count is None else COUNTED)
    return struct.pack("<BHHQ", token, flags, COMMANDS.get(verb, _OTHER_COMMAND), count or 0)


def without_more(reply: bytes) -> bytes:
    """The reply with its last DONE saying that no more follows (a driver would wait for it)."""
    token, status, command, count = struct.unpack("<BHHQ", reply[-13:])
    return reply[:-13] + struct.pack("<BHHQ", token, status & ~MORE, command, count)


def result(names: Sequence[str], rows: Sequence[Sequence[Value]]) -> bytes:
    """Columns and rows."""
    out = bytearray(struct.pack("<BH", 0x81, len(names)))
    writers = []
    for index, name in enumerate(names):
        kind, write = column([row[index] for row in rows])
        writers.append(write)
        out += struct.pack("<IH", 0, NULLABLE) + kind + short_text(name)
    for row in rows:
        out += b"\xd1" + b"".join(write(value) for write, value in zip(writers, row, strict=True))
    return bytes(out)


def error(problem: SqlError) -> bytes:
    """An ERROR token."""
    return _message(0xAA, problem.shown_number, problem.state, problem.severity, problem.message)


def info(number: int, text: str) -> bytes:
    """An INFO token."""
    return _message(0xAB, number, 2, 0, text)


def environment(kind: int, new: bytes, old: bytes) -> bytes:
    """An ENVCHANGE token."""
    body = bytes([kind]) + new + old
    return struct.pack("<BH", 0xE3, len(body)) + body


def database_changed(new: str, old: str) -> bytes:
    """The token that names the database, sent at login and after USE."""
    change = environment(1, short_text(new), short_text(old))
    return change + info(5701, f"Changed database context to '{new}'.")


def transaction_begun() -> bytes:
    """The token for the begin of a transaction."""
    return environment(8, _DESCRIPTOR, _NO_DESCRIPTOR)


def transaction_ended(*, kept: bool) -> bytes:
    """The token for the end of a transaction, also of one that an error rolled back."""
    return environment(9 if kept else 10, _NO_DESCRIPTOR, _DESCRIPTOR)


def collation_changed() -> bytes:
    """The server's collation."""
    return environment(7, bytes([len(COLLATION)]) + COLLATION, b"\x00")


def login_acknowledged(tds_version: bytes) -> bytes:
    """LOGINACK."""
    body = b"\x01" + tds_version + short_text("Microsoft SQL Server") + PROGRAM_VERSION
    return struct.pack("<BH", 0xAD, len(body)) + body


def returned(name: str, value: int) -> bytes:
    """RETURNVALUE: an integer output parameter."""
    head = struct.pack("<BH", 0xAC, 0) + short_text(name) + b"\x01" + struct.pack("<IH", 0, 0)
    return head + b"\x26\x04\x04" + struct.pack("<i", value)


def return_status(status: int = 0) -> bytes:
    """RETURNSTATUS of a procedure."""
    return struct.pack("<Bi", 0x79, status)


def _message(token: int, number: int, state: int, severity: int, text: str) -> bytes:
    body = struct.pack("<IBB", number, state, severity)
    body += long_text(text) + short_text(SERVER_NAME) + short_text("") + struct.pack("<I", 1)
    return struct.pack("<BH", token, len(body)) + body
