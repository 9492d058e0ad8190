"""The worker's tables, by version. `migrate` brings a database to the last one; running it again changes nothing.

Times are milliseconds since 1970 of the *server's* clock: no worker's clock decides about a lease. Statements are T-SQL
for SQL Server 2016 and later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .errors import NotMigrated, StatementFailed
from .log import Log
from .sql.session import Session
from .sql.sql_errors import DUPLICATE_KEY, GONE, OBJECT_EXISTS, was_refused_for
from .sql.transaction import Statements

COMPONENT: Final = "docker_worker"
NOW: Final = "DATEDIFF_BIG(MILLISECOND, '1970-01-01', SYSUTCDATETIME())"

EXACT: Final = "COLLATE Latin1_General_100_BIN2"
"""Names compare as they are written. The default collation of a SQL Server takes `A1`, `a1` and their full-width forms
for one text, and `strasse` and `straße`, too."""

KEY_END: Final = "."
"""Stands behind every key in `exact_key`: any collation ignores blanks at the end of a text, also this one."""

MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    # 1: items and results. `available_at`: a pending item may be claimed from then on; a running one's lease ends then.
    # `attempts` numbers the claims: with `owner` it is the lease's identity. `failures`: of the present step only.
    (
        "CREATE TABLE dbo.work_items (id BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY, "
        f"queue NVARCHAR(64) {EXACT} NOT NULL, item_key NVARCHAR(200) NOT NULL, "
        f"exact_key NVARCHAR(201) {EXACT} NOT NULL, data NVARCHAR(MAX) NOT NULL, status NVARCHAR(10) NOT NULL, "
        "step INT NOT NULL, attempts INT NOT NULL, failures INT NOT NULL, available_at BIGINT NOT NULL, "
        "owner NVARCHAR(300) NULL, error NVARCHAR(2000) NULL, changed_at BIGINT NOT NULL, "
        "CONSTRAINT uq_work_items_exact_key UNIQUE (queue, exact_key))",
        # Only what can be claimed: the index stays small however many items are done.
        "CREATE INDEX ix_work_items_open ON dbo.work_items (queue, id) WHERE status IN ('pending', 'running')",
        "CREATE TABLE dbo.work_results (item_id BIGINT NOT NULL, step INT NOT NULL, result NVARCHAR(MAX) NOT NULL, "
        "CONSTRAINT pk_work_results PRIMARY KEY (item_id, step))",
    ),
    # 2: keys and queues compare as they are written; for tables that were made before `exact_key` was in version 1. An
    # index holds a column as long as it is changed.
    (
        "ALTER TABLE dbo.work_items DROP CONSTRAINT uq_work_items_key",
        "DROP INDEX ix_work_items_open ON dbo.work_items",
        f"ALTER TABLE dbo.work_items ALTER COLUMN queue NVARCHAR(64) {EXACT} NOT NULL",
        f"ALTER TABLE dbo.work_items ADD exact_key NVARCHAR(201) {EXACT} NULL",
        f"UPDATE dbo.work_items SET exact_key = item_key + '{KEY_END}'",  # noqa: S608
        f"ALTER TABLE dbo.work_items ALTER COLUMN exact_key NVARCHAR(201) {EXACT} NOT NULL",
        "ALTER TABLE dbo.work_items ADD CONSTRAINT uq_work_items_exact_key UNIQUE (queue, exact_key)",
        "CREATE INDEX ix_work_items_open ON dbo.work_items (queue, id) WHERE status IN ('pending', 'running')",
    ),
    # 3: a row for each step whose handler did something that can end a transaction; `transaction.py` tells of it.
    (
        "CREATE TABLE dbo.work_open_steps (item_id BIGINT NOT NULL, attempt INT NOT NULL, "
        "CONSTRAINT pk_work_open_steps PRIMARY KEY (item_id, attempt))",
    ),
)

_ALREADY: Final = {2: "SELECT COL_LENGTH('dbo.work_items', 'exact_key')"}
"""Versions of ours that a new database has from the first one on: what tells."""

_VERSIONS: Final = (
    f"CREATE TABLE dbo.docker_worker_schema (component NVARCHAR(200) {EXACT} NOT NULL, version INT NOT NULL, "
    "applied_at BIGINT NOT NULL, PRIMARY KEY (component, version))"
)
_LATEST: Final = "SELECT MAX(version) FROM dbo.docker_worker_schema WHERE component = ?"
_APPLIED: Final = f"INSERT INTO dbo.docker_worker_schema (component, version, applied_at) SELECT ?, ?, {NOW}"
_RACES: Final = 5  # workers that migrate at once: each loses to another at most this often


def migrate(session: Session, *, component: str, steps: Sequence[Sequence[str]], log: Log) -> int:
    """Apply what is missing, each version in a transaction of its own; the version now in force."""
    for race in range(_RACES):
        try:
            done = _version(session, component)
            for version, statements in enumerate(steps, start=1):
                if version > done:
                    session.transact(lambda tx, retried, v=version, s=statements: _apply(tx, component, v, s))
                    log("migrated", component=component, version=version)
            return max(done, len(steps))
        except StatementFailed as error:
            if race == _RACES - 1 or not _lost_a_race(error):
                raise
    raise AssertionError("unreachable")


def require(session: Session) -> None:
    """Refuse a database that `migrate` has not brought up to date."""
    found = session.transact(lambda tx, retried: _latest(tx, COMPONENT))
    if found < len(MIGRATIONS):
        raise NotMigrated(
            f"the worker's tables have version {found}",
            cause=f"this worker needs {len(MIGRATIONS)}",
            next_step="run `migrate` once, as an identity that may create tables (docs/worker.md)",
        )


def _version(session: Session, component: str) -> int:
    try:
        return session.transact(lambda tx, retried: _latest(tx, component))
    except NotMigrated:
        session.transact(lambda tx, retried: tx.execute(_VERSIONS))
        return 0


def _latest(tx: Statements, component: str) -> int:
    return tx.query(_LATEST, component)[0][0] or 0


def _apply(tx: Statements, component: str, version: int, statements: Sequence[str]) -> None:
    ours = component == COMPONENT
    if not (ours and version in _ALREADY and tx.query(_ALREADY[version])[0][0] is not None):
        for statement in statements:
            (tx if ours else tx.for_handler()).execute(statement)
    tx.execute(_APPLIED, component, version)


def _lost_a_race(error: StatementFailed) -> bool:
    """Another worker made the table, or wrote the version, a moment before; or we did, and missed the answer."""
    return was_refused_for(error, OBJECT_EXISTS | DUPLICATE_KEY | GONE)
