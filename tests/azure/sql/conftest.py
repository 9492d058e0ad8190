"""A SQL server of a cloud, over a PostgreSQL that a run of the tests shares, with an empty database `worklist`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytds
import pytest

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resources import Resource
from local.azure.platform.faults import SQL, Faults, Listener
from local.azure.sql.provision import provision
from local.azure.sql.service import Server
from local.azure.sql.sessions.directory import IDENTITIES, Directory
from local.azure.sql.stores.postgres.backend import PostgresBackend
from local.azure.sql.stores.postgres.cluster import Cluster, ClusterError, programs, socket_of
from local.paths import Paths

AUDIENCE = "https://database.windows.net/"


@dataclass
class World:
    """What a test acts on."""

    cloud: Cloud
    server: Server
    faults: Faults
    open: list[Any] = field(default_factory=list)

    def identity(self, name: str, group: str = "g") -> Resource:
        made = Resource(
            id=f"{self.cloud.subscription_scope}/resourceGroups/{group}/providers/{IDENTITIES}/{name}",
            type=IDENTITIES,
            name=name,
            system={"principalId": str(uuid.uuid4()), "clientId": str(uuid.uuid4())},
        )
        self.cloud.resources.put(made)
        return made

    def token(self, identity: Resource, audience: str = AUDIENCE, seconds: int = 3600) -> str:
        who = identity.system
        return self.cloud.tokens.issue(
            principal_id=who["principalId"], client_id=who["clientId"], audience=audience, lifetime_seconds=seconds
        )

    @property
    def admin_token(self) -> str:
        settings = self.cloud.settings
        return self.cloud.tokens.issue(
            principal_id=settings.deployer_object_id, client_id=settings.client_id, audience=AUDIENCE
        )

    def connect(self, token: str, database: str = "worklist", **options: Any) -> Any:
        made = pytds.connect(
            "localhost",
            database=database,
            port=self.server.port,
            cafile=str(self.cloud.paths.ca),
            validate_host=False,  # its check crashes on names that are in the SAN only
            access_token_callable=lambda: token,
            **{"timeout": 10, "login_timeout": 5, "autocommit": True, **options},
        )
        self.open.append(made)
        return made

    def provision(self, script: str, database: str = "worklist") -> None:
        provision(self.cloud.paths, database, script, self.server.databases)


def needs_postgres() -> None:
    """Skip on a machine without PostgreSQL; CI has it."""
    try:
        programs()
    except ClusterError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"{error} (`make setup` installs it)")


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


def run_mssql_python(program: str, ca: Path | None, **values: str | int) -> subprocess.CompletedProcess[str]:
    """The Microsoft driver, in a process of its own: OpenSSL reads SSL_CERT_FILE once. Values arrive as environment."""
    environment = {**os.environ, **{name: str(value) for name, value in values.items()}}
    environment.pop("SSL_CERT_FILE", None)
    if ca is not None:
        environment["SSL_CERT_FILE"] = str(ca)
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
