"""The server as a process: it keeps its port and what was committed, whichever of its processes is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytds
import pytest

from local.azure.control_plane.cloud import Cloud
from local.paths import Paths
from tests.azure.sql.world import AUDIENCE, needs_postgres
from tests.scenarios.machine import gone

pytestmark = pytest.mark.thorough

START_SECONDS = 60.0
WAIT_SECONDS = 30.0


@dataclass
class Machine:
    """A home, and its SQL server's process."""

    cloud: Cloud
    port: int
    token: str
    process: subprocess.Popen[bytes]

    def start(self) -> None:
        self.process = start(self.cloud.paths.home, self.port)

    def connect(self, **options: Any) -> Any:
        return pytds.connect(
            "localhost",
            database="worklist",
            port=self.port,
            cafile=str(self.cloud.paths.ca),
            validate_host=False,
            access_token_callable=lambda: self.token,
            login_timeout=10,
            **options,
        )

    @property
    def postmaster(self) -> int:
        file = self.cloud.paths.state / "sql" / "postgres" / "data" / "postmaster.pid"
        return int(file.read_text().split("\n", 1)[0])


def start(home: Path, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "local.azure.sql", "--home", str(home), "--database", "worklist"],
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, f"the server ended with {process.returncode}"
            time.sleep(0.05)
            continue
        return process
    process.kill()
    raise TimeoutError("the server did not answer")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    needs_postgres()
    cloud = Cloud.open(Paths(tmp_path))
    port, settings = cloud.ports.reserve("sql"), cloud.settings
    token = cloud.tokens.issue(
        principal_id=settings.deployer_object_id, client_id=settings.client_id, audience=AUDIENCE
    )
    made = Machine(cloud, port, token, start(tmp_path, port))
    yield made
    made.process.terminate()
    made.process.wait(WAIT_SECONDS)
    cloud.close()


def test_a_killed_server_comes_back_with_what_was_committed(machine: Machine) -> None:
    connection = machine.connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE t (n INT)")
    connection.commit()
    for number in range(3):
        cursor.execute("INSERT INTO t VALUES (%s)", (number,))
        connection.commit()
        cursor.execute("INSERT INTO t VALUES (100)")  # never committed
        machine.process.kill()
        machine.process.wait()
        machine.start()
        connection = machine.connect()
        cursor = connection.cursor()
        assert cursor.execute_scalar("SELECT COUNT(*) FROM t") == number + 1
        assert cursor.execute_scalar("SELECT MAX(n) FROM t") == number
    machine.process.send_signal(signal.SIGTERM)
    assert machine.process.wait(WAIT_SECONDS) == 0
    modes = {file.stat().st_mode & 0o077 for file in (machine.cloud.paths.state / "sql").iterdir()}
    assert modes == {0}


def test_when_postgresql_is_killed_the_server_ends_and_its_next_start_recovers(machine: Machine) -> None:
    connection = machine.connect(autocommit=True)
    connection.cursor().execute("CREATE TABLE t (n INT)")
    connection.cursor().execute("INSERT INTO t VALUES (1)")
    os.kill(machine.postmaster, signal.SIGKILL)
    assert machine.process.wait(WAIT_SECONDS) == 1  # the supervisor of the local Azure starts it again
    machine.start()
    with machine.connect() as again:
        assert again.cursor().execute_scalar("SELECT COUNT(*) FROM t") == 1


def test_postgresql_does_not_outlive_a_killed_server(machine: Machine) -> None:
    postmaster = machine.postmaster
    machine.process.kill()
    machine.process.wait()
    end = time.monotonic() + WAIT_SECONDS
    while not gone(postmaster):
        assert time.monotonic() < end, f"PostgreSQL, process {postmaster}, lives on"
        time.sleep(0.05)


def test_a_pid_file_of_another_program_does_not_stop_the_start(machine: Machine) -> None:
    machine.process.terminate()
    machine.process.wait(WAIT_SECONDS)
    file = machine.cloud.paths.state / "sql" / "postgres" / "data" / "postmaster.pid"
    file.write_text(f"{os.getppid()}\n/mnt/data\n0\n5432\n/mnt/socket\n\n  0 0\nready\n")
    machine.start()
    machine.connect().close()
