"""How a work queue scales over the SQL stand-in.

    .venv/bin/python -m benchmarks.sql_concurrency [--seconds 4] [--workers 1,2,4,8] [--handlers 0,50]

Each worker is a process with the Microsoft driver over verified TLS, as the docker-worker is. For each item: claim
(UPDATE ... WITH (ROWLOCK, UPDLOCK, READPAST) ... OUTPUT, commit), then one transaction with the handler's write, the
handler's time, and the checkpoint. So the handler's time passes inside a transaction that has written: with row locks
workers need not wait for each other. Every run checks that each item was done exactly once. Data to stdout, words to
stderr.

Measured in November 2026 on 2 cores that other work shared, items/s with 1, 2, 4, 8 workers. psycopg, at load 13: 0 ms
50, 133, 269, 197 (p95 of a claim with 8: 30 ms); 50 ms 13, 26, 46, 56 (63 ms). The wire client of our own before it, at
load 7: 77, 179, 225, 365 (21 ms); 14, 28, 52, 92 (30 ms). Both clients in turns, 8 threads, took the same
CPU of ours (0.05 s for 2,400 statements). SQLite, one writer a database, gave 15 with 8 workers of 50 ms: taken out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytds

from local.azure.control_plane.cloud import Cloud
from local.paths import Paths

ROOT: Final = Path(__file__).resolve().parent.parent
AUDIENCE: Final = "https://database.windows.net/"
START_SECONDS: Final = 60.0
ITEMS: Final = 4000
CLAIM: Final = """
UPDATE dbo.items SET status = 'running', owner = ?, attempts = attempts + 1,
    lease_until = DATEADD(second, ?, SYSUTCDATETIME())
OUTPUT inserted.id
WHERE id = (SELECT TOP (1) id FROM dbo.items WITH (ROWLOCK, UPDLOCK, READPAST)
            WHERE status = 'pending' OR (status = 'running' AND lease_until < SYSUTCDATETIME()) ORDER BY id)
