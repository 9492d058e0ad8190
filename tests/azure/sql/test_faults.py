"""What drivers see of each fault, set from outside the process that serves them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytds
import pytest

from local.azure.platform.faults import SERVICES, Control, FaultRefused
from local.azure.sql.faults import sql_fault
from tests.azure.sql.world import World, run_mssql_python

pytestmark = pytest.mark.thorough

WAIT_SECONDS = 30.0


@pytest.fixture
def control(world: World) -> Control:
    return Control(world.cloud.paths, "sql")


def run(connection: Any, text: str) -> list[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.execute(text)
    return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def number_of(work: Any) -> int:
    with pytest.raises(pytds.Error) as caught:
        work()
    return caught.value.number  # type: ignore[attr-defined]


def table_and_transaction(world: World) -> Any:
    """A connection with an open transaction that added a row."""
    run(world.connect(world.admin_token), "CREATE TABLE t (n INT)")
    connection = world.connect(world.admin_token, autocommit=False)
    run(connection, "INSERT INTO t VALUES (1)")
    return connection


def rows(world: World) -> int:
    return run(world.connect(world.admin_token), "SELECT COUNT(*) FROM t")[0][0]


def test_a_login_is_refused_once(world: World, control: Control) -> None:
    with control.injected(sql_fault("login-failed")) as fault:
        with pytest.raises(pytds.Error, match="Login failed"):
            world.connect(world.admin_token)
        assert control.fired(fault) == 1
        assert run(world.connect(world.admin_token), "SELECT 1") == [(1,)]


@pytest.mark.parametrize(("kind", "said"), [("token-expired", "Token is expired"), ("no-database", "Cannot open data")])
def test_a_login_is_refused_for_a_reason(world: World, control: Control, kind: str, said: str) -> None:
    with control.injected(sql_fault(kind, times=0)), pytest.raises((pytds.Error, TimeoutError)) as caught:
        world.connect(world.admin_token)
    # python-tds takes 4060 for one that passes, and tries again until its time is over
    assert said in f"{caught.value} {caught.value.__cause__}"
    assert run(world.connect(world.admin_token), "SELECT 1") == [(1,)]


def test_a_failover_ends_connections_until_it_is_over(world: World, control: Control) -> None:
    connection = table_and_transaction(world)
    with control.injected(sql_fault("failover", times=0)):
        assert number_of(lambda: run(connection, "SELECT 1")) == 40613
        with pytest.raises((pytds.Error, OSError)):
            run(connection, "SELECT 1")
        with pytest.raises((pytds.Error, TimeoutError)) as caught:  # the driver tries again until its login timeout
            world.connect(world.admin_token, login_timeout=2)
        assert "not currently available" in str(caught.value.__cause__ or caught.value)
    assert rows(world) == 0


def test_a_deadlock_undoes_the_transaction_and_keeps_the_connection(world: World, control: Control) -> None:
    connection = table_and_transaction(world)
    with control.injected(sql_fault("deadlock", match="INSERT INTO t")):
        assert run(connection, "SELECT 1") == [(1,)]
        assert number_of(lambda: run(connection, "INSERT INTO t VALUES (2)")) == 1205
    connection.rollback()
    assert rows(world) == 0
    run(connection, "INSERT INTO t VALUES (3)")
    connection.commit()
    assert rows(world) == 1


@pytest.mark.parametrize(("kind", "kept"), [("cut", 0), ("cut-before-commit", 0), ("cut-after-commit", 1)])
def test_a_cut_connection_leaves_all_or_nothing(world: World, control: Control, kind: str, kept: int) -> None:
    connection = table_and_transaction(world)
    with control.injected(sql_fault(kind)) as fault:
        with pytest.raises((pytds.Error, OSError)):
            run(connection, "INSERT INTO t VALUES (2)")
            connection.commit()
        assert control.fired(fault) == 1
    if kind == "cut-after-commit":
        kept = 2
    deadline = time.monotonic() + WAIT_SECONDS
    while rows(world) != kept and time.monotonic() < deadline:
        time.sleep(0.05)
    assert rows(world) == kept


def test_a_slow_statement_waits_and_others_do_not(world: World, control: Control) -> None:
    slow, other, ended = world.connect(world.admin_token), world.connect(world.admin_token), threading.Event()

    def wait() -> None:
        run(slow, "SELECT 1 AS slow_one")
        ended.set()

    with control.injected(sql_fault("slow", match="slow_one", seconds=1.0)):
        began = time.monotonic()
        thread = threading.Thread(target=wait)
        thread.start()
        assert run(other, "SELECT 2") == [(2,)]
        thread.join(WAIT_SECONDS)
        assert ended.is_set()
        assert time.monotonic() - began >= 1.0


def test_chance_is_repeatable_and_counted(world: World, control: Control) -> None:
    def outcomes() -> list[bool]:
        seen = []
        connection = world.connect(world.admin_token)
        with control.injected(sql_fault("deadlock", times=0, match="SELECT 1", probability=0.5, seed=7)):
            for _ in range(12):
                try:
                    run(connection, "SELECT 1")
                    seen.append(True)
                except pytds.Error:
                    seen.append(False)
        return seen

    first = outcomes()
    assert first == outcomes()
    assert {True, False} == set(first)


def test_what_is_no_fault_is_refused_with_the_kinds_there_are(world: World, control: Control) -> None:
    with pytest.raises(FaultRefused, match="deadlock"):
        sql_fault("meteor")
    with pytest.raises(FaultRefused, match="regular expression"):
        sql_fault("cut", match="(")
    with pytest.raises(FaultRefused, match="a rule has no colour"):
        control.ask({"do": "set", "rule": {"service": "sql", "kind": "cut", "colour": "red"}})
    assert control.state() == {}


def test_the_control_socket_is_the_owners(world: World) -> None:
    address = world.cloud.paths.sockets / "faults-sql"
    assert address.stat().st_mode & 0o777 == 0o600


def test_the_command_line_sets_lists_and_clears(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_AZURE_HOME", str(world.cloud.paths.home))

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "local", "fault", *words],
            cwd=Path(__file__).resolve().parents[3],
            capture_output=True,
            text=True,
            check=False,
        )

    assert command("set", "sql", "deadlock", "--times", "2").stdout == "sql-1\n"
    assert [(one["name"], one["kind"], one["times"]) for one in json.loads(command("list", "--json").stdout)] == [
        ("sql-1", "deadlock", 2)
    ]
    assert command("clear", "sql-1").returncode == 0
    assert command("list").stdout == ""
    monkeypatch.setenv("LOCAL_AZURE_HOME", str(world.cloud.paths.home / "absent"))
    refused = command("list")
    assert refused.returncode == 1 and "python -m local start" in refused.stderr


MICROSOFT_DRIVER = """
import os, time, mssql_python
from pathlib import Path
from local.paths import Paths
from local.azure.platform.faults import Control
from local.azure.sql.faults import sql_fault
control = Control(Paths(Path(os.environ["AZURE_HOME"])), "sql")
class Credential:
    def get_token(self, *scopes, **_):
        from azure.core.credentials import AccessToken
        return AccessToken(os.environ["TOKEN"], 4_000_000_000)
