"""Runs a T-SQL script as the server's Entra administrator, in process: what `sqlcmd -G -i` does for a real server.

For the script that the program generates (`python -m infra.sql`). Works beside a running server, on the same store.
"""

from __future__ import annotations

import re

from local.azure.sql.faults import SessionFaults
from local.azure.sql.sessions.directory import Directory
from local.azure.sql.sessions.execution import Execution
from local.azure.sql.stores.postgres.backend import PostgresBackend, open_backend
from local.azure.sql.tds import tokens
from local.paths import Paths


def provision(paths: Paths, database: str, script: str, databases: PostgresBackend | None = None) -> None:
    """Make the database unless it is there, then run the script in it, batch by batch (`GO`). Raises SqlError."""
    databases = databases or open_backend(paths)
    databases.ensure(database)
    directory = Directory(paths)
    execution = Execution(
        databases,
        directory,
        directory.administrator,
        database,
        SessionFaults(),
        wait=lambda seconds: None,
        look=lambda: None,
    )
    try:
        for batch in re.split(r"^\s*GO\s*$", script, flags=re.IGNORECASE | re.MULTILINE):
            execution.batch(batch, {}, tokens.DONE, bytearray())
    finally:
        execution.close()
        directory.close()
