"""Which store of databases is used.

PostgreSQL is the default. READPAST skips locked rows there, writers of different rows do not wait for each other, and
deadlocks are found. SQLite has one writer a database; it serves machines without PostgreSQL, and only when asked for by
name: LOCAL_AZURE_SQL=sqlite. The choice was measured (benchmarks/sql_concurrency.py).
"""

from __future__ import annotations

import os
from typing import Final

from local.azure.sql.stores.backend import Backend
from local.azure.sql.stores.postgres.backend import PostgresBackend
from local.azure.sql.stores.postgres.cluster import socket_of
from local.azure.sql.stores.sqlite import SqliteBackend
from local.paths import Paths

VARIABLE: Final = "LOCAL_AZURE_SQL"
KINDS: Final = ("postgres", "sqlite")


class UnknownBackend(Exception):
    """LOCAL_AZURE_SQL names none of ours."""


def chosen() -> str:
    """The kind of backend that the environment asks for."""
    kind = os.environ.get(VARIABLE) or KINDS[0]
    if kind not in KINDS:
        raise UnknownBackend(f"{VARIABLE} is {kind!r}; it is one of {', '.join(KINDS)}. Correct it or unset it.")
    return kind


def open_backend(paths: Paths) -> Backend:
    """The chosen store's databases; PostgreSQL's must be running already (`postgres/cluster.py`)."""
    if chosen() == "sqlite":
        return SqliteBackend(paths.state / "sql")
    return PostgresBackend(socket_of(paths))