"""


def work(owner: str, handler: float, seconds: float) -> None:
    """One worker (a process of its own): says `ready`, waits for a line, works, prints its figures."""
    import mssql_python
    from azure.core.credentials import AccessToken

    class Credential:
        def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            return AccessToken(os.environ["TOKEN"], 4_000_000_000)

    mssql_python.pooling(enabled=False)
    where = f"Server=localhost,{os.environ['SQL_PORT']};Database=worklist;Encrypt=yes"
    connection = mssql_python.connect(where, token_provider=Credential(), timeout=30)  # type: ignore[arg-type]
    cursor = connection.cursor()
    print("ready", flush=True)
    sys.stdin.readline()
    claims, done, refused = [], 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            began = time.monotonic()
            cursor.execute(CLAIM, (owner, 30))
            row = cursor.fetchone()
            connection.commit()
            claims.append(time.monotonic() - began)
            if row is None:
                break
            cursor.execute("INSERT INTO dbo.results (item, owner) VALUES (?, ?)", (row[0], owner))
            time.sleep(handler)
            cursor.execute("UPDATE dbo.items SET status = 'done' WHERE id = ? AND owner = ?", (row[0], owner))
            assert cursor.rowcount == 1
            connection.commit()
            done += 1
        except mssql_python.Error:  # a lock was not had in time (1222)
            connection.rollback()
            refused += 1
    connection.close()
    print(json.dumps({"claims": claims, "done": done, "refused": refused}), flush=True)


@contextmanager
def server() -> Iterator[tuple[Paths, int, str]]:
    """A stand-in in a home of its own."""
    home = Path(tempfile.mkdtemp(prefix="sql-"))
    paths = Paths(home)
    cloud = Cloud.open(paths)
    port, settings = cloud.ports.reserve("sql"), cloud.settings
    token = cloud.tokens.issue(
        principal_id=settings.deployer_object_id, client_id=settings.client_id, audience=AUDIENCE, lifetime_seconds=7200
    )
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "local.azure.sql", "--home", str(home), "--database", "worklist"],
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > began + START_SECONDS:
                    raise SystemExit("the SQL server did not start: run it by hand to see why") from None
                time.sleep(0.02)
        print(f"first start, database included, {time.monotonic() - began:.2f} s", file=sys.stderr)
        yield paths, port, token
    finally:
        process.terminate()
        process.wait()
        cloud.close()
        shutil.rmtree(home)
        shutil.rmtree(paths.sockets, ignore_errors=True)


def measure(where: tuple[Paths, int, str], workers: int, handler: float, seconds: float) -> dict[str, Any]:
    """One row of the table."""
    paths, port, token = where
    with pytds.connect(
        "localhost",
        database="worklist",
        port=port,
        cafile=str(paths.ca),
        validate_host=False,
        autocommit=True,
        access_token_callable=lambda: token,
    ) as admin:
        cursor = admin.cursor()
        for text in (
            "DROP TABLE IF EXISTS dbo.items",
            "DROP TABLE IF EXISTS dbo.results",
            "CREATE TABLE dbo.items (id INT NOT NULL PRIMARY KEY, status NVARCHAR(16) NOT NULL, owner NVARCHAR(64), "
            "lease_until DATETIME2, attempts INT NOT NULL)",
            "CREATE TABLE dbo.results (item INT NOT NULL PRIMARY KEY, owner NVARCHAR(64) NOT NULL)",
        ):
            cursor.execute(text)
        for start in range(0, ITEMS, 500):
            rows = ", ".join(f"({number}, 'pending', 0)" for number in range(start, start + 500))
            cursor.execute(f"INSERT INTO dbo.items (id, status, attempts) VALUES {rows}")
        environment = {**os.environ, "SSL_CERT_FILE": str(paths.ca), "TOKEN": token, "SQL_PORT": str(port)}
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.sql_concurrency", "--as", f"w{number}", str(handler), str(seconds)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(workers)
        ]
        for one in running:
            assert one.stdout is not None and one.stdout.readline() == "ready\n"
        began = time.monotonic()
        for one in running:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        figures = [json.loads(one.communicate()[0]) for one in running]
        took = time.monotonic() - began
        done = sum(one["done"] for one in figures)
        cursor.execute("SELECT COUNT(*), SUM(attempts) FROM dbo.items WHERE status = 'done'")
        assert cursor.fetchone()[0] == done, "an item was lost or done twice"
        cursor.execute("SELECT COUNT(*) FROM dbo.results")
        assert cursor.fetchone()[0] == done, "a result was lost or doubled"
    claims = sorted(value for one in figures for value in one["claims"])
    return {
        "items_per_second": round(done / took, 1),
        "claim_p50_ms": round(1000 * claims[len(claims) // 2], 1),
        "claim_p95_ms": round(1000 * claims[int(len(claims) * 0.95)], 1),
        "refused": sum(one["refused"] for one in figures),
    }


def main() -> None:
    """Measure and print the table."""
    if sys.argv[1:2] == ["--as"]:
        return work(sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each run")
    parser.add_argument("--workers", default="1,2,4,8")
    parser.add_argument("--handlers", default="0,50", help="milliseconds")
    given = parser.parse_args()
    with server() as where:
        print("handler workers | items/s  claim p50/p95 ms  refused")
        for handler in (float(text) / 1000 for text in given.handlers.split(",")):
            for workers in (int(text) for text in given.workers.split(",")):
                row = measure(where, workers, handler, given.seconds)
                claim = f"{row['claim_p50_ms']}/{row['claim_p95_ms']}"
                cells = f"{row['items_per_second']:7} {claim:>17} {row['refused']:8}"
                print(f"{1000 * handler:4.0f} ms {workers:7} | {cells}", flush=True)
    return None


if __name__ == "__main__":
    main()
