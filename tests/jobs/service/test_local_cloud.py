"""The way to a local cloud: authority, token, Batch and blobs over https with a CA that only `cloud.json` names.

One small server plays all of them; the clients are the real SDKs, so this is what `cloud.json` must be enough for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure.core.pipeline.transport import HttpTransport

from jobs.errors import Forbidden, Unreachable
from jobs.service.connection import Connection, connect
from jobs.session import azure_batch, azure_blobs
from testbeds.http_server import serving
from testbeds.tls import server_context
from tests.jobs.fakes import OUTPUTS

TENANT = "11111111-1111-1111-1111-111111111111"
BLOBS = (
    b'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="job-hello"><Blobs><Blob>'
    b"<Name>j/a/stdout.txt</Name><Properties><Content-Length>5</Content-Length><BlobType>BlockBlob</BlobType></Properties>"
    b"</Blob></Blobs><NextMarker /></EnumerationResults>"
)


class Handler(BaseHTTPRequestHandler):
    secret = "right"
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        base = f"https://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
        if "openid-configuration" in self.path:
            urls = {"token_endpoint": f"{base}/{TENANT}/oauth2/v2.0/token", "issuer": f"{base}/{TENANT}/v2.0"}
            self.answer(200, urls | {"authorization_endpoint": f"{base}/{TENANT}/oauth2/v2.0/authorize"})
        elif self.headers.get("Authorization") not in ("Bearer batch", "Bearer storage"):
            self.answer(401, {"code": "AuthenticationFailed", "message": {"value": "no"}})
        elif self.path.startswith("/jobs/j"):
            self.answer(200, {"id": "j", "state": "active"})
        elif "comp=list" in self.path:
            self.answer(200, BLOBS, Content_Type="application/xml")
        else:
            self.answer(200, b"hello", Content_Type="text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if f"client_secret={self.secret}" not in body:
            self.answer(
                401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
            )
            return
        token = "storage" if "storage.azure.com" in body else "batch"
        self.answer(200, {"token_type": "Bearer", "expires_in": 3600, "access_token": token})

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Path]:
    """A `.local` folder and outputs of a cloud that answers."""
    home = tmp_path / ".local"
    home.mkdir()
    context, _ = server_context(home)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    base = f"https://127.0.0.1:{httpd.server_port}"
    facts = {"authority": base, "tenant_id": TENANT, "client_id": "c", "client_secret": "right", "ca": ".local/ca.pem"}
    (home / "cloud.json").write_text(json.dumps(facts))
    found = OUTPUTS | {"batch_endpoint": base.removeprefix("https://"), "blob_endpoint": f"{base}/account"}
    (tmp_path / "outputs.json").write_text(json.dumps(found))
    with serving(httpd):
        yield home


def connection(home: Path) -> Connection:
    return connect("local", home.parent / "outputs.json", {"LOCAL_AZURE_HOME": str(home)})


def test_batch_is_reached_with_a_token_over_verified_tls(cloud: Path) -> None:
    assert azure_batch(connection(cloud)).job("j").state == "active"


def test_blobs_are_listed_and_read_with_a_token_of_their_own(cloud: Path) -> None:
    blobs = azure_blobs(connection(cloud))
    assert [(blob.name, blob.size) for blob in blobs.list("job-hello", "j/")] == [("j/a/stdout.txt", 5)]
    assert b"".join(blobs.read("job-hello", "j/a/stdout.txt")) == b"hello"


def test_another_authority_is_not_trusted(cloud: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpTransport, "sleep", lambda self, seconds: None)  # azure-identity tries again for 5 s
    (tmp_path / "other").mkdir()
    _, another = server_context(tmp_path / "other")
    (cloud / "ca.pem").write_bytes(another.read_bytes())
    with pytest.raises((Unreachable, Forbidden), match=r"(?i)certificate"):
        azure_batch(connection(cloud)).job("j")


def test_a_wrong_secret_is_told_in_entras_words(cloud: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "secret", "another")
    with pytest.raises(Forbidden, match="AADSTS7000215"):
        azure_batch(connection(cloud)).job("j")
