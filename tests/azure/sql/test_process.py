"""The server as a process: it keeps its port and what was committed, kill -9 included."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytds

from local.azure.cloud import Cloud
from local.azure.paths import Paths
from tests.azure.sql.conftest import AUDIENCE


def start(home: Path, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "local.azure.sql", "--home", str(home), "--database", "worklist"],
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
            continue
        return process
    raise TimeoutError("the server did not answer")


def test_a_killed_server_comes_back_with_what_was_committed(tmp_path: Path) -> None:
    cloud = Cloud.open(Paths(tmp_path))
    port, settings = cloud.ports.reserve("sql"), cloud.settings
    token = cloud.tokens.issue(
        principal_id=settings.deployer_object_id, client_id=settings.client_id, audience=AUDIENCE
    )

    def connect():
        return pytds.connect(
            "localhost", database="worklist", port=port, cafile=str(cloud.paths.ca), validate_host=False,
            access_token_callable=lambda: token, login_timeout=5,
        )  # fmt: skip

    process = start(tmp_path, port)
    try:
        connection = connect()
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE t (n INT)")
        cursor.execute("INSERT INTO t VALUES (1)")
        connection.commit()
        cursor.execute("INSERT INTO t VALUES (2)")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process = start(tmp_path, port)
        with connect() as again:
            assert again.cursor().execute_scalar("SELECT COUNT(*) FROM t") == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        modes = {file.stat().st_mode & 0o077 for file in (tmp_path / "state" / "sql").iterdir()}
        assert modes == {0}
    finally:
        process.kill()
        process.wait()
        cloud.close()
