"""A small GitHub for tests: issues and comments of one repository, and the issuer of its jobs' identity tokens.

Over http; over TLS with a certificate of a local Azure, which then takes its identity tokens as Entra takes GitHub's.
"""

from __future__ import annotations

import functools
import json
import secrets
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from local.azure.platform.certificates import server_context
from local.paths import Paths
from testbeds.http_server import serving

REPOSITORY = "team/platform"
TOKEN = "the-jobs-own-token"
BOT = "github-actions[bot]"
KEY_ID: Final = "key-of-the-small-github"
MINUTES: Final = 5.0
"""How long an identity token lives, as GitHub's."""


@functools.cache
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def subject_of(environment: str, repository: str = REPOSITORY) -> str:
    """The subject that GitHub gives to a job of an environment."""
    return f"repo:{repository}:environment:{environment}"


class FakeGitHub:
    """Its state, and what it was asked. `fail` holds status codes that the next requests get instead of an answer."""

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.fail: list[int] = []
        self.assertions = 0
        self.url = ""
        self.subjects = {TOKEN: subject_of("dev")}
        """Token of a running job -> the subject of the identity tokens that it may ask for."""
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

    def start_job(self, subject: str) -> dict[str, str]:
        """What GitHub gives to a job with `id-token: write`: where it asks for identity tokens, and by which token."""
        token = secrets.token_urlsafe(24)
        self.subjects[token] = subject
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token,
        }

    def identity_token(self, subject: str, audience: str, **other: Any) -> str:
        """A token as GitHub signs it; `other` claims replace its own."""
        self.assertions += 1
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": subject,
            "aud": audience,
            "iat": now,
            "nbf": now - 600,
            "exp": now + int(60 * MINUTES),
            "jti": f"assertion-{self.assertions}",
            "repository": subject.split(":")[1],
        }
        return jwt.encode({**claims, **other}, signing_key(), algorithm="RS256", headers={"kid": KEY_ID})

    def metadata(self, path: str) -> dict[str, Any] | None:
        """The documents of an OpenID Connect issuer, which anybody may read."""
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/.well-known/jwks"}
        if path == "/.well-known/jwks":
            key = RSAAlgorithm.to_jwk(signing_key().public_key(), as_dict=True)
            return {"keys": [{**key, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]}
        return None

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
def running(paths: Paths | None = None) -> Iterator[FakeGitHub]:
    """`paths`: of a local Azure, by whose certificates it serves; without it, it serves over http."""
    fake = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
            fake.asked.append((self.command, url.path))
            subject = fake.subjects.get((self.headers["Authorization"] or "").removeprefix("Bearer "))
            if (document := fake.metadata(url.path)) is not None:
                status, answer = 200, document
            elif url.path == "/token":
                known = subject is not None and "audience" in query
                status, answer = (
                    (200, {"value": fake.identity_token(str(subject), query["audience"])}) if known else (401, {})
                )
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
    if paths is not None:
        # Each connection's thread makes its own handshake: a client that does not go on keeps no other waiting.
        server.socket = server_context(paths).wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    fake.url = f"{'http' if paths is None else 'https'}://127.0.0.1:{server.server_port}"
    with serving(server):
        yield fake
