"""A cursor over the bytes of one message."""

from __future__ import annotations

import struct

from local.azure.sql.errors import ProtocolError


class Reader:
    """Takes fields from the front; too short a message is a ProtocolError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes are not taken yet."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count < 0 or count > self.left:
            raise ProtocolError(f"a message ends {count - self.left} bytes too early")
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def number(self, form: str) -> int:
        """An integer in `struct`'s notation."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, characters: int) -> str:
        """UTF-16 of so many code units."""
        return self.take(2 * characters).decode("utf-16-le")

    def peek(self) -> int:
        """The next byte, not taken."""
        return self._data[self._at]
