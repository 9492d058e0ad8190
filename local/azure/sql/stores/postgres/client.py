"""A connection to PostgreSQL: its wire protocol, version 3, over a Unix socket. Bytes only; no SQL of its own.

https://www.postgresql.org/docs/15/protocol-flow.html. Written here, and not a driver, for two things that a session
needs: a wait that also looks at the client (a cancelled statement), and the savepoint before a statement in the same
packet as the statement. Blocks; one thread has one connection.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_PROTOCOL: Final = 196608  # 3.0
_CANCEL: Final = 80877102
_LOOK_SECONDS: Final = 0.05
_CONNECT_SECONDS: Final = 10.0

Parameter = tuple[int, bytes | None]  # type oid (0: as the server infers it) and the value as text


class Refused(Exception):
    """PostgreSQL's ERROR: its fields by their letter ('C' is the code, 'M' the message)."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields, self.code = fields, fields.get("C", "")
        super().__init__(f"{self.code} {fields.get('M', '')}")


class Lost(Exception):
    """The connection ended: the database was shut down, or died."""


@dataclass
class Answer:
    """Columns as (name, type oid), rows as text, and the command's tag (`UPDATE 3`)."""

    columns: list[tuple[str, int]] = field(default_factory=list)
    rows: list[list[bytes | None]] = field(default_factory=list)
    tag: str = ""
    described: bool = False


class Client:
    """One connection. `look` is called while the server is busy and may raise: then the statement is cancelled."""

    def __init__(self, address: Path, *, user: str, database: str) -> None:
        self._address, self._buffer = str(address), bytearray()
        self._key = b""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(_CONNECT_SECONDS)
            self._socket.connect(self._address)
            body = struct.pack(">I", _PROTOCOL)
            for text in ("user", user, "database", database, "client_encoding", "UTF8"):
                body += text.encode() + b"\0"
            self._socket.sendall(struct.pack(">I", len(body) + 5) + body + b"\0")
            self._until_ready(1)
        except OSError as error:
            self._socket.close()
            raise Lost(f"{self._address}: {error}") from error
        except BaseException:
            self._socket.close()
            raise
        self._socket.settimeout(None)

    def script(self, sql: str) -> None:
        """Run statements without parameters or results."""
        self._send(_message(b"Q", sql.encode() + b"\0"))
        self._until_ready(1)

    def query(
        self, sql: str, parameters: Sequence[Parameter] = (), *, first: str = "", look: Callable[[], None] | None = None
    ) -> Answer:
        """Run one statement; `first` is a script that runs before it, sent with it."""
        packet = _message(b"Q", first.encode() + b"\0") if first else b""
        kinds = struct.pack(f">H{len(parameters)}I", len(parameters), *(kind for kind, _ in parameters))
        packet += _message(b"P", b"\0" + sql.encode() + b"\0" + kinds)
        values = b"".join(
            struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value for _, value in parameters
        )
        packet += _message(b"B", b"\0\0" + struct.pack(">HH", 0, len(parameters)) + values + struct.pack(">H", 0))
        packet += _message(b"D", b"P\0") + _message(b"E", b"\0" + struct.pack(">I", 0)) + _message(b"S", b"")
        self._send(packet)
        return self._until_ready(2 if first else 1, look)

    def close(self) -> None:
        """Say good-bye."""
        with contextlib.suppress(OSError):
            self._socket.sendall(_message(b"X", b""))
        self._socket.close()

    def _send(self, packet: bytes) -> None:
        try:
            self._socket.sendall(packet)
        except OSError as error:
            raise Lost(str(error)) from error

    def _until_ready(self, times: int, look: Callable[[], None] | None = None) -> Answer:
        """Read to the `times`-th ReadyForQuery; raises the first error then."""
        answer, problem, cancelled = Answer(), None, None
        while times:
            if look is not None and cancelled is None:
                try:
                    self._wait(look)
                except BaseException as reason:
                    cancelled = reason
                    self._cancel()
            kind, body = self._receive()
            if kind == b"T":
                answer = Answer(columns=_columns(body), described=True)
            elif kind == b"D":
                answer.rows.append(_row(body))
            elif kind == b"C":
                answer.tag = body[:-1].decode()
            elif kind == b"E":
                problem = problem or Refused(_fields(body))
            elif kind == b"K":
                self._key = body
            elif kind == b"R" and struct.unpack(">I", body[:4])[0] != 0:
                raise Lost("PostgreSQL asks for a password: its pg_hba.conf is not the one that we write")
            elif kind == b"Z":
                times -= 1
        if cancelled is not None:
            raise cancelled
        if problem is not None:
            raise problem
        return answer

    def _wait(self, look: Callable[[], None]) -> None:
        while not self._buffer and not select.select([self._socket], [], [], _LOOK_SECONDS)[0]:
            look()

    def _cancel(self) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as other:
            other.settimeout(_CONNECT_SECONDS)
            other.connect(self._address)
            other.sendall(struct.pack(">II", 16, _CANCEL) + self._key)
            other.recv(1)

    def _receive(self) -> tuple[bytes, bytes]:
        head = self._take(5)
        return head[:1], self._take(struct.unpack(">I", head[1:])[0] - 4)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                raise Lost(str(error)) from error
            if not data:
                raise Lost("PostgreSQL closed the connection")
            self._buffer += data
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


def _columns(body: bytes) -> list[tuple[str, int]]:
    columns, at = [], 2
    for _ in range(struct.unpack(">H", body[:2])[0]):
        end = body.index(b"\0", at)
        columns.append((body[at:end].decode(), struct.unpack(">I", body[end + 7 : end + 11])[0]))
        at = end + 19
    return columns


def _row(body: bytes) -> list[bytes | None]:
    row: list[bytes | None] = []
    at = 2
    for _ in range(struct.unpack(">H", body[:2])[0]):
        size = struct.unpack(">i", body[at : at + 4])[0]
        at += 4
        if size < 0:
            row.append(None)
        else:
            row.append(body[at : at + size])
            at += size
    return row


def _fields(body: bytes) -> dict[str, str]:
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
