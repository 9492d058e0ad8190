"""Workers as processes of this machine, against the SQL Server stand-in, logged in by token through a fake IMDS.

The server is in this process, or in another one; its database is PostgreSQL.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytds

from infra.sql import GRANTS, ROLES
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import USER_ASSIGNED_IDENTITIES
from local.azure.control_plane.resources import Resource
from local.azure.platform.faults import Faults
from local.azure.sql.provision import provision
from local.azure.sql.service import Server
from local.azure.sql.sessions.directory import Directory
from local.azure.sql.stores.postgres.backend import PostgresBackend
from local.paths import Paths
from worker.docker_worker import feed
from worker.docker_worker.schema import KEY_END

ROOT = Path(__file__).resolve().parent.parent


DATABASE = "worklist"
AUDIENCE = "https://database.windows.net/"


CLIENT_ID, PRINCIPAL_ID = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"


HANDLERS = "testbeds.worker_steps"


class Imds(ThreadingHTTPServer):
    """The metadata endpoint: tokens for one identity, and what a test puts into `events`."""

    daemon_threads = True

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.cloud = cloud
        self.events = list[dict[str, Any]]()
        self.asked: list[str] = []
        self.away = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, path: str, query: Mapping[str, list[str]]) -> dict[str, Any] | None:
        if path == "/metadata/identity/oauth2/token" and not self.away:
            assert query["client_id"] == [CLIENT_ID]
            token = self.cloud.tokens.issue(principal_id=PRINCIPAL_ID, client_id=CLIENT_ID, audience=AUDIENCE)
            return {"access_token": token, "expires_in": "3600", "expires_on": "4102444800", "token_type": "Bearer"}
        if path == "/metadata/instance":
            return {"compute": {"name": "node_7"}}
        if path == "/metadata/scheduledevents":
            return {"DocumentIncarnation": 1, "Events": self.events}
        return None


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts, imds = urlsplit(self.path), cast(Imds, self.server)
        imds.asked.append(parts.path)
        body = imds.answer(parts.path, parse_qs(parts.query)) if self.headers.get("Metadata") else None
        data = json.dumps(body or {"error": "invalid_request"}).encode()
        self.send_response(200 if body else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *_: object) -> None: ...


class Worker:
    """A running worker process and what it said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines = list[dict[str, Any]]()
        self.words = list[str]()
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(process.stdout, self.lines, json.loads), daemon=True),
            threading.Thread(target=self._read, args=(process.stderr, self.words, str), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, into: list[Any], parse: Any) -> None:
        for line in stream:
            with self._changed:
                into.append(parse(line))
                self._changed.notify_all()

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]

    def wait_for(self, name: str, *, count: int = 1, seconds: float = 60) -> dict[str, Any]:
        """The first line of this event, once there are `count` of them."""
        with self._changed:
            there = self._changed.wait_for(lambda: len(self.events(name)) >= count, seconds)
        assert there, f"no {name} in {self.lines} {self.words}"
        return self.events(name)[0]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 90) -> int:
        """Wait for its end; its exit code (negative: the signal that killed it)."""
        code = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(20)
        return code

    @property
    def text(self) -> str:
        return "\n".join([*map(json.dumps, self.lines), *self.words])


