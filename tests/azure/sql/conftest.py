"""A SQL server of a cloud, over a PostgreSQL that a run of the tests shares, with an empty database `worklist`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.azure.control_plane.cloud import Cloud
from local.azure.platform.faults import SQL, Faults, Listener
from local.azure.sql.service import Server
from local.azure.sql.sessions.directory import Directory
from local.azure.sql.stores.postgres.backend import PostgresBackend
from local.azure.sql.stores.postgres.cluster import Cluster, socket_of
from local.paths import Paths
from tests.azure.sql.world import World, needs_postgres


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running PostgreSQL: its socket."""
    needs_postgres()
    paths = Paths(tmp_path_factory.mktemp("cluster"))
    paths.ensure()
    with Cluster(paths):
        store = PostgresBackend(socket_of(paths))
        for statement in (
            "ALTER SYSTEM SET fsync = off",
            "SELECT pg_reload_conf()",
        ):  # nothing here outlives the machine
            store._try(statement, set())
        yield socket_of(paths)
    shutil.rmtree(paths.sockets)


def without_databases(databases: PostgresBackend) -> PostgresBackend:
    for name in ("worklist", "other"):
        if databases.exists(name):
            databases.drop(name)
    return databases


@pytest.fixture
def databases(cluster: Path) -> PostgresBackend:
    """An empty store."""
    return without_databases(PostgresBackend(cluster))


@pytest.fixture
def world(tmp_path: Path, databases: PostgresBackend) -> Iterator[World]:
    cloud = Cloud.open(Paths(tmp_path))
    directory, faults = Directory(cloud.paths), Faults()
    with Listener(cloud.paths, SQL, faults), Server(cloud.paths, directory, 0, databases, faults) as server:
        databases.ensure("worklist")
        made = World(cloud, server, faults)
        yield made
        for connection in made.open:
            connection.close()
    directory.close()
    cloud.close()
    shutil.rmtree(cloud.paths.sockets, ignore_errors=True)
