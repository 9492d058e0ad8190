"""Who is let in, with which words others are refused, and that nothing goes unencrypted or unverified."""

from __future__ import annotations

import socket
import struct
import uuid
from pathlib import Path

import pytds
import pytest
from cryptography import x509

from infra.sql import user_script
from local.azure.platform.certificates import ensure_authority
from local.azure.sql.errors import SqlError
from local.azure.sql.faults import sql_fault
from local.azure.sql.service import Server
from local.azure.sql.sessions.directory import Directory, SqlAccount
from local.paths import Paths
from tests.azure.sql.world import World, run_mssql_python

pytestmark = pytest.mark.thorough

MICROSOFT_DRIVER = """
import os, mssql_python
class Credential:
    def get_token(self, *scopes, **_):
        from azure.core.credentials import AccessToken
        return AccessToken(os.environ["TOKEN"], 4_000_000_000)
mssql_python.pooling(enabled=False)
where = f"Server={os.environ['HOST']},{os.environ['SQL_PORT']};Database=worklist;Encrypt={os.environ['ENCRYPT']}"
connection = mssql_python.connect(where, token_provider=Credential(), timeout=10)
cursor = connection.cursor()
cursor.execute("SELECT @@VERSION")
print(cursor.fetchone()[0].splitlines()[0])
cursor.execute("SELECT SUSER_SNAME(), USER_NAME(), DB_NAME()")
print(*cursor.fetchone())
cursor.execute("CREATE TABLE dbo.t (a NVARCHAR(64) NOT NULL, n INT, PRIMARY KEY (a))")
cursor.execute("INSERT INTO dbo.t (a, n) VALUES (?, ?)", ("käse@home", 1))
cursor.execute("INSERT INTO dbo.t (a, n) VALUES (?, ?)", ("none", None))
connection.commit()
cursor.execute("UPDATE dbo.t SET n = n + 1 WHERE a = ?", ("käse@home",))
print("rows", cursor.rowcount)
connection.rollback()
cursor.execute("SELECT a, n FROM dbo.t ORDER BY a")
print(*[tuple(row) for row in cursor.fetchall()])
try:
    cursor.execute("INSERT INTO dbo.t (a, n) VALUES (?, ?)", ("none", 2))
except mssql_python.IntegrityError as error:
    print("duplicate")
connection.rollback()
connection.close()
"""


def let_in(world: World, name: str = "id-node"):
    identity = world.identity(name)
    world.provision(user_script(database="worklist", identity_name=name, client_id=identity.system["clientId"]))
    return identity


