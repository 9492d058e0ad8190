"""Texts compare as SQL Server's default collation compares them, unless a column says otherwise; and what a session
tells of its transaction."""

from __future__ import annotations

import pytds
import pytest

from tests.azure.sql.world import World

SAME = [("A1", "a1"), ("\uff21\uff11", "a1")]
OTHER = [("\u00e41", "a1"), ("a1", "a2")]


def test_the_default_collation_passes_over_case_and_width_and_no_accent(world: World) -> None:
    cursor = world.connect(world.admin_token).cursor()
    cursor.execute("CREATE TABLE t (k NVARCHAR(50) NOT NULL PRIMARY KEY)")
    for first, second in [*SAME, *OTHER]:
        cursor.execute("DELETE FROM t")
        cursor.execute("INSERT INTO t VALUES (%s)", (first,))
        cursor.execute("SELECT COUNT(*) FROM t WHERE k = %s", (second,))
        assert cursor.fetchone()[0] == ((first, second) in SAME), (first, second)
        if (first, second) in SAME:
            with pytest.raises(pytds.IntegrityError):
                cursor.execute("INSERT INTO t VALUES (%s)", (second,))


def test_a_binary_collation_compares_what_is_written(world: World) -> None:
    cursor = world.connect(world.admin_token).cursor()
    cursor.execute("CREATE TABLE t (k NVARCHAR(50) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY)")
    texts = {text for pair in [*SAME, *OTHER] for text in pair}
    for text in texts:
        cursor.execute("INSERT INTO t VALUES (%s)", (text,))
    cursor.execute("SELECT k FROM t")
    assert {row[0] for row in cursor.fetchall()} == texts


@pytest.mark.parametrize("collation", ["", "COLLATE Latin1_General_100_BIN2"])
def test_blanks_at_the_end_make_two_texts_here_unlike_in_sql_server(collation: str, world: World) -> None:
    cursor = world.connect(world.admin_token).cursor()
    cursor.execute(f"CREATE TABLE t (k NVARCHAR(50) {collation} NOT NULL PRIMARY KEY)")
    cursor.execute("INSERT INTO t VALUES ('a'), ('a ')")
    cursor.execute("SELECT COUNT(*) FROM t WHERE k = 'a'")
    assert cursor.fetchone()[0] == 1


def test_like_works_without_case(world: World) -> None:
    cursor = world.connect(world.admin_token).cursor()
    cursor.execute("CREATE TABLE t (k NVARCHAR(50) NOT NULL)")
    cursor.execute("INSERT INTO t VALUES ('Apple'), ('pear')")
    cursor.execute("SELECT k FROM t WHERE k LIKE 'a%'")
    assert cursor.fetchall() == [("Apple",)]
    cursor.execute("SELECT k FROM t WHERE k NOT LIKE 'a%'")
    assert cursor.fetchall() == [("pear",)]


def test_another_collation_is_refused_by_name(world: World) -> None:
    with pytest.raises(pytds.Error, match="the collation Klingon_CS_AS"):
        world.connect(world.admin_token).cursor().execute("CREATE TABLE t (k NVARCHAR(50) COLLATE Klingon_CS_AS)")


def test_a_session_tells_of_its_transaction_and_its_options(world: World) -> None:
    cursor = world.connect(world.admin_token).cursor()

    def facts() -> tuple[int, int, int, int]:
        cursor.execute("SELECT @@TRANCOUNT, XACT_STATE(), CURRENT_TRANSACTION_ID(), @@OPTIONS & 512")
        return tuple(cursor.fetchone())  # pyright: ignore[reportReturnType]

    assert facts()[:2] == (0, 0)
    cursor.execute("BEGIN TRANSACTION; BEGIN TRANSACTION")
    count, state, first, _ = facts()
    assert (count, state) == (2, 1)
    cursor.execute("COMMIT")
    assert facts()[:3] == (1, 1, first)
    cursor.execute("ROLLBACK; BEGIN TRANSACTION")
    assert facts()[2] != first
    cursor.execute("BEGIN TRANSACTION; WHILE @@TRANCOUNT > 0 COMMIT TRANSACTION; SET NOCOUNT ON")
    assert (facts()[0], facts()[3]) == (0, 512)
    cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    cursor.execute("DBCC USEROPTIONS")
    assert ("isolation level", "serializable") in cursor.fetchall()