@dataclass
class World:
    """A database with a user for the node identity, and workers."""

    cloud: Cloud
    imds: Imds
    directory: Directory
    port: int
    databases: PostgresBackend | None
    faults: Faults = field(default_factory=Faults)
    workers: list[Worker] = field(default_factory=list)
    server: Server | None = None

    def let_in(self) -> None:
        """Make the database, with a user for the node identity."""
        rights = [f"ALTER ROLE {role} ADD MEMBER [id-node]" for role in ROLES]
        rights += [f"GRANT {grant} TO [id-node]" for grant in GRANTS]
        script = ";\n".join(["CREATE USER [id-node] FROM EXTERNAL PROVIDER", *rights])
        provision(self.cloud.paths, DATABASE, script, self.databases)

    def serve(self) -> None:
        assert self.databases is not None
        self.server = Server(self.cloud.paths, self.directory, self.port, self.databases, self.faults)
        self.server.__enter__()
        self.port = self.server.port

    def cut(self) -> None:
        """The server goes away with all its connections, in whatever they are."""
        if self.server is not None:
            self.server.__exit__()
            self.server = None

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZ_BATCH", "SQL_"))}
        return kept | {
            "SQL_SERVER": f"localhost,{self.port}",
            "SQL_DATABASE": DATABASE,
            "AZURE_CLIENT_ID": CLIENT_ID,
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": self.imds.address,
            "SSL_CERT_FILE": str(self.cloud.paths.ca),
            "PYTHONPATH": f"{ROOT / 'worker'}:{ROOT}",
            "AZ_BATCH_JOB_ID": "job-1",
            "AZ_BATCH_TASK_ID": "task-1",
            "AZ_BATCH_NODE_ID": "node-1",
        }

    def start(self, *words: str, **environment: str) -> Worker:
        process = subprocess.Popen(
            [sys.executable, "-m", "docker_worker", *words],
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        worker = Worker(process)
        self.workers.append(worker)
        return worker

    def run(self, *words: str, expect: int = 0, **environment: str) -> Worker:
        worker = self.start(*words, **environment)
        code = worker.end()
        assert code == expect, f"exit code {code}\n{worker.text}"
        return worker

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the administrator, beside the workers."""
        return rows_for_administrator(self.cloud, DATABASE, self.port, statement, values)

    def enqueue(self, queue: str, items: list[dict[str, Any]]) -> None:
        """What `enqueue` adds, without its process: tests of `enqueue` itself run that."""
        lines = "".join(json.dumps(item) + "\n" for item in items).encode()
        for row in feed.rows(io.BytesIO(lines), "jsonl", "name"):
            self.rows(
                "INSERT INTO dbo.work_items (queue, item_key, exact_key, data, status, step, attempts, failures, "
                "available_at, changed_at) VALUES (%s, %s, %s, %s, 'pending', 0, 0, 0, 0, 0)",
                queue,
                row.key,
                row.key + KEY_END,
                row.data,
            )


def rows_for_administrator(
    cloud: Cloud, database: str, port: int, statement: str, values: tuple[Any, ...]
) -> list[tuple[Any, ...]]:
    """What a statement gives to the local Azure's deployer, who is the SQL server's administrator."""
    settings = cloud.settings
    token = cloud.tokens.issue(
        principal_id=settings.deployer_object_id, client_id=settings.client_id, audience=AUDIENCE
    )
    with pytds.connect(
        "localhost",
        database=database,
        port=port,
        cafile=str(cloud.paths.ca),
        validate_host=False,
        access_token_callable=lambda: token,
        timeout=30,
        login_timeout=30,
        autocommit=True,
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(statement, values)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def open_world(stack: ExitStack, home: Path, databases: PostgresBackend | None = None, *, let_in: bool = True) -> World:
    """A cloud in this folder; everything ends with the stack. Without a backend the server is another process's.

    `let_in`: make the database, with a user for the node identity.
    """
    cloud = Cloud.open(Paths(home))
    stack.callback(cloud.close)
    cloud.resources.put(
        Resource(
            id=f"{cloud.subscription_scope}/resourceGroups/g/providers/{USER_ASSIGNED_IDENTITIES}/id-node",
            type=USER_ASSIGNED_IDENTITIES,
            name="id-node",
            system={"principalId": PRINCIPAL_ID, "clientId": CLIENT_ID},
        )
    )
    made = World(cloud, Imds(cloud), Directory(cloud.paths), 0, databases)
    if databases is not None and let_in:
        made.let_in()
    stack.enter_context(made.imds)
    threading.Thread(target=made.imds.serve_forever, daemon=True).start()
    stack.callback(made.imds.shutdown)
    stack.callback(made.directory.close)
    return made
