"""The worker's settings: the only reader of the environment.

`jobs` sets SQL_SERVER, SQL_DATABASE and AZURE_CLIENT_ID for every task (from the stack's outputs); Batch sets
AZ_BATCH_*. None of them is a secret: the token comes from the node's identity endpoint.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import SettingsError

SQL_SERVER: Final = "SQL_SERVER"
SQL_DATABASE: Final = "SQL_DATABASE"
CLIENT_ID: Final = "AZURE_CLIENT_ID"
ENCRYPT: Final = "SQL_ENCRYPT"
LOGIN_FILE: Final = "SQL_LOGIN_FILE"
HANDLER: Final = "WORKER_HANDLER"
METADATA: Final = "AZURE_POD_IDENTITY_AUTHORITY_HOST"  # azure-identity's own name for it
JOB_ID: Final = "AZ_BATCH_JOB_ID"
TASK_ID: Final = "AZ_BATCH_TASK_ID"
NODE_ID: Final = "AZ_BATCH_NODE_ID"

DEFAULT_SQL_PORT: Final = 1433
METADATA_ADDRESS: Final = "http://169.254.169.254"
STATEMENT_SECONDS: Final = 5
ENCRYPTIONS: Final = ("yes", "strict")  # `strict` is TDS 8.0: SQL Server 2022 and Azure SQL
TEST_HOSTS: Final = ("localhost", "127.0.0.1")
# The rules of infra/settings/cloud.py, so that what `up` accepts is accepted here; a test compares.
SERVER_PATTERN: Final = (
    r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
    r"(,([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$"
)
MOST_DATABASE: Final = 128
"""A database's name is a `sysname`: 128 units of UTF-16."""


@dataclass(frozen=True, kw_only=True)
class SqlSettings:
    """Which database, and as whom. `server` is `host` or `host,port`, as SQL Server's own tools write it.

    `login_file` holds a user name and a password, one a line: for a test server on this machine only. The password is
    read when connecting and kept nowhere.
    """

    server: str
    database: str
    client_id: str
    encrypt: str = "yes"
    login_file: Path | None = None
    statement_seconds: int = STATEMENT_SECONDS

    @property
    def host(self) -> str:
        return self.server.partition(",")[0].strip()

    @property
    def port(self) -> int:
        text = self.server.partition(",")[2].strip()
        return int(text) if text else DEFAULT_SQL_PORT

    @property
    def who(self) -> str:
        """As whom we log in, in words."""
        return f"identity {self.client_id}" if self.login_file is None else f"the user of {self.login_file}"


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """Where we run. Outside Batch the ids are `local`."""

    job_id: str = "local"
    task_id: str = "local"
    node_id: str = "local"

    def owner(self) -> str:
        """A name for this process: readable, and never given twice."""
        return f"{self.job_id}/{self.task_id}/{self.node_id}/{uuid.uuid4().hex[:12]}"


def load_sql(environment: Mapping[str, str], *, statement_seconds: int = STATEMENT_SECONDS) -> SqlSettings:
    """The database's settings; all missing names are told at once."""
    login_file = environment.get(LOGIN_FILE) or None
    wanted = (SQL_SERVER, SQL_DATABASE) if login_file else (SQL_SERVER, SQL_DATABASE, CLIENT_ID)
    missing = [name for name in wanted if not environment.get(name)]
    if missing:
        raise SettingsError(
            f"the environment has no {', '.join(missing)}",
            cause="the job was submitted without a stack, or the stack has no `sql` settings",
            next_step="set sql.server and sql.database of the stack, run up, and submit with --stack",
        )
    sql = SqlSettings(
        server=environment[SQL_SERVER],
        database=environment[SQL_DATABASE],
        client_id=environment.get(CLIENT_ID, ""),
        encrypt=environment.get(ENCRYPT) or ENCRYPTIONS[0],
        login_file=Path(login_file) if login_file else None,
        statement_seconds=statement_seconds,
    )
    _check(sql)
    return sql


def server_problem(text: str) -> str | None:
    """What is wrong with `sql.server`; None when the worker can use it. The program refuses the same at preview."""
    if not re.fullmatch(SERVER_PATTERN, text):
        return "expected HOST or HOST,PORT with a port from 1 to 65535"
    return None


def database_problem(text: str) -> str | None:
    """What is wrong with `sql.database`; None when the worker can use it. Any printable character is good: the value is
    quoted in the connection string."""
    if not 0 < sum(2 if ord(character) > 0xFFFF else 1 for character in text) <= MOST_DATABASE:
        return f"a database's name has 1 to {MOST_DATABASE} characters"
    if text != text.strip():
        return "a database's name neither begins nor ends with a blank"
    if any(
        ord(character) < 32 or 0x7F <= ord(character) < 0xA0 or 0xD800 <= ord(character) < 0xE000 for character in text
    ):
        return "a database's name has no control characters and no halves of characters"
    return None


def _check(sql: SqlSettings) -> None:
    """Refuse what the connection string cannot say, or says differently."""
    if (problem := server_problem(sql.server)) is not None:
        raise SettingsError(
            f"{SQL_SERVER} is {sql.server!r}",
            cause=problem,
            next_step="for example: my-server.database.windows.net,1433",
        )
    if (problem := database_problem(sql.database)) is not None:
        raise SettingsError(
            f"{SQL_DATABASE} is {sql.database!r}", cause=problem, next_step="correct sql.database of the stack"
        )
    if any(character in sql.client_id for character in ";{}="):
        raise SettingsError(
            f"{CLIENT_ID} is {sql.client_id!r}",
            cause="expected an identity's client id, a GUID",
            next_step="correct it",
        )
    if sql.encrypt not in ENCRYPTIONS:
        raise SettingsError(
            f"{ENCRYPT} is {sql.encrypt!r}",
            cause="the worker never speaks in clear",
            next_step=f"use {' or '.join(ENCRYPTIONS)}",
        )
    if sql.login_file is not None and sql.host not in TEST_HOSTS and not sql.host.endswith(".test"):
        raise SettingsError(
            f"{LOGIN_FILE} is set for {sql.host}",
            cause="a password is for a test server on this machine only",
            next_step=f"remove {LOGIN_FILE} and set {CLIENT_ID}: the node's identity needs none",
        )


def load_handler(environment: Mapping[str, str], given: str | None) -> str:
    """Which handler: the command line's, or the image's."""
    if found := given or environment.get(HANDLER):
        return found
    raise SettingsError(
        "no handler is named",
        cause=f"neither --handler nor {HANDLER} says which function handles items",
        next_step=f"set {HANDLER} in your image to module:function (docs/worker.md)",
    )


def metadata_address(environment: Mapping[str, str]) -> str:
    """Where the node's metadata service answers."""
    return environment.get(METADATA) or METADATA_ADDRESS


def load_task(environment: Mapping[str, str]) -> TaskSettings:
    """The ids Batch gave this task."""
    return TaskSettings(
        job_id=environment.get(JOB_ID) or "local",
        task_id=environment.get(TASK_ID) or "local",
        node_id=environment.get(NODE_ID) or "local",
    )
