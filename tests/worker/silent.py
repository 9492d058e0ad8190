"""A database connection that never answers."""

from __future__ import annotations

import socket


class Silent:
    """A connection that says nothing. With a socket its calls wait for a byte from it, as the driver's do."""

    def __init__(self, connection: socket.socket | None = None) -> None:
        self.connection = connection
        self.closed = False

    def cursor(self) -> None: ...

    def commit(self) -> None:
        if self.connection is not None and not self.connection.recv(1):
            raise ConnectionError("communication link failure")

    rollback = commit

    def close(self) -> None:
        self.closed = True
