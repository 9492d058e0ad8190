"""Remote procedure calls: the request, read; and the names of parameters in a declaration. [MS-TDS] 2.2.6.6."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from local.azure.sql.tds.reader import Reader
from local.azure.sql.tds.values import Value, read_value

_NUMBERED: Final = {
    1: "sp_cursor", 2: "sp_cursoropen", 3: "sp_cursorprepare", 4: "sp_cursorexecute", 5: "sp_cursorprepexec",
    6: "sp_cursorunprepare", 7: "sp_cursorfetch", 8: "sp_cursoroption", 9: "sp_cursorclose", 10: "sp_executesql",
    11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec", 14: "sp_prepexecrpc", 15: "sp_unprepare",
}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One argument; its name may be empty."""

    name: str
    value: Value


@dataclass(frozen=True)
class Call:
    """A procedure and its arguments."""

    procedure: str
    parameters: tuple[Parameter, ...]

    def text(self, index: int) -> str:
        """The argument as text ('' when it is not there)."""
        return str(self.parameters[index].value or "") if index < len(self.parameters) else ""


def read_call(body: bytes) -> Call:
    """Read the request (the first call of it)."""
    reader = Reader(body)
    length = reader.number("<H")
    if length == 0xFFFF:
        number = reader.number("<H")
        procedure = _NUMBERED.get(number, f"procedure number {number}")
    else:
        procedure = reader.text(length).lower()
    reader.take(2)
    parameters = []
    while reader.left and reader.peek() not in (0x80, 0xFF):
        name = reader.text(reader.number("<B"))
        reader.take(1)
        parameters.append(Parameter(name, read_value(reader)))
    return Call(procedure, tuple(parameters))


def bind(declaration: str, arguments: Sequence[Parameter]) -> Mapping[str, Value]:
    """Values by name, without `@`: an argument without a name takes the next one of the declaration."""
    names = re.findall(r"@\w+", re.sub(r"\([^)]*\)", "", declaration))
    padded = [*names, *("" for _ in arguments[len(names) :])]
    return {
        (argument.name or name).lstrip("@"): argument.value for name, argument in zip(padded, arguments, strict=False)
    }


def without_headers(body: bytes) -> bytes:
    """The request without its ALL_HEADERS part."""
    if len(body) < 4:
        return body
    length = struct.unpack("<I", body[:4])[0]
    return body[length:] if 4 <= length < 256 and length <= len(body) else body
