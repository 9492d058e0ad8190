"""A SQL server of a cloud, the identities that log in to it, and the drivers that do."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytds
import pytest

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import USER_ASSIGNED_IDENTITIES
from local.azure.control_plane.resources import Resource
from local.azure.platform.faults import Faults
from local.azure.sql.provision import provision
from local.azure.sql.service import Server
from local.azure.sql.stores.postgres.cluster import ClusterError, programs

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
            id=f"{self.cloud.subscription_scope}/resourceGroups/{group}/providers/{USER_ASSIGNED_IDENTITIES}/{name}",
            type=USER_ASSIGNED_IDENTITIES,
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


def run_mssql_python(program: str, ca: Path | None, **values: str | int) -> subprocess.CompletedProcess[str]:
    """The Microsoft driver, in a process of its own: OpenSSL reads SSL_CERT_FILE once. Values arrive as environment."""
    environment = {**os.environ, **{name: str(value) for name, value in values.items()}}
    environment.pop("SSL_CERT_FILE", None)
    if ca is not None:
        environment["SSL_CERT_FILE"] = str(ca)
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
