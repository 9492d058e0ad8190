"""`check` on a database in memory: what it says, the row it keeps, and that running it again is harmless."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import pytest

from worker.docker_worker import check
from worker.docker_worker.errors import LoginRefused, PermissionMissing
from worker.docker_worker.settings import SqlSettings, TaskSettings

SQL = SqlSettings(server="s", database="d", client_id="c1")
TASK = TaskSettings(job_id="j", task_id="t", node_id="n1")


class Database:
    """SQLite behind the worker's few statements; errors in SQL Server's words."""

    def __init__(self, *, refuse: str = "") -> None:
        self.sqlite = sqlite3.connect(":memory:", isolation_level=None)
        self.sqlite.create_function("SUSER_SNAME", 0, lambda: "c1@tenant")
        self.refuse = refuse
        self.statements = []
        self.closed = 0

    def connect(self, _sql: SqlSettings, _seconds: float) -> Any:
        return self

    def run(self, work: Any) -> Any:
        return work(self)

    def cursor(self) -> Any:
        return Cursor(self)

    def commit(self) -> None: ...
    def rollback(self) -> None: ...

    def close(self) -> None:
        self.closed += 1


class Cursor:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.rowcount = -1

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> None:
        self._database.statements.append(statement)
        if self._database.refuse and statement.startswith(self._database.refuse):
            raise RuntimeError(f"{self._database.refuse} permission denied in database 'd'.")
        try:
            self._rows = self._database.sqlite.execute(
                re.sub(r"dbo\.", "", statement).replace("@@VERSION", "'SQL\n Server 2022'"), parameters
            )
        except sqlite3.OperationalError as error:
            raise RuntimeError(in_sql_servers_words(str(error))) from error
        self.rowcount = self._rows.rowcount

    def fetchone(self) -> Any:
        return self._rows.fetchone()

    def nextset(self) -> bool:
        return False

    def close(self) -> None: ...


def in_sql_servers_words(text: str) -> str:
    if found := re.fullmatch(r"table (\S+) already exists", text):
        return f"There is already an object named '{found[1]}' in the database."
    return text.replace("no such table: ", "Invalid object name '") + "'."


def run(database: Database, task: TaskSettings = TASK) -> dict[str, dict[str, Any]]:
    said: dict[str, dict[str, Any]] = {}
    check.check(SQL, task, log=lambda event, **facts: said.__setitem__(event, facts), connect=database.connect)
    return said


def test_it_says_version_identity_and_the_row_it_read_back() -> None:
    database = Database()
    said = run(database)
    assert list(said) == ["settings", "connected", "server", "identity", "row", "done"]
    assert said["server"]["version"] == "SQL Server 2022"
    assert said["identity"] == {"client_id": "c1", "login": "c1@tenant"}
    assert (said["row"]["job"], said["row"]["task"], said["row"]["node"], said["row"]["attempts"]) == (
        "j",
        "t",
        "n1",
        1,
    )
    assert database.closed == 1


def test_a_second_attempt_updates_its_own_row() -> None:
    database = Database()
    run(database)
    assert run(database, TaskSettings(job_id="j", task_id="t", node_id="n2"))["row"]["attempts"] == 2
    assert run(database, TaskSettings(job_id="j", task_id="other", node_id="n1"))["row"]["attempts"] == 1
    assert database.sqlite.execute("SELECT COUNT(*) FROM docker_worker_checks").fetchone() == (2,)
    assert sum(statement == check.CREATE for statement in database.statements) == 1


def test_two_tasks_that_create_the_table_at_once_both_go_on() -> None:
    database = Database()
    original = database.sqlite.execute(check.CREATE.replace("dbo.", ""))
    assert original is not None
    first = Cursor.execute

    def blind(self: Cursor, statement: str, parameters: tuple[Any, ...] = ()) -> None:
        if "WHERE 1 = 0" in statement:
            raise RuntimeError("Invalid object name 'docker_worker_checks'.")
        first(self, statement, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cursor, "execute", blind)
        assert run(database)["row"]["attempts"] == 1


def test_a_missing_right_is_told_and_the_connection_closed() -> None:
    database = Database(refuse="CREATE TABLE")
    with pytest.raises(PermissionMissing, match=r"docs/sql\.md"):
        run(database)
    assert database.closed == 1


def test_a_refused_login_passes_through() -> None:
    def refuse(_sql: SqlSettings, _seconds: float) -> Any:
        raise LoginRefused("no", cause="x", next_step="y")

    with pytest.raises(LoginRefused):
        check.check(SQL, TASK, log=lambda *_, **__: None, connect=refuse)
