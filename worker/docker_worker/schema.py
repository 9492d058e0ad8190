"""The worker's tables, by version. `migrate` brings a database to the last one; running it again changes nothing.

Times are milliseconds since 1970 of the *server's* clock: no worker's clock decides about a lease. Statements are T-SQL
for SQL Server 2016 and later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .errors import NotMigrated, StatementFailed
from .lines import Say
from .session import Session
from .transaction import Transaction

COMPONENT: Final = "docker_worker"
NOW: Final = "DATEDIFF_BIG(MILLISECOND, '1970-01-01', SYSUTCDATETIME())"

MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    # 1: items and results. `available_at`: a pending item may be claimed from then on; a running one's lease ends then.
    # `attempts` numbers the claims: with `owner` it is the lease's identity. `failures`: of the present step only.
    (
        "CREATE TABLE dbo.work_items (id BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY, queue NVARCHAR(64) NOT NULL, "
        "item_key NVARCHAR(200) NOT NULL, data NVARCHAR(MAX) NOT NULL, status NVARCHAR(10) NOT NULL, "
        "step INT NOT NULL, attempts INT NOT NULL, failures INT NOT NULL, available_at BIGINT NOT NULL, "
        "owner NVARCHAR(300) NULL, error NVARCHAR(2000) NULL, changed_at BIGINT NOT NULL, "
        "CONSTRAINT uq_work_items_key UNIQUE (queue, item_key))",
        # Only what can be claimed: the index stays small however many items are done.
        "CREATE INDEX ix_work_items_open ON dbo.work_items (queue, id) WHERE status IN ('pending', 'running')",
        "CREATE TABLE dbo.work_results (item_id BIGINT NOT NULL, step INT NOT NULL, result NVARCHAR(MAX) NOT NULL, "
        "CONSTRAINT pk_work_results PRIMARY KEY (item_id, step))",
    ),
)

_VERSIONS: Final = (
    "CREATE TABLE dbo.docker_worker_schema (component NVARCHAR(200) NOT NULL, version INT NOT NULL, "
    "applied_at BIGINT NOT NULL, PRIMARY KEY (component, version))"
)
_LATEST: Final = "SELECT MAX(version) FROM dbo.docker_worker_schema WHERE component = ?"
_APPLIED: Final = f"INSERT INTO dbo.docker_worker_schema (component, version, applied_at) SELECT ?, ?, {NOW}"
_RACES: Final = 5  # workers that migrate at once: each loses to another at most this often


def migrate(session: Session, *, component: str, steps: Sequence[Sequence[str]], say: Say) -> int:
    """Apply what is missing, each version in a transaction of its own; the version now in force."""
    for race in range(_RACES):
        try:
            done = _version(session, component)
            for version, statements in enumerate(steps, start=1):
                if version > done:
                    session.transact(lambda tx, again, v=version, s=statements: _apply(tx, component, v, s))
                    say("migrated", component=component, version=version)
            return max(done, len(steps))
        except StatementFailed as error:
            if race == _RACES - 1 or not _lost_a_race(error):
                raise
    raise AssertionError("unreachable")


def require(session: Session) -> None:
    """Refuse a database that `migrate` has not brought up to date."""
    found = session.transact(lambda tx, again: _latest(tx, COMPONENT))
    if found < len(MIGRATIONS):
        raise NotMigrated(
            f"the worker's tables have version {found}", cause=f"this worker needs {len(MIGRATIONS)}",
            next_step="Run `migrate` once, as an identity that may create tables (docs/worker.md)",
        )  # fmt: skip


def _version(session: Session, component: str) -> int:
    try:
        return session.transact(lambda tx, again: _latest(tx, component))
    except NotMigrated:
        session.transact(lambda tx, again: tx.execute(_VERSIONS))
        return 0


def _latest(tx: Transaction, component: str) -> int:
    return tx.query(_LATEST, component)[0][0] or 0


def _apply(tx: Transaction, component: str, version: int, statements: Sequence[str]) -> None:
    for statement in statements:
        tx.execute(statement)
    tx.execute(_APPLIED, component, version)


def _lost_a_race(error: StatementFailed) -> bool:
    """Another worker made the table, or wrote the version, a moment before."""
    text = str(error).casefold()
    return "already" in text or "duplicate key" in text
