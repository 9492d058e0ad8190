"""A migrated database with a running server, over the PostgreSQL that the tests of `local/azure/sql` share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.azure.sql.stores.postgres.backend import PostgresBackend
from local.azure.sql.stores.postgres.schema import ROLE
from testbeds.worker_world import DATABASE, HANDLERS, World, open_world
from tests.azure.sql.conftest import cluster, databases

__all__ = ["cluster", "databases"]  # fixtures, found here by pytest

MIGRATED = "migrated"  # a database that each test gets a copy of


@pytest.fixture(scope="session")
def migrated(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> PostgresBackend:
    """The store, with a database that `migrate` made once."""
    store = PostgresBackend(cluster)
    with ExitStack() as stack:
        made = open_world(stack, tmp_path_factory.mktemp("migrated"), store)
        stack.callback(made.cut)
        made.serve()
        made.run("migrate", "--handler", f"{HANDLERS}:handle")
    copy(store, DATABASE, MIGRATED)
    return store


def copy(store: PostgresBackend, name: str, to: str) -> None:
    """A copy of a database. PostgreSQL makes none while somebody is connected to it: sessions are ended first."""
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    store._try(end, set())
    store._try(f'CREATE DATABASE "{to}" OWNER {ROLE} TEMPLATE "{name}"', set())


@pytest.fixture
def world(tmp_path: Path, migrated: PostgresBackend, databases: PostgresBackend) -> Iterator[World]:
    """A migrated database with a running server."""
    copy(migrated, MIGRATED, DATABASE)
    with ExitStack() as stack:
        made = open_world(stack, tmp_path / "home", databases, let_in=False)
        stack.callback(made.cut)
        made.serve()
        try:
            yield made
        finally:
            for worker in made.workers:
                if worker.process.poll() is None:
                    worker.process.kill()
                    worker.end()
