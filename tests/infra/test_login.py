"""The token exchange against a real TLS server: verified, bounded, and worded when it fails."""

from __future__ import annotations

import http.server
import json
import ssl
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.worker_image.login import RETRY_DELAYS_SECONDS, RegistryLoginError, exchange
from testbeds.http_server import serving
from testbeds.tls import server_context


class Registry:
    """A registry's `/oauth2/exchange` on loopback; `answers` are given in order, the last one again and again."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.answers: list[tuple[int, str]] = [(200, json.dumps({"refresh_token": "fresh"}))]
        self.forms: list[dict[str, list[str]]] = []
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                registry.forms.append({"path": [self.path], **urllib.parse.parse_qs(body)})
                status, text = registry.answers.pop(0) if len(registry.answers) > 1 else registry.answers[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """The registry's context, and the authority that the program has to trust."""
    return server_context(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def registry(tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[1]))
    found = Registry(tls[0])
    with serving(found.server):
        yield found


def never(seconds: float) -> None:
    pytest.fail(f"slept {seconds} s instead of giving up at once")


def test_the_entra_token_is_exchanged_for_the_registrys(registry: Registry) -> None:
    assert exchange(registry.name, "entra") == "fresh"
    assert registry.forms == [
        {
            "path": ["/oauth2/exchange"],
            "grant_type": ["access_token"],
            "service": [registry.name],
            "access_token": ["entra"],
        }
    ]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_trouble_is_tried_again(registry: Registry, status: int) -> None:
    registry.answers.insert(0, (status, "busy"))
    waits: list[float] = []
    assert exchange(registry.name, "entra", sleep=waits.append) == "fresh"
    assert waits == [RETRY_DELAYS_SECONDS[0]]


def test_lasting_trouble_ends_after_bounded_attempts(registry: Registry) -> None:
    registry.answers = [(503, "still busy")]
    waits: list[float] = []
    with pytest.raises(RegistryLoginError, match=r"HTTP 503 still busy \(6 attempts\)\. Next step: "):
        exchange(registry.name, "entra", sleep=waits.append)
    assert waits == list(RETRY_DELAYS_SECONDS)


def test_a_refusal_is_final_and_says_which_right_is_missing(registry: Registry) -> None:
    registry.answers = [(401, '{"errors":[{"code":"UNAUTHORIZED"}]}')]
    with pytest.raises(RegistryLoginError, match=r"HTTP 401 .*UNAUTHORIZED.*Contributor"):
        exchange(registry.name, "entra", sleep=never)
    assert len(registry.forms) == 1


@pytest.mark.parametrize(("answer", "words"), [("<html>", "is not JSON"), ("{}", "has no refresh_token")])
def test_an_answer_of_something_else_is_refused(registry: Registry, answer: str, words: str) -> None:
    registry.answers = [(200, answer)]
    with pytest.raises(RegistryLoginError, match=words):
        exchange(registry.name, "entra", sleep=never)


def test_an_unknown_authority_is_never_accepted(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(RegistryLoginError, match=r"CERTIFICATE_VERIFY_FAILED.*SSL_CERT_FILE"):
        exchange(registry.name, "entra", sleep=never)
    assert registry.forms == []


def test_a_registry_that_is_not_there_is_named() -> None:
    with pytest.raises(RegistryLoginError, match=r"^registry 127\.0\.0\.1:1 gave no push token: .*6 attempts"):
        exchange("127.0.0.1:1", "entra", sleep=lambda seconds: None)


def test_no_message_repeats_the_token(registry: Registry) -> None:
    registry.answers = [(403, "no")]
    with pytest.raises(RegistryLoginError) as error:
        exchange(registry.name, "entra-secret", sleep=never)
    assert "entra-secret" not in error.value.user_message