mssql_python.pooling(enabled=False)
where = f"Server=localhost,{os.environ['SQL_PORT']};Database=worklist;Encrypt=yes"
def connect(timeout=10):
    return mssql_python.connect(where, token_provider=Credential(), timeout=timeout)
def attempt(name, work):
    try:
        work()
        print(name, "passed")
    except Exception as error:
        print(name, type(error).__name__, " ".join(str(error).split()))
def rows():
    connection = connect()
    count = connection.cursor().execute("SELECT COUNT(*) FROM t").fetchone()[0]
    connection.close()
    return count
first = connect(); first.cursor().execute("CREATE TABLE t (n INT)"); first.commit(); first.close()
with control.injected(sql_fault("login-failed", times=0)):
    attempt("login", connect)
with control.injected(sql_fault("failover", times=0)):
    attempt("failover-login", lambda: connect(3))
for kind in ("failover", "deadlock", "cut", "cut-before-commit", "cut-after-commit"):
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("INSERT INTO t VALUES (1)")
    def rest():
        cursor.execute("INSERT INTO t VALUES (2)")
        connection.commit()
    before = rows()
    with control.injected(sql_fault(kind, match="INSERT|COMMIT")):
        attempt(kind, rest)
    attempt("then-" + kind, connection.rollback)
    if kind == "deadlock":
        cursor.execute("INSERT INTO t VALUES (3)")
        connection.commit()
    connection.close()
    print(kind, "rows", rows() - before)
