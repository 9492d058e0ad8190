"""Bytes on the socket: TDS packets and TLS in its two places.

In TDS 7.x the TLS handshake travels inside packets of type 0x12, later records are plain; in TDS 8.0 (strict) TLS comes
first. Owns framing; not what messages mean. Blocks: one thread has one connection. [MS-TDS] 2.2.3, 3.3.5.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
from typing import Final

from local.azure.sql.errors import ConnectionClosed, ProtocolError

BATCH, RPC, REPLY, ATTENTION, TRANSACTION, LOGIN7, PRELOGIN = 0x01, 0x03, 0x04, 0x06, 0x0E, 0x10, 0x12
_LAST: Final = 0x01
_HEADER: Final = 8
_MOST_BYTES: Final = 64 * 1024 * 1024  # of one message: more is refused before memory is spent
SPID: Final = 51


class Wire:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._buffer = bytearray()
        self.packet_size = 4096

    def receive(self) -> tuple[int, bytes]:
        """A whole message: its type and its body."""
        body = bytearray()
        while True:
            kind, status, length = struct.unpack(">BBH", self._read(_HEADER)[:4])
            if length < _HEADER:
                raise ProtocolError(f"a packet of {length} bytes is shorter than its header")
            body += self._read(length - _HEADER)
            if len(body) > _MOST_BYTES:
                raise ProtocolError(f"a message of more than {_MOST_BYTES} bytes is refused; send it in parts")
            if status & _LAST:
                return kind, bytes(body)

    def send(self, body: bytes, kind: int = REPLY) -> None:
        """A whole message, in packets of the agreed size."""
        size = self.packet_size - _HEADER
        pieces = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
        packets = bytearray()
        for number, piece in enumerate(pieces, 1):
            last = _LAST if number == len(pieces) else 0
            packets += struct.pack(">BBHHBB", kind, last, len(piece) + _HEADER, SPID, number & 255, 0) + piece
        if self._tls is not None:
            self._tls.write(bytes(packets))
            packets = bytearray(self._outgoing.read())
        self._sock.sendall(packets)

    def start_tls(self, context: ssl.SSLContext, *, wrapped: bool) -> None:
        """Shake hands; `wrapped` in 0x12 packets (TDS 7.x) or not (TDS 8.0)."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                finished = True
            except ssl.SSLWantReadError:
                finished = False
            if out := self._outgoing.read():
                header = struct.pack(">BBHHBB", PRELOGIN, _LAST, len(out) + _HEADER, 0, 0, 0)
                self._sock.sendall(header + out if wrapped else out)
            if finished:
                break
            self._incoming.write(self.receive()[1] if wrapped else self._raw())
        self._tls = tls

    def has_input(self, seconds: float) -> bool:
        """Whether the client says something within this time."""
        return bool(self._buffer) or bool(select.select([self._sock], [], [], seconds)[0])

    def peek(self, count: int) -> bytes:
        """The first bytes, left where they are (before TLS only)."""
        return self._sock.recv(count, socket.MSG_PEEK)

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def _read(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._buffer += self._some()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _some(self) -> bytes:
        if self._tls is None:
            return self._raw()
        while True:
            try:
                if data := self._tls.read(65536):
                    return data
                raise ConnectionClosed
            except ssl.SSLWantReadError:
                self._incoming.write(self._raw())

    def _raw(self) -> bytes:
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionClosed
        return data
