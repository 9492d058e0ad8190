"""Statements, rights and transactions, through a driver."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytds
import pytest

from infra.sql import user_script
from local.azure.sql.faults import sql_fault
from tests.azure.sql.world import World


def number_of(work: Callable[[], Any]) -> int:
    """The number of the error that this raises."""
    with pytest.raises(pytds.Error) as caught:
        work()
    return caught.value.number  # type: ignore[attr-defined]


@pytest.fixture
def admin(world: World) -> Any:
    return world.connect(world.admin_token)


def node(world: World, script: str | None = None) -> Any:
    identity = world.identity("id-node")
    made = user_script(database="worklist", identity_name="id-node", client_id=identity.system["clientId"])
    world.provision(script or made)
    return world.connect(world.token(identity))


def run(connection: Any, text: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def test_the_programs_script_gives_the_rights_that_the_worker_needs(world: World) -> None:
    connection = node(world)
    assert number_of(lambda: run(connection, "SELECT COUNT(*) FROM dbo.checks WHERE 1 = 0")) == 208
    run(connection, "CREATE TABLE dbo.checks (job_id NVARCHAR(64) NOT NULL, n INT NOT NULL, PRIMARY KEY (job_id))")
    assert number_of(lambda: run(connection, "CREATE TABLE dbo.checks (n INT)")) == 2714
    run(connection, "INSERT INTO dbo.checks VALUES (%s, %s)", "job", 1)
    run(connection, "UPDATE dbo.checks SET n = n + 1 WHERE job_id = %s", "job")
    assert run(connection, "SELECT n AS many, n + 1 FROM dbo.checks") == [(2, 3)]
    assert number_of(lambda: run(connection, "CREATE USER [x] FROM EXTERNAL PROVIDER")) == 15247
    assert number_of(lambda: run(connection, "DROP DATABASE worklist")) == 15247


def test_the_script_can_be_run_again(world: World) -> None:
    identity = world.identity("id-node")
    script = user_script(database="worklist", identity_name="id-node", client_id=identity.system["clientId"])
    world.provision(script)
    world.provision(script)


def test_an_identity_made_anew_under_its_old_name_is_let_in_and_the_old_one_is_not(world: World) -> None:
    old = world.identity("id-node")
    world.provision(user_script(database="worklist", identity_name="id-node", client_id=old.system["clientId"]))
    connection = node(world)
    assert run(connection, "SELECT COUNT(*) FROM sys.database_principals WHERE name = 'id-node'") == [(1,)]
    with pytest.raises(pytds.OperationalError, match="Login failed for user '<token-identified principal>'"):
        world.connect(world.token(old))


def test_a_reader_cannot_write_nor_make_tables(world: World, admin: Any) -> None:
    run(admin, "CREATE TABLE t (n INT)")
    reader = node(
        world, "CREATE USER [id-node] FROM EXTERNAL PROVIDER\nGO\nALTER ROLE db_datareader ADD MEMBER [id-node]"
    )
    assert run(reader, "SELECT * FROM t") == []
    assert number_of(lambda: run(reader, "INSERT INTO t VALUES (1)")) == 229
    assert number_of(lambda: run(reader, "CREATE TABLE u (n INT)")) == 262
    run(admin, "ALTER ROLE db_datareader DROP MEMBER [id-node]")
    assert number_of(lambda: run(reader, "SELECT * FROM t")) == 229


def test_users_of_the_catalog_cannot_be_changed_by_writing_to_it(world: World) -> None:
    connection = node(world)
    assert ("id-node",) in run(connection, "SELECT name FROM sys.database_principals")
    for text in (
        "INSERT INTO sys_database_role_members VALUES ('db_owner', 'id-node')",
        "DELETE FROM sys.database_principals",
        "DROP TABLE sys_database_principals",
    ):
        with pytest.raises(pytds.Error):
            run(connection, text)


def test_a_dropped_user_is_gone(world: World, admin: Any) -> None:
    node(world)
    run(admin, "DROP USER [id-node]")
    run(admin, "DROP USER IF EXISTS [id-node]")
    assert number_of(lambda: run(admin, "DROP USER [id-node]")) == 15151


def test_parameters_keep_their_values(admin: Any) -> None:
    run(admin, "CREATE TABLE p (k INT PRIMARY KEY, v NVARCHAR(MAX), b VARBINARY(MAX))")
    unique = uuid.uuid4()
    values = ["käse 🧀", "x" * 9000, "user@host -- 'quoted'", None, 2**40, 1.5, Decimal("12.50"), True, unique]
    values += [dt.datetime(2026, 1, 2, 3, 4, 5, 678000), dt.date(2026, 1, 2)]
    for key, value in enumerate(values):
        run(admin, "INSERT INTO p (k, v) VALUES (%s, %s)", key, value)
    read = [row[0] for row in run(admin, "SELECT v FROM p ORDER BY k")]
    assert read[:4] == values[:4]
    assert read[8] == str(unique)
    assert read[9].startswith("2026-01-02 03:04:05.678")
    run(admin, "UPDATE p SET b = %s WHERE k = 0", pytds.Binary(b"\x00\xff"))
    assert run(admin, "SELECT b FROM p WHERE k = 0") == [(b"\x00\xff",)]
    assert run(admin, "SELECT 'a@b', 2147483648, -1, 0.5") == [("a@b", 2**31, -1, 0.5)]


def test_constraints_have_sql_servers_numbers(admin: Any) -> None:
    run(admin, "CREATE TABLE c (k INT PRIMARY KEY, v INT NOT NULL CHECK (v > 0))")
    run(admin, "INSERT INTO c VALUES (1, 1)")
    assert number_of(lambda: run(admin, "INSERT INTO c VALUES (1, 1)")) == 2627
    assert number_of(lambda: run(admin, "INSERT INTO c VALUES (2, NULL)")) == 515
    assert number_of(lambda: run(admin, "INSERT INTO c VALUES (2, -1)")) == 547
    assert number_of(lambda: run(admin, "SELECT absent FROM c")) == 207
    assert number_of(lambda: run(admin, "SELEKT 1 FROM FROM")) in (102, 50001)


def test_what_it_does_not_have_is_refused_by_name(admin: Any) -> None:
    for text, named in (
        ("SELECT * FROM sys.dm_exec_requests", "sys.dm_exec_requests"),
        ("SELECT @@NESTLEVEL", "@@NESTLEVEL"),
        ("SET SHOWPLAN_ALL ON", "SHOWPLAN_ALL"),
        ("DENY SELECT TO [x]", "DENY SELECT"),
    ):
        with pytest.raises(pytds.Error, match="stand-in does not have") as caught:
            run(admin, text)
        assert named in str(caught.value)


def test_transactions_are_undone_and_kept(world: World) -> None:
    first = world.connect(world.admin_token, autocommit=False)
    run(first, "CREATE TABLE t (n INT)")
    first.commit()
    run(first, "INSERT INTO t VALUES (1)")
    second = world.connect(world.admin_token)
    assert run(second, "SELECT COUNT(*) FROM t") == [(0,)]
    first.rollback()
    run(first, "INSERT INTO t VALUES (2)")
    first.commit()
    assert run(second, "SELECT n FROM t") == [(2,)]
    run(second, "BEGIN TRAN; INSERT INTO t VALUES (3); IF @@TRANCOUNT > 0 ROLLBACK")
    assert run(second, "SELECT n FROM t") == [(2,)]
    assert number_of(lambda: run(second, "COMMIT")) == 3902


def test_a_transaction_that_only_read_so_far_can_write_after_another_did(world: World) -> None:
    """Two tasks that look before they write."""
    first, second = (world.connect(world.admin_token, autocommit=False) for _ in range(2))
    run(first, "CREATE TABLE t (n INT)")
    first.commit()
    for connection in (first, second):
        assert run(connection, "SELECT COUNT(*) FROM t") == [(0,)]
    run(first, "INSERT INTO t VALUES (1)")
    first.commit()
    run(second, "INSERT INTO t VALUES (2)")
    second.commit()
    assert run(first, "SELECT COUNT(*) FROM t") == [(2,)]


def test_a_second_writer_waits_for_the_first(world: World) -> None:
    first, second = world.connect(world.admin_token, autocommit=False), world.connect(world.admin_token)
    run(first, "CREATE TABLE t (n INT)")
    first.commit()
    run(first, "INSERT INTO t VALUES (1)")
    waiting = threading.Thread(target=lambda: run(second, "INSERT INTO t VALUES (2)"))
    waiting.start()
    first.commit()
    waiting.join(10)
    assert run(second, "SELECT COUNT(*) FROM t") == [(2,)]


def test_a_connection_that_drops_at_commit_leaves_nothing_behind(world: World) -> None:
    connection = world.connect(world.admin_token, autocommit=False)
    run(connection, "CREATE TABLE t (n INT)")
    connection.commit()
    run(connection, "INSERT INTO t VALUES (1)")
    world.faults.set(sql_fault("cut-before-commit"))
    with pytest.raises((pytds.Error, OSError)):
        connection.commit()
    assert run(world.connect(world.admin_token), "SELECT COUNT(*) FROM t") == [(0,)]


def test_output_merge_and_top_are_translated(admin: Any) -> None:
    run(admin, "CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    assert run(admin, "INSERT INTO t (id, n) OUTPUT INSERTED.id VALUES (7, 1)") == [(7,)]
    run(admin, "INSERT INTO t VALUES (8, 2)")
    assert run(admin, "SELECT TOP 1 [id] FROM [dbo].[t] WITH (NOLOCK) ORDER BY id DESC") == [(8,)]


def test_databases_are_made_dropped_and_entered_by_the_administrator(admin: Any) -> None:
    run(admin, "CREATE DATABASE other")
    assert number_of(lambda: run(admin, "CREATE DATABASE other")) == 1801
    run(admin, "USE other")
    assert run(admin, "SELECT DB_NAME()") == [("other",)]
    run(admin, "USE worklist")
    run(admin, "DROP DATABASE other")
    assert number_of(lambda: run(admin, "USE other")) == 911


def test_errors_that_a_program_raises_arrive_with_their_number(admin: Any) -> None:
    assert number_of(lambda: run(admin, "THROW 50123, 'it''s over', 1")) == 50123
    assert number_of(lambda: run(admin, "RAISERROR(50124, 16, 1)")) == 50124


def test_other_files_cannot_be_opened(admin: Any) -> None:
    for text in ("ATTACH DATABASE 'x.db' AS x", "PRAGMA writable_schema = 1", "VACUUM INTO 'x.db'"):
        with pytest.raises(pytds.Error):
            run(admin, text)


def test_truncate_empties_a_table(admin: Any) -> None:
    run(admin, "CREATE TABLE t (n INT)")
    run(admin, "INSERT INTO t VALUES (1)")
    run(admin, "TRUNCATE TABLE t")
    assert run(admin, "SELECT COUNT(*) FROM t") == [(0,)]