connection = connect()
connection.timeout = 1
with control.injected(sql_fault("slow", seconds=30, match="SELECT 7")):
    began = time.monotonic()
    attempt("slow", lambda: connection.cursor().execute("SELECT 7"))
    print("slow soon", time.monotonic() - began < 15)
attempt("slow again", lambda: connection.cursor().execute("SELECT 7"))
"""


def test_what_the_microsoft_driver_says_of_each_fault(world: World) -> None:
    ran = run_mssql_python(
        MICROSOFT_DRIVER,
        world.cloud.paths.ca,
        TOKEN=world.admin_token,
        SQL_PORT=world.server.port,
        AZURE_HOME=str(world.cloud.paths.home),
    )
    print(ran.stdout, ran.stderr[-2000:])
    said = dict(line.split(" ", 1) for line in ran.stdout.splitlines() if " rows " not in line)
    assert "Login failed" in said["login"]
    assert "not currently available" in said["failover-login"]
    assert "not currently available" in said["failover"]
    assert "Serialization failure" in said["deadlock"] and "deadlock victim" in said["deadlock"]
    for kind in ("cut", "cut-before-commit", "cut-after-commit"):
        assert "OperationalError" in said[kind] or "Communication link failure" in said[kind]
    assert "slow again passed" in ran.stdout and "slow soon True" in ran.stdout
    kept = {line.split(" ")[0]: int(line.split(" ")[2]) for line in ran.stdout.splitlines() if " rows " in line}
    assert kept == {"failover": 0, "deadlock": 1, "cut": 0, "cut-before-commit": 0, "cut-after-commit": 2}


def test_an_error_has_the_number_and_the_words_that_were_asked_for(world: World, control: Control) -> None:
    connection = table_and_transaction(world)
    with control.injected(sql_fault("error", match="INSERT INTO t", number=49920, message="it's busy")):
        with pytest.raises(pytds.Error, match="it's busy") as caught:
            run(connection, "INSERT INTO t VALUES (2)")
        assert caught.value.number == 49920  # pyright: ignore[reportAttributeAccessIssue]
    connection.commit()
    assert rows(world) == 1  # the transaction went on


@pytest.mark.parametrize("kind", ["slow-commit", "late-answer"])
def test_a_commit_takes_effect_though_its_client_is_gone(world: World, control: Control, kind: str) -> None:
    connection = table_and_transaction(world)

    def commit() -> None:
        with contextlib.suppress(pytds.Error, OSError):  # the test ends before it is answered
            connection.commit()

    committing = threading.Thread(target=commit, daemon=True)
    with control.injected(sql_fault(kind, seconds=1.0)) as fault:
        committing.start()
        deadline = time.monotonic() + WAIT_SECONDS
        while not control.fired(fault) and time.monotonic() < deadline:
            time.sleep(0.01)
        if kind == "slow-commit":
            assert rows(world) == 0
        while rows(world) != 1 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert rows(world) == 1


def test_a_mute_server_answers_nothing_and_then_ends_the_connection(world: World, control: Control) -> None:
    connection = table_and_transaction(world)
    with control.injected(sql_fault("mute", match="INSERT INTO t", seconds=0.5)), pytest.raises((pytds.Error, OSError)):
        run(connection, "INSERT INTO t VALUES (2)")
    assert rows(world) == 0


def test_every_kind_of_fault_has_a_test() -> None:
    text = Path(__file__).read_text()
    assert {kind for kind in SERVICES["sql"] if f'"{kind}"' not in text} == set()
