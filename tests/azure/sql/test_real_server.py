"""The opt-in run against a real server, proved on the stand-in: the same tests, by the Microsoft driver, over its DSN.

For a real one: SQLSERVER_TEST_DSN='Server=...;Database=...;Encrypt=yes;...' pytest tests/azure/sql/test_semantics.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.azure.sql.service import Server
from local.azure.sql.sessions.directory import Directory, SqlAccount
from tests.azure.sql.servers import DSN
from tests.azure.sql.world import World

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "p}w;d"  # characters that a connection string must quote


def test_all_semantics_hold_for_the_microsoft_driver_too(world: World) -> None:
    directory = Directory(world.cloud.paths, account=SqlAccount("sa", PASSWORD))
    with Server(world.cloud.paths, directory, 0, world.server.databases) as server:
        quoted = "{" + PASSWORD.replace("}", "}}") + "}"
        environment = {
            **os.environ,
            "SSL_CERT_FILE": str(world.cloud.paths.ca),
            DSN: f"Server=localhost,{server.port};Database=worklist;UID=sa;PWD={quoted};Encrypt=yes",
        }
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-k",
                "server",
                "tests/azure/sql/test_semantics.py",
            ],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    directory.close()
    assert ran.returncode == 0, ran.stdout[-3000:]
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed is not None and int(passed[1]) >= 15
    assert "skipped" not in ran.stdout
