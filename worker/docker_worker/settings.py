"""The worker's settings: the only reader of the environment.

`jobs` sets SQL_SERVER, SQL_DATABASE and AZURE_CLIENT_ID for every task (from the stack's outputs); Batch sets
AZ_BATCH_*. None of them is a secret: the token comes from the node's identity endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .errors import SettingsError

SQL_SERVER: Final = "SQL_SERVER"
SQL_DATABASE: Final = "SQL_DATABASE"
CLIENT_ID: Final = "AZURE_CLIENT_ID"
JOB_ID: Final = "AZ_BATCH_JOB_ID"
TASK_ID: Final = "AZ_BATCH_TASK_ID"
NODE_ID: Final = "AZ_BATCH_NODE_ID"

DEFAULT_SQL_PORT: Final = 1433


@dataclass(frozen=True, kw_only=True)
class SqlSettings:
    """Which database, and as whom. `server` is `host` or `host,port`, as SQL Server's own tools write it."""

    server: str
    database: str
    client_id: str

    @property
    def host(self) -> str:
        return self.server.partition(",")[0].strip()

    @property
    def port(self) -> int:
        text = self.server.partition(",")[2].strip()
        return int(text) if text else DEFAULT_SQL_PORT


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """Where we run. Outside Batch the ids are `local`."""

    job_id: str = "local"
    task_id: str = "local"
    node_id: str = "local"


def load_sql(environment: Mapping[str, str]) -> SqlSettings:
    """The database's settings; all missing names are told at once."""
    missing = [name for name in (SQL_SERVER, SQL_DATABASE, CLIENT_ID) if not environment.get(name)]
    if missing:
        raise SettingsError(
            f"the environment has no {', '.join(missing)}",
            cause="the job was submitted without a stack, or the stack has no `sql` settings",
            next_step="Set sql.server and sql.database of the stack, run up, and submit with --stack",
        )
    sql = SqlSettings(
        server=environment[SQL_SERVER], database=environment[SQL_DATABASE], client_id=environment[CLIENT_ID]
    )
    # Values go into a connection string, where these characters would end a value or begin another setting.
    for name, value in ((SQL_SERVER, sql.server), (SQL_DATABASE, sql.database), (CLIENT_ID, sql.client_id)):
        if any(character in value for character in ";{}="):
            raise SettingsError(
                f"{name} is {value!r}",
                cause="';', '{', '}' and '=' have a meaning in connection strings",
                next_step=f"Correct {name}",
            )
    port = sql.server.partition(",")[2].strip()
    if not sql.host or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise SettingsError(
            f"{SQL_SERVER} is {sql.server!r}",
            cause="expected HOST or HOST,PORT",
            next_step="For example: my-server.database.windows.net,1433",
        )
    return sql


def load_task(environment: Mapping[str, str]) -> TaskSettings:
    """The ids Batch gave this task."""
    return TaskSettings(
        job_id=environment.get(JOB_ID) or "local",
        task_id=environment.get(TASK_ID) or "local",
        node_id=environment.get(NODE_ID) or "local",
    )
