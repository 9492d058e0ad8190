"""A small Azure for tests: metadata, sign-in, and ARM resources whose answers a test may script."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
CLIENT = "33333333-3333-3333-3333-333333333333"
OBJECT = "44444444-4444-4444-4444-444444444444"

Answer = tuple[int, dict[str, str], Any]
"""Status, headers, body: JSON, or bytes as they are."""

NO_ANSWER: Answer = (0, {}, None)
"""The connection is closed without a word."""


class FakeArm:
    """Stores what is PUT; `script(method, path, *answers)` sets what the next requests get instead.

    A scripted answer may be a function that is called for it, with the fake as argument.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.audiences: list[str] = []
        self.token_seconds = 3600
        self.sign_in: Answer | None = None
        self._scripts: dict[tuple[str, str], list[Answer | Callable[[FakeArm], Answer]]] = defaultdict(list)
        self._context = context
        self._server = self._listen(0)
        self.port = self._server.server_address[1]
        self._down = False

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    def script(self, method: str, path: str, *answers: Answer | Callable[[FakeArm], Answer]) -> None:
        self._scripts[method, path] += answers

    def scripted(self, method: str, path: str) -> list[Answer | Callable[[FakeArm], Answer]]:
        return self._scripts[method, path]

    @property
    def is_down(self) -> bool:
        return self._down

    def forget_scripts(self) -> None:
        """From now on everything works."""
        self._scripts.clear()
        self.sign_in = None

    def paths_of(self, method: str) -> list[str]:
        return [path for verb, path, _ in self.requests if verb == method]

    def stop(self) -> None:
        if not self._down:
            self._server.shutdown()
            self._server.server_close()
        self._down = True

    def restart(self) -> None:
        self._server = self._listen(self.port)
        self._down = False

    def _listen(self, port: int) -> ThreadingHTTPServer:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None: ...

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                status, headers, body = fake.answer(self.command, self.path, raw, self.headers.get("Authorization", ""))
                if status == 0:
                    self.close_connection = True
                    return
                data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = _any

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        server.socket = self._context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    def answer(self, method: str, target: str, raw: bytes, authorization: str) -> Answer:
        url = urlsplit(target)
        if known := self._public(url.path, raw):
            return known
        assert authorization == "Bearer " + self._token(), "every ARM request carries the token"
        body = json.loads(raw) if raw else None
        self.requests.append((method, target, body))
        if scripted := self._scripts[method, url.path]:
            answer = scripted.pop(0)
            return answer(self) if callable(answer) else answer
        return self._resource(method, url.path, body, parse_qs(url.query))

    def _public(self, path: str, raw: bytes) -> Answer | None:
        if path == "/metadata/endpoints":
            signin = {"loginEndpoint": self.url, "audiences": ["https://management.azure.com/"]}
            return 200, {}, {"name": "fake", "resourceManager": self.url, "authentication": signin}
        if path.endswith("/oauth2/v2.0/token"):
            form = parse_qs(raw.decode())
            self.audiences.append(form["scope"][0])
            if self.sign_in is not None:
                return self.sign_in
            if form["client_secret"] != ["right"]:
                return 401, {}, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret"}
            return 200, {}, {"token_type": "Bearer", "expires_in": self.token_seconds, "access_token": self._token()}
        return None

    @staticmethod
    def _token() -> str:
        claims = base64.urlsafe_b64encode(json.dumps({"oid": OBJECT}).encode()).decode().rstrip("=")
        return f"e30.{claims}.c2ln"

    def _resource(self, method: str, path: str, body: Any, query: dict[str, list[str]]) -> Answer:
        assert query.get("api-version"), f"{method} {path} has no api-version"
        if method == "PUT":
            name = path.rsplit("/", 1)[1]
            properties = {"provisioningState": "Succeeded"} | body.get("properties", {})
            new = path not in self.resources
            self.resources[path] = body | {"id": path, "name": name, "properties": properties}
            return (201 if new else 200), {}, self.resources[path]
        if method == "DELETE":
            return (200 if self.resources.pop(path, None) else 204), {}, None
        if path in self.resources:
            return 200, {}, self.resources[path]
        return 404, {}, {"error": {"code": "ResourceNotFound", "message": f"{path} was not found."}}
