"""A small GitHub for tests: issues, comments and identity tokens of one repository, over plain http."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REPOSITORY = "team/platform"
TOKEN = "the-jobs-own-token"
BOT = "github-actions[bot]"


class FakeGitHub:
    """Its state, and what it was asked. `fail` holds status codes that the next requests get instead of an answer."""

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.fail: list[int] = []
        self.assertions = 0
        self.url = ""
        self._ids = iter(range(1, 100_000))

    def add_comment(self, issue: int, body: str, login: str = BOT) -> dict[str, Any]:
        made = {"id": next(self._ids), "issue": issue, "body": body, "user": {"login": login}}
        self.comments.append(made)
        return made

    def add_issue(self, title: str, body: str, login: str = BOT, **more: Any) -> dict[str, Any]:
        made = {
            "number": next(self._ids),
            "title": title,
            "body": body,
            "user": {"login": login},
            "state": "open",
            **more,
        }
        self.issues.append(made)
        return made

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        parts = path.removeprefix(f"/repos/{REPOSITORY}/").split("/")
        if method == "GET" and parts == ["issues"]:
            assert query["state"] == "open"
            return 200, _page([one for one in self.issues if one["state"] == "open"], query)
        if method == "GET" and len(parts) == 3 and parts[2] == "comments":
            return 200, _page([one for one in self.comments if one["issue"] == int(parts[1])], query)
        if method == "POST" and parts == ["issues"]:
            return 201, self.add_issue(body["title"], body["body"])
        if method == "POST" and len(parts) == 3 and parts[2] == "comments":
            return 201, self.add_comment(int(parts[1]), body["body"])
        if method == "PATCH":
            key, known = ("id", self.comments) if parts[1] == "comments" else ("number", self.issues)
            found = next((one for one in known if one[key] == int(parts[-1])), None)
            if found is None:
                return 404, {"message": "Not Found"}
            found.update(body)
            return 200, found
        return 404, {"message": "Not Found"}


def _page(entries: list[Any], query: dict[str, str]) -> list[Any]:
    size, number = int(query["per_page"]), int(query["page"])
    return entries[(number - 1) * size : number * size]


@contextmanager
def running() -> Iterator[FakeGitHub]:
    fake = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
            fake.asked.append((self.command, url.path))
            if url.path == "/token":
                fake.assertions += 1
                known = (
                    self.headers["Authorization"] == f"Bearer {TOKEN}"
                    and query["audience"] == "api://AzureADTokenExchange"
                )
                status, answer = (200, {"value": f"assertion-{fake.assertions}"}) if known else (401, {})
            elif self.headers["Authorization"] != f"Bearer {TOKEN}":
                status, answer = 401, {"message": "Bad credentials"}
            elif fake.fail:
                status, answer = fake.fail.pop(0), {"message": "API rate limit exceeded"}
            else:
                status, answer = fake.answer(self.command, url.path, query, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: pytest shows what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
