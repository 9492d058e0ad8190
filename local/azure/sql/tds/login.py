"""The first messages of a connection: PRELOGIN and LOGIN7, read and answered. Pure bytes, no socket.

[MS-TDS] 2.2.6.4, 2.2.6.5. Encryption is not negotiable here: the answer to every client is that it is required.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from local.azure.sql.errors import ProtocolError
from local.azure.sql.tds import tokens
from local.azure.sql.tds.reader import Reader

_VERSION, _ENCRYPTION, _INSTANCE, _THREAD, _MARS, _FEDAUTH = 0, 1, 2, 3, 4, 6
_ENCRYPT_OFF, _ENCRYPT_ON, _NOT_SUPPORTED, _REQUIRED = 0, 1, 2, 3
_FEATURE_FEDAUTH, _FEATURE_UTF8 = 0x02, 0x0A
_LIBRARY_TOKEN: Final = 1  # SecurityToken: the client has its Entra token already
_VERSIONS: Final = {0x74: b"\x74\0\0\x04", 0x73: b"\x73\x0b\0\x03", 0x72: b"\x72\x09\0\x02", 0x08: b"\x08\0\0\0"}
_LEAST_PACKET, _MOST_PACKET = 512, 32767


def prelogin_answer(body: bytes) -> tuple[bytes, bool]:
    """The answer, and whether the client can encrypt at all."""
    options: dict[int, bytes] = {}
    at = 0
    while at < len(body) and body[at] != 0xFF:
        if at + 5 > len(body):
            raise ProtocolError("the prelogin message is cut off")
        option, offset, length = struct.unpack(">BHH", body[at : at + 5])
        options[option] = body[offset : offset + length]
        at += 5
    wish = (options.get(_ENCRYPTION) or bytes([_NOT_SUPPORTED]))[0]
    answer = {
        _VERSION: tokens.PROGRAM_VERSION + b"\0\0",
        _ENCRYPTION: bytes([_ENCRYPT_ON if wish == _ENCRYPT_ON else _REQUIRED]),
        _INSTANCE: b"\0",
        _THREAD: b"",
        _MARS: b"\0",
    }
    if _FEDAUTH in options:
        answer[_FEDAUTH] = b"\x01"
    head, data, start = b"", b"", 5 * len(answer) + 1
    for option, value in answer.items():
        head += struct.pack(">BHH", option, start + len(data), len(value))
        data += value
    return head + b"\xff" + data, wish != _NOT_SUPPORTED


@dataclass(frozen=True)
class LoginRequest:
    """What LOGIN7 asks for. Neither password nor token is ever shown."""

    version: int
    packet_size: int
    user: str
    password: str = field(repr=False)
    application: str
    database: str
    token: str | None = field(repr=False)
    features: frozenset[int]


def read_login(body: bytes) -> LoginRequest:
    """Read LOGIN7."""
    if len(body) < 94:
        raise ProtocolError(f"a LOGIN7 message of {len(body)} bytes is too short")

    def text(at: int) -> str:
        offset, length = struct.unpack("<HH", body[at : at + 4])
        return body[offset : offset + 2 * length].decode("utf-16-le")

    offset, length = struct.unpack("<HH", body[44:48])
    hidden = body[offset : offset + 2 * length]
    password = bytes((((x ^ 0xA5) << 4) & 0xF0) | ((x ^ 0xA5) >> 4) for x in hidden).decode("utf-16-le")
    features = _features(body) if body[27] & 0x10 else {}
    return LoginRequest(
        version=struct.unpack("<I", body[4:8])[0],
        packet_size=struct.unpack("<I", body[8:12])[0],
        user=text(40),
        password=password,
        application=text(48),
        database=text(68),
        token=_token(features[_FEATURE_FEDAUTH]) if _FEATURE_FEDAUTH in features else None,
        features=frozenset(features),
    )


def login_answer(request: LoginRequest, database: str) -> tuple[bytes, int]:
    """The answer to a login that succeeded, and the size of packets from now on."""
    version = _VERSIONS.get(request.version >> 24, b"\x71\0\0\x01")
    size = max(_LEAST_PACKET, min(request.packet_size or 4096, _MOST_PACKET))
    out = tokens.database_changed(database, "master") + tokens.collation_changed()
    out += tokens.environment(2, tokens.short_text("us_english"), tokens.short_text(""))
    out += tokens.login_acknowledged(version)
    out += tokens.environment(4, tokens.short_text(str(size)), tokens.short_text("4096"))
    if request.features:
        out += b"\xae"
        if _FEATURE_FEDAUTH in request.features:
            out += bytes([_FEATURE_FEDAUTH]) + struct.pack("<I", 0)
        if _FEATURE_UTF8 in request.features:
            out += bytes([_FEATURE_UTF8]) + struct.pack("<I", 1) + b"\x01"
        out += b"\xff"
    return out + tokens.done(), size


def _features(body: bytes) -> dict[int, bytes]:
    pointer = struct.unpack("<H", body[56:58])[0]
    reader = Reader(body)
    reader.take(struct.unpack("<I", body[pointer : pointer + 4])[0])
    found: dict[int, bytes] = {}
    while (feature := reader.number("<B")) != 0xFF:
        found[feature] = reader.take(reader.number("<I"))
    return found


def _token(data: bytes) -> str:
    reader = Reader(data)
    if reader.number("<B") >> 1 != _LIBRARY_TOKEN:
        raise ProtocolError("only the FEDAUTH library with a ready token is supported (ADAL workflows are not)")
    return reader.take(reader.number("<I")).decode("utf-16-le")
