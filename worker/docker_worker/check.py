"""`check`: prove the whole way to SQL Server. Prints one JSON line for each fact it established.

The row it writes is keyed by job and task, so a retried or requeued task updates its own: `attempts` counts its runs.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

from .errors import NotMigrated, StatementFailed, WorkerError
from .log import Log
from .settings import SqlSettings, TaskSettings
from .signals import Stop
from .sql.database import Connect
from .sql.session import Session
from .sql.sql_errors import OBJECT_EXISTS, was_refused_for
from .sql.transaction import Statements

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


def check(sql: SqlSettings, task: TaskSettings, *, log: Log, connect: Connect) -> None:
    """Connect, ask for version and identity, write a row and read it back. No try is repeated. Raises `WorkerError`."""
    log("settings", server=sql.server, database=sql.database, client_id=sql.client_id)
    session = Session(sql, connect, stop=Stop(), log=log, patience=0)
    try:
        began = time.perf_counter()
        session.connect()
        log("connected", milliseconds=_milliseconds(began), encrypted=True)
        began = time.perf_counter()
        version = session.transact(lambda tx, retried: tx.query("SELECT @@VERSION")[0][0])
        log("server", version=" ".join(str(version).split()), milliseconds=_milliseconds(began))
        log("identity", client_id=sql.client_id, login=_login(session))
        began = time.perf_counter()
        log("row", **_write_and_read(session, task), milliseconds=_milliseconds(began))
    finally:
        session.close()
    log("done")


def _login(session: Session) -> str | None:
    """Whom the server takes us for; None when it cannot say, which does not fail the check."""
    try:
        return session.transact(lambda tx, retried: tx.query("SELECT SUSER_SNAME()")[0][0])
    except WorkerError:
        return None


def _write_and_read(session: Session, task: TaskSettings) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    _make_table(session)

    def write(tx: Statements, retried: bool) -> None:
        if tx.execute(UPDATE, task.node_id, now, task.job_id, task.task_id) == 0:
            tx.execute(INSERT, task.job_id, task.task_id, task.node_id, now)

    session.transact(write)
    attempts, node_id, checked_at = session.transact(lambda tx, retried: tx.query(SELECT, task.job_id, task.task_id)[0])
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


def _make_table(session: Session) -> None:
    """Create the table unless it is there. Two tasks may try at once: the loser sees the winner's table."""
    try:
        session.transact(lambda tx, retried: tx.query(f"SELECT COUNT(*) FROM {TABLE} WHERE 1 = 0"))  # noqa: S608
    except NotMigrated:
        try:
            session.transact(lambda tx, retried: tx.execute(CREATE))
        except StatementFailed as lost:
            if not was_refused_for(lost, OBJECT_EXISTS):
                raise


def _milliseconds(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
