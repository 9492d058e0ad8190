"""Faults on purpose, for tests of clients: what a session asks before each login and each batch.

The default injects nothing. Tests pass their own object to the server; nothing switches faults on from outside.
"""

from __future__ import annotations


class Faults:
    """Raise a SqlError to refuse, ConnectionClosed to drop the connection, or return."""

    def at_login(self, database: str) -> None:
        """Before a login is answered."""

    def at_batch(self, text: str) -> None:
        """Before a batch runs."""

    def at_commit(self) -> None:
        """Before a transaction is committed."""
