"""`check`: prove the whole way to SQL Server. Prints one JSON line for each fact it established.

The row it writes is keyed by job and task, so a retried or requeued task updates its own: `attempts` counts its runs.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

from .database import Connect, Connection, translate
from .errors import WorkerError
from .lines import Say
from .settings import SqlSettings, TaskSettings

TABLE: Final = "dbo.docker_worker_checks"
# 64 characters is Batch's limit for ids; node ids are longer.
CREATE: Final = (
    f"CREATE TABLE {TABLE} (job_id NVARCHAR(64) NOT NULL, task_id NVARCHAR(64) NOT NULL, attempts INT NOT NULL, "
    "node_id NVARCHAR(128) NOT NULL, checked_at NVARCHAR(40) NOT NULL, PRIMARY KEY (job_id, task_id))"
)
# S608: the table's name is the constant above; every value is a parameter.
UPDATE: Final = (
    f"UPDATE {TABLE} SET attempts = attempts + 1, node_id = ?, checked_at = ? WHERE job_id = ? AND task_id = ?"  # noqa: S608
)
INSERT: Final = f"INSERT INTO {TABLE} (job_id, task_id, attempts, node_id, checked_at) VALUES (?, ?, 1, ?, ?)"  # noqa: S608
SELECT: Final = f"SELECT attempts, node_id, checked_at FROM {TABLE} WHERE job_id = ? AND task_id = ?"  # noqa: S608


def check(sql: SqlSettings, task: TaskSettings, *, say: Say, connect: Connect) -> None:
    """Connect, ask for version and identity, write a row and read it back. Raises `WorkerError`."""
    say("settings", server=sql.server, database=sql.database, client_id=sql.client_id)
    began = time.perf_counter()
    connection = connect(sql)
    say("connected", milliseconds=_milliseconds(began), encrypted=True)
    try:
        cursor = connection.cursor()
        began = time.perf_counter()
        cursor.execute("SELECT @@VERSION")
        version = " ".join(str(cursor.fetchone()[0]).split())
        say("server", version=version, milliseconds=_milliseconds(began))
        say("identity", client_id=sql.client_id, login=_login(connection))
        began = time.perf_counter()
        say("row", **_write_and_read(connection, task), milliseconds=_milliseconds(began))
    except WorkerError:
        raise
    except Exception as error:  # the driver's errors share no base class with its connect errors
        raise translate(error, sql) from error
    finally:
        connection.close()
    say("done")


def _login(connection: Connection) -> str | None:
    """Whom the server takes us for; None when it cannot say, which does not fail the check."""
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT SUSER_SNAME()")
        return cursor.fetchone()[0]
    except Exception:
        connection.rollback()
        return None


def _write_and_read(connection: Connection, task: TaskSettings) -> dict[str, Any]:
    cursor = connection.cursor()
    _make_table(connection)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    cursor.execute(UPDATE, (task.node_id, now, task.job_id, task.task_id))
    if cursor.rowcount == 0:
        cursor.execute(INSERT, (task.job_id, task.task_id, task.node_id, now))
    connection.commit()
    cursor.execute(SELECT, (task.job_id, task.task_id))
    attempts, node_id, checked_at = cursor.fetchone()
    connection.commit()
    if checked_at != now:
        raise RuntimeError(f"wrote checked_at {now}, read {checked_at}")
    return {
        "table": TABLE,
        "job": task.job_id,
        "task": task.task_id,
        "attempts": attempts,
        "node": node_id,
        "checked_at": checked_at,
    }


def _make_table(connection: Connection) -> None:
    """Create the table unless it is there. Two tasks may try at once: the loser sees the winner's table."""
    cursor = connection.cursor()
    exists = f"SELECT COUNT(*) FROM {TABLE} WHERE 1 = 0"  # noqa: S608
    try:
        cursor.execute(exists)
        cursor.fetchone()
    except Exception as missing:
        if "invalid object name" not in str(missing).casefold():
            raise
        connection.rollback()
        try:
            connection.cursor().execute(CREATE)
            connection.commit()
        except Exception as lost:
            if "already" not in str(lost).casefold():
                raise
            connection.rollback()


def _milliseconds(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
