"""`SQL_LOGIN_FILE` and `SQL_ENCRYPT=strict` with the real driver; the stand-in is a process with a SQL login."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.azure.control_plane.cloud import Cloud
from local.paths import Paths
from testbeds.worker_world import DATABASE, HANDLERS, ROOT, Worker
from tests.azure.sql.world import needs_postgres

pytestmark = pytest.mark.thorough

USER, PASSWORD = "worker", "p}w;d = {hunter2}"  # characters that a connection string must quote
HANDLE = ("--until-empty", "--handler", f"{HANDLERS}:handle")


@dataclass
class Server:
    """The stand-in's process, and workers that sign in with the file."""

    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    login: Path

    def start(self, *words: str, **environment: str) -> Worker:
        return Worker(
            subprocess.Popen(
                [sys.executable, "-m", "docker_worker", *words],
                env=self.environment | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    def run(self, *words: str, expect: int = 0, **environment: str) -> Worker:
        worker = self.start(*words, **environment)
        assert (worker.end(), worker.text) == (expect, worker.text)
        assert "hunter2" not in worker.text
        return worker


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    needs_postgres()
    cloud = Cloud.open(Paths(tmp_path / "home"))
    port = cloud.ports.reserve("sql")
    password, login = tmp_path / "password", tmp_path / "login"
    password.write_text(PASSWORD + "\n")
    login.write_text(f"{USER}\n{PASSWORD}\n")
    words = ["--home", str(cloud.paths.home), "--database", DATABASE]
    words += ["--sql-login", USER, "--password-file", str(password)]
    process = subprocess.Popen(
        [sys.executable, "-m", "local.azure.sql", *words],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZ", "SQL_"))}
        settings = {
            "SQL_SERVER": f"localhost,{port}",
            "SQL_DATABASE": DATABASE,
            "SQL_LOGIN_FILE": str(login),
            "SSL_CERT_FILE": str(cloud.paths.ca),
            "PYTHONPATH": f"{ROOT / 'worker'}:{ROOT}",
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:1",  # nobody: no token is asked for
        }
        yield Server(process, kept | settings, login)
    finally:
        process.terminate()
        process.wait(30)
        cloud.close()


def wait_for(port: int, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port}")


@pytest.mark.parametrize("encrypt", ["yes", "strict"])
def test_a_login_from_a_file_does_all_the_work(server: Server, tmp_path: Path, encrypt: str) -> None:
    told = server.run("check", SQL_ENCRYPT=encrypt)
    assert told.events("identity")[0]["login"] == USER
    assert told.events("row")[0]["attempts"] == 1
    server.run("migrate", "--handler", f"{HANDLERS}:handle", SQL_ENCRYPT=encrypt)
    (tmp_path / "items.jsonl").write_text(json.dumps({"name": "a", "steps": 3}))
    server.run("enqueue", "--queue", "q", str(tmp_path / "items.jsonl"), SQL_ENCRYPT=encrypt)
    worked = server.run("run", "--queue", "q", *HANDLE, SQL_ENCRYPT=encrypt)
    assert (worked.events("ended")[0]["done"], worked.events("ended")[0]["steps"]) == (1, 3)


@pytest.mark.parametrize("encrypt", ["yes", "strict"])
def test_strict_verifies_the_certificate_as_yes_does(server: Server, encrypt: str) -> None:
    worker = server.run("check", expect=76, SQL_ENCRYPT=encrypt, SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt")
    assert "is not trusted" in worker.text


def test_the_password_is_in_nobodys_arguments_and_environment(server: Server, tmp_path: Path) -> None:
    server.run("migrate", "--handler", f"{HANDLERS}:handle")
    mark = tmp_path / "mark"
    (tmp_path / "items.jsonl").write_text(json.dumps({"seconds": 60, "mark": str(mark)}))
    server.run("enqueue", "--queue", "q", str(tmp_path / "items.jsonl"))
    worker = server.start("run", "--queue", "q", *HANDLE)
    try:
        worker.wait_for("claimed")
        for pid in (worker.process.pid, server.process.pid):
            shown = [(Path("/proc") / str(pid) / name).read_bytes() for name in ("cmdline", "environ")]
            assert b"docker_worker" in shown[0] or b"local.azure.sql" in shown[0]
            assert b"hunter2" not in b"".join(shown)
    finally:
        worker.process.kill()
        worker.end()


def test_a_wrong_password_is_77_and_a_file_without_one_78(server: Server) -> None:
    server.login.write_text(f"{USER}\nhunter2-wrong\n")
    assert f"refused the user of {server.login}" in server.run("check", expect=77).text
    server.login.write_text(f"{USER}\n")
    assert "a user name and a password, one a line" in server.run("check", expect=78).text


def test_a_missing_database_is_69(server: Server) -> None:
    assert "database 'nowhere' cannot be opened" in server.run("check", expect=69, SQL_DATABASE="nowhere").text


def test_a_login_file_for_a_server_elsewhere_is_refused(server: Server) -> None:
    worker = server.run("check", expect=78, SQL_SERVER="sql.example")
    assert "a password is for a test server on this machine only" in worker.text
