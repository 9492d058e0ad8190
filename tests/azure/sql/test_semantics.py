"""What T-SQL means, the same for the stand-in and for a real server (`places.py`)."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.azure.sql.servers import SERVERS, Server, Session, open_server

pytestmark = pytest.mark.thorough

NOW = "DATEDIFF_BIG(MILLISECOND, '1970-01-01', SYSUTCDATETIME())"
QUEUE = "id INT NOT NULL PRIMARY KEY, status NVARCHAR(10) NOT NULL, owner NVARCHAR(50) NULL, until BIGINT NOT NULL"
CLAIM = (
    f"UPDATE {{0}} SET status = 'running', owner = ?, until = {NOW} + ? OUTPUT inserted.id "
    "WHERE id = (SELECT TOP (1) id FROM {0} WITH (ROWLOCK, UPDLOCK, READPAST) "
    f"WHERE status = 'pending' OR (status = 'running' AND until < {NOW}) ORDER BY id)"
)
CLAIM_BY_CTE = (
    "WITH next AS (SELECT TOP (1) * FROM {0} WITH (ROWLOCK, UPDLOCK, READPAST) WHERE status = 'pending' ORDER BY id) "
    f"UPDATE next SET status = 'running', owner = ?, until = {NOW} + ? OUTPUT inserted.id"
)
WAIT_SECONDS = 30.0


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    yield from open_server(request.param, request)


def queue(server: Server, items: int) -> str:
    table = server.table(QUEUE)
    for number in range(1, items + 1):
        server.session().run(f"INSERT INTO {table} (id, status, until) VALUES (?, 'pending', 0)", number)
    return table


def background(work: Any) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("claim", [CLAIM, CLAIM_BY_CTE], ids=["subquery", "cte"])
def test_a_claim_passes_over_rows_that_another_is_taking(server: Server, claim: str) -> None:
    table = queue(server, 3)
    first, second = server.session(), server.session()
    first.run("BEGIN TRANSACTION")
    assert first.run(claim.format(table), "first", 60_000) == [(1,)]
    second.run("SET LOCK_TIMEOUT 5000")
    assert second.run(claim.format(table), "second", 60_000) == [(2,)]
    first.run("ROLLBACK")
    assert second.run(claim.format(table), "second", 60_000) == [(1,)]
    assert second.run(claim.format(table), "second", 60_000) == [(3,)]
    assert second.run(claim.format(table), "second", 60_000) == []


def test_many_claims_at_once_give_each_row_once(server: Server) -> None:
    table, taken = queue(server, 40), []
    sessions = [server.session() for _ in range(6)]

    def work(session: Session) -> None:
        while rows := session.run(CLAIM.format(table), "w", 600_000):
            taken.append(rows[0][0])

    threads = [background(lambda one=one: work(one)) for one in sessions]
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert sorted(taken) == list(range(1, 41))


def test_a_lease_that_ran_out_is_claimed_again(server: Server) -> None:
    table, session = queue(server, 1), server.session()
    assert session.run(CLAIM.format(table), "dead", -1000) == [(1,)]
    assert session.run(CLAIM.format(table), "living", 600_000) == [(1,)]
    assert session.run(CLAIM.format(table), "late", 600_000) == []
    assert session.run(f"SELECT owner FROM {table}") == [("living",)]


def test_of_two_who_add_the_same_row_one_waits_and_adds_nothing(server: Server) -> None:
    table = server.table("k NVARCHAR(20) NOT NULL PRIMARY KEY, n INT NOT NULL")
    add = (
        f"INSERT INTO {table} (k, n) OUTPUT inserted.k SELECT ?, ? "
        f"WHERE NOT EXISTS (SELECT 1 FROM {table} WITH (UPDLOCK, HOLDLOCK) WHERE k = ?)"
    )
    first, second, added = server.session(), server.session(), []
    first.run("BEGIN TRANSACTION")
    assert first.run(add, "a", 1, "a") == [("a",)]
    waiting = background(lambda: added.append(second.run(add, "a", 2, "a")))
    first.run("COMMIT")
    waiting.join(WAIT_SECONDS)
    assert added == [[]]
    assert second.run(f"SELECT n FROM {table}") == [(1,)]


def test_writers_of_different_rows_do_not_wait(server: Server) -> None:
    table, first, second = queue(server, 2), server.session(), server.session()
    first.run("BEGIN TRANSACTION")
    first.run(f"UPDATE {table} SET owner = 'a' WHERE id = 1")
    second.run("SET LOCK_TIMEOUT 5000")
    second.run(f"UPDATE {table} SET owner = 'b' WHERE id = 2")
    first.run("COMMIT")
    assert second.run(f"SELECT owner FROM {table} ORDER BY id") == [("a",), ("b",)]


def test_a_writer_that_waits_too_long_is_told(server: Server) -> None:
    table, first, second = queue(server, 1), server.session(), server.session()
    first.run("BEGIN TRANSACTION")
    first.run(f"UPDATE {table} SET owner = 'a' WHERE id = 1")
    second.run("SET LOCK_TIMEOUT 100")
    assert "lock request time out" in second.refusal(f"UPDATE {table} SET owner = 'b' WHERE id = 1").lower()
    first.run("COMMIT")
    second.run(f"UPDATE {table} SET owner = 'b' WHERE id = 1")


def test_of_two_that_wait_for_each_other_one_is_the_victim(server: Server) -> None:
    table, sessions, refused = queue(server, 2), [server.session(), server.session()], []
    update = f"UPDATE {table} SET owner = ? WHERE id = ?"
    for number, session in enumerate(sessions, 1):
        session.run("BEGIN TRANSACTION")
        session.run(update, "own", number)

    def cross(number: int) -> None:
        try:
            sessions[number - 1].run(update, "crossed", 3 - number)
        except Exception as error:
            refused.append((number, str(error)))

    for thread in [background(lambda n=n: cross(n)) for n in (1, 2)]:
        thread.join(WAIT_SECONDS)
    [(victim, words)] = refused
    assert "deadlock" in words.lower()
    assert sessions[victim - 1].run("SELECT @@TRANCOUNT") == [(0,)]
    sessions[2 - victim].run("COMMIT")
    owners = sessions[victim - 1].run(f"SELECT id, owner FROM {table} ORDER BY id")
    assert owners == sorted([(victim, "crossed"), (3 - victim, "own")])


def test_a_failed_statement_undoes_itself_only(server: Server) -> None:
    table, session = server.table("k INT NOT NULL PRIMARY KEY"), server.session()
    session.run("BEGIN TRANSACTION")
    session.run(f"INSERT INTO {table} (k) VALUES (1)")
    assert "duplicate key" in session.refusal(f"INSERT INTO {table} (k) VALUES (2), (1)")
    session.run(f"INSERT INTO {table} (k) VALUES (3)")
    session.run("COMMIT")
    assert session.run(f"SELECT k FROM {table} ORDER BY k") == [(1,), (3,)]


def test_with_xact_abort_it_undoes_everything(server: Server) -> None:
    table, session = server.table("k INT NOT NULL PRIMARY KEY"), server.session()
    session.run("SET XACT_ABORT ON")
    session.run("BEGIN TRANSACTION")
    session.run(f"INSERT INTO {table} (k) VALUES (1)")
    session.refusal(f"INSERT INTO {table} (k) VALUES (1)")
    assert session.run("SELECT @@TRANCOUNT") == [(0,)]
    assert session.run(f"SELECT k FROM {table}") == []


def test_values_come_back_with_their_types(server: Server) -> None:
    table = server.table(
        "k INT NOT NULL PRIMARY KEY, n BIGINT, d DECIMAL(10, 2), f FLOAT, b BIT, s NVARCHAR(MAX), v VARBINARY(MAX), "
        "w DATETIME2(6), o DATETIMEOFFSET, day DATE, u UNIQUEIDENTIFIER"
    )
    moment, unique = dt.datetime(2026, 1, 2, 3, 4, 5, 678901), uuid.uuid4()
    zoned = moment.replace(tzinfo=dt.UTC)
    values = (2**40, Decimal("-12.50"), 1.5, True, "käse 🧀", b"\x00\xff", moment, zoned, moment.date(), unique)
    session = server.session()
    session.run(f"INSERT INTO {table} VALUES (1, {', '.join('?' * 10)})", *values)
    session.run(f"INSERT INTO {table} (k) VALUES (2)")
    first, second = session.run(f"SELECT n, d, f, b, s, v, w, o, day, u FROM {table} ORDER BY k")
    assert first == values
    assert second == (None,) * 10


def test_values_are_converted_to_the_type_of_their_place(server: Server) -> None:
    table, session = server.table("k INT NOT NULL PRIMARY KEY, s NVARCHAR(20), n INT"), server.session()
    session.run(f"INSERT INTO {table} (k, s, n) VALUES (?, ?, ?)", 1, 42, "17")
    assert session.run(f"SELECT s, n FROM {table} WHERE n = ?", "17") == [("42", 17)]
    assert session.run(f"SELECT n FROM {table} WHERE s = ?", 42) == [(17,)]
    assert "conver" in session.refusal(f"UPDATE {table} SET n = ?", "seventeen").lower()
    assert "truncated" in session.refusal(f"UPDATE {table} SET s = ?", "x" * 21).lower()


def test_null_comes_first_and_identity_counts(server: Server) -> None:
    table = server.table("id INT IDENTITY(1,1) NOT NULL PRIMARY KEY, n INT NULL, at DATETIME2 DEFAULT SYSUTCDATETIME()")
    session = server.session()
    for number in (2, None, 1):
        session.run(f"INSERT INTO {table} (n) VALUES (?)", number)
    assert session.run(f"SELECT id, n FROM {table} ORDER BY n") == [(2, None), (3, 1), (1, 2)]
    assert session.run(f"SELECT COUNT(*) FROM {table} WHERE at <= SYSUTCDATETIME()") == [(3,)]


def test_names_of_columns_are_as_the_statement_writes_them(server: Server) -> None:
    table, session = server.table("itemKey INT NOT NULL PRIMARY KEY"), server.session()
    cursor = session.connection.cursor()
    cursor.execute(f"INSERT INTO {table} ([itemKey]) OUTPUT inserted.itemKey VALUES (1)")
    assert [column[0] for column in cursor.description] == ["itemKey"]
    cursor.fetchall()
    cursor.execute(f"SELECT ITEMKEY AS [Key], 'a' + 'b' FROM {table.upper()}")
    assert [column[0] for column in cursor.description] == ["Key", ""]
    assert tuple(cursor.fetchone()) == (1, "ab")


def test_a_statement_runs_if_its_condition_holds(server: Server) -> None:
    table, session = server.table("k INT NOT NULL PRIMARY KEY"), server.session()
    for _ in range(2):
        session.run(f"IF NOT EXISTS (SELECT 1 FROM {table} WHERE k = 1) INSERT INTO {table} (k) VALUES (1)")
    assert session.run(f"SELECT COUNT(*) FROM {table}") == [(1,)]
    session.run(f"IF OBJECT_ID('{table}', 'U') IS NULL CREATE TABLE {table} (k INT)")
    session.run(f"IF OBJECT_ID('{table}_new') IS NULL INSERT INTO {table} (k) VALUES (2)")
    assert session.run(f"SELECT COUNT(*) FROM {table}") == [(2,)]