@pytest.mark.parametrize("encrypt", ["yes", "strict"])
def test_the_microsoft_driver_works_over_verified_tls(world: World, encrypt: str) -> None:
    identity = let_in(world)
    ran = run_mssql_python(
        MICROSOFT_DRIVER,
        world.cloud.paths.ca,
        TOKEN=world.token(identity),
        HOST="localhost",
        SQL_PORT=world.server.port,
        ENCRYPT=encrypt,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    version, who, rows, table, duplicate = ran.stdout.splitlines()
    assert version.startswith("Microsoft SQL Server")
    assert who == f"{identity.system['clientId']}@{world.cloud.settings.tenant_id} id-node worklist"
    assert (rows, duplicate) == ("rows 1", "duplicate")
    assert table == "('käse@home', 1) ('none', None)"


def test_a_waiting_statement_is_cancelled_and_the_connection_goes_on(world: World) -> None:
    program = (
        MICROSOFT_DRIVER.split("cursor.execute")[0]
        + """
import time
connection.timeout = 1
began = time.monotonic()
try:
    connection.cursor().execute("WAITFOR DELAY '00:00:20'")
except mssql_python.Error as error:
    print("cancelled", time.monotonic() - began < 10)
cursor = connection.cursor()
cursor.execute("SELECT 7")
print(cursor.fetchone()[0])
"""
    )
    ran = run_mssql_python(
        program,
        world.cloud.paths.ca,
        TOKEN=world.admin_token,
        HOST="localhost",
        SQL_PORT=world.server.port,
        ENCRYPT="yes",
    )
    assert ran.stdout.split() == ["cancelled", "True", "7"], ran.stderr[-2000:]


def test_a_statement_that_waits_for_a_lock_is_cancelled_and_the_connection_goes_on(world: World) -> None:
    holder = world.connect(world.admin_token, autocommit=False)
    holder.cursor().execute("CREATE TABLE t (n INT)")
    holder.cursor().execute("INSERT INTO t VALUES (1)")
    holder.commit()
    holder.cursor().execute("UPDATE t SET n = 2")
    program = (
        MICROSOFT_DRIVER.split("cursor.execute")[0]
        + """
cursor.execute("INSERT INTO t VALUES (5)")
connection.timeout = 1
try:
    connection.cursor().execute("UPDATE t SET n = 3")
except mssql_python.Error as error:
    print("cancelled", "timeout expired" in str(error))
connection.timeout = 0
cursor = connection.cursor()
cursor.execute("SELECT SUM(n) FROM t")
print(cursor.fetchone()[0])
connection.commit()
"""
    )
    ran = run_mssql_python(
        program,
        world.cloud.paths.ca,
        TOKEN=world.admin_token,
        HOST="localhost",
        SQL_PORT=world.server.port,
        ENCRYPT="yes",
    )
    assert ran.stdout.split() == ["cancelled", "True", "6"], ran.stderr[-2000:]
    holder.commit()
    assert holder.cursor().execute_scalar("SELECT SUM(n) FROM t") == 7


def test_a_client_that_goes_away_while_it_waits_leaves_no_lock(world: World) -> None:
    """pytds ends its connection at its timeout; the row that it had locked before must be free then."""
    admin = world.connect(world.admin_token)
    admin.cursor().execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    admin.cursor().execute("INSERT INTO t VALUES (1, 0), (2, 0)")
    holder, leaver = (world.connect(world.admin_token, autocommit=False, timeout=2) for _ in range(2))
    holder.cursor().execute("UPDATE t SET n = 1 WHERE id = 1")
    leaver.cursor().execute("UPDATE t SET n = 2 WHERE id = 2")
    with pytest.raises((pytds.Error, OSError)):
        leaver.cursor().execute("UPDATE t SET n = 2 WHERE id = 1")
    leaver.close()
    admin.cursor().execute("UPDATE t SET n = 3 WHERE id = 2")
    holder.commit()
    assert admin.cursor().execute_scalar("SELECT SUM(n) FROM t") == 4


def test_the_microsoft_driver_refuses_an_unknown_authority(world: World, tmp_path: Path) -> None:
    identity = let_in(world)
    other = Paths(tmp_path / "other")
    other.ensure()
    ensure_authority(other)
    ran = run_mssql_python(
        MICROSOFT_DRIVER,
        other.ca,
        TOKEN=world.token(identity),
        HOST="localhost",
        SQL_PORT=world.server.port,
        ENCRYPT="yes",
    )
    assert ran.returncode != 0
    assert "certificate verify failed" in ran.stderr


def test_the_certificate_is_good_for_the_name_that_nodes_use(world: World) -> None:
    certificate = x509.load_pem_x509_certificate((world.cloud.paths.state / "certificates" / "sql.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["sql.azure.test", "localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def refusal(world: World, token: str, database: str = "worklist") -> str:
    """What the driver says. It tries again after any error but 18456, then raises TimeoutError from the last one."""
    with pytest.raises((pytds.Error, TimeoutError)) as caught:
        world.connect(token, database, login_timeout=1)
    return f"{caught.value} {caught.value.__context__}"


def test_a_principal_without_a_database_user_is_refused(world: World) -> None:
    text = refusal(world, world.token(world.identity("id-other")))
    assert "Login failed for user '<token-identified principal>'." in text


def test_a_user_of_one_database_is_refused_by_another(world: World) -> None:
    identity = let_in(world)
    world.server.databases.ensure("other")
    for database in ("other", "absent", ""):
        assert "Login failed" in refusal(world, world.token(identity), database)


def test_an_expired_token_is_refused_as_expired(world: World) -> None:
    assert "Token is expired." in refusal(world, world.token(let_in(world), seconds=-10))


def test_a_token_for_another_audience_is_refused(world: World) -> None:
    text = refusal(world, world.token(let_in(world), audience="https://management.azure.com/"))
    assert "The server is not currently configured to accept this token." in text


def test_a_forged_token_is_refused(world: World) -> None:
    token = world.token(let_in(world))
    head, _, signature = token.split(".")
    body = world.admin_token.split(".")[1]
    assert "Login failed" in refusal(world, f"{head}.{body}.{signature}")


def test_the_administrator_is_dbo_everywhere_and_learns_of_missing_databases(world: World) -> None:
    with world.connect(world.admin_token, "").cursor() as cursor:
        cursor.execute("SELECT USER_NAME(), CURRENT_USER, DB_NAME()")
        assert cursor.fetchone() == ("dbo", "dbo", "master")
    assert 'Cannot open database "absent"' in refusal(world, world.admin_token, "absent")


def test_sql_logins_are_off_unless_configured(world: World) -> None:
    where = {"port": world.server.port, "cafile": str(world.cloud.paths.ca), "validate_host": False}
    with pytest.raises(pytds.Error, match="Login failed for user 'sa'"):
        pytds.connect("localhost", user="sa", password="secret", **where)
    directory = Directory(world.cloud.paths, account=SqlAccount("sa", "secret"))
    with Server(world.cloud.paths, directory, 0, world.server.databases) as server:
        where["port"] = server.port
        with pytds.connect("localhost", user="sa", password="secret", **where) as connection:
            assert connection.cursor().execute_scalar("SELECT USER_NAME()") == "dbo"
        with pytest.raises(pytds.Error):
            pytds.connect("localhost", user="sa", password="wrong", **where)
    directory.close()


def test_a_client_that_cannot_encrypt_is_sent_away(world: World) -> None:
    prelogin = bytes([1, 0, 6, 0, 1, 0xFF, 2])
    with socket.create_connection(("127.0.0.1", world.server.port), timeout=5) as client:
        client.sendall(struct.pack(">BBHHBB", 0x12, 1, 8 + len(prelogin), 0, 1, 0) + prelogin)
        answer = client.recv(4096)
        offset, _ = struct.unpack(">HH", answer[8 + 6 : 8 + 10])
        assert answer[8 + offset] == 3  # encryption required
        assert client.recv(4096) == b""


def test_a_fault_at_login_is_what_the_client_sees(world: World) -> None:
    world.faults.set(sql_fault("failover", times=0))  # the driver tries again until its login timeout
    assert "not currently available" in refusal(world, world.admin_token)


def test_users_are_found_by_name_and_by_object_id(world: World) -> None:
    named, twin, other = world.identity("id-a"), world.identity("id-b"), world.identity("id-b", group="h")
    assert twin.name == other.name
    world.provision("CREATE USER [id-a] FROM EXTERNAL PROVIDER;")
    with pytest.raises(SqlError, match="duplicate display name"):
        world.provision("CREATE USER [id-b] FROM EXTERNAL PROVIDER;")
    world.provision(f"CREATE USER [second b] FROM EXTERNAL PROVIDER WITH OBJECT_ID='{other.system['principalId']}';")
    with pytest.raises(SqlError, match="could not be found"):
        world.provision("CREATE USER [absent] FROM EXTERNAL PROVIDER;")
    assert world.connect(world.token(named)).cursor().execute_scalar("SELECT USER_NAME()") == "id-a"
    assert world.connect(world.token(other)).cursor().execute_scalar("SELECT USER_NAME()") == "second b"
    refusal(world, world.token(twin))
    assert uuid.UUID(named.system["clientId"])
