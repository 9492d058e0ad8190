"""What pulumi-docker does beyond its documentation, as the real CLI shows it. The Docker engine only talks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.plugins.cli.stack import Stack

pytestmark = pytest.mark.thorough


class FakeEngine:
    """Says that it built and pushed; the first `lose` answers to a push break off."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.lose = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None: ...

            def _any(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                while self.headers.get("Transfer-Encoding") == "chunked" and int(self.rfile.readline() or b"0", 16):
                    self.rfile.readline()  # the archive is small, and has no line breaks that matter here
                fake.answer(self)

            do_GET = do_POST = do_HEAD = _any

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.host = f"tcp://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.split("?")[0]
        body = b"OK"
        if path.endswith("/version"):
            body = json.dumps({"ApiVersion": "1.41"}).encode()
        elif path.endswith("/build"):
            self.done.append("build")
            body = json.dumps({"aux": {"ID": "sha256:" + "b" * 64}}).encode()
        elif path.endswith("/push"):
            self.done.append("push")
            body = json.dumps({"aux": {"Digest": "sha256:" + "d" * 64}}).encode()
        handler.send_response(200)
        lost = path.endswith("/push") and self.lose > 0
        self.lose -= lost
        handler.send_header("Content-Length", str(len(body) + (1000 if lost else 0)))
        handler.end_headers()
        handler.wfile.write(b"" if lost else body)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    fake = FakeEngine()
    yield fake
    fake.stop()


@pytest.fixture
def stack(make_stack: Callable[..., Stack], engine: FakeEngine) -> Stack:
    stack = make_stack(DOCKER_HOST=engine.host)
    (stack.folder / "app").mkdir()
    (stack.folder / "app" / "Dockerfile").write_text("FROM scratch\n")
    return stack


def image(password: str) -> str:
    registry = f"docker.RegistryArgs(server='r.example', username='u', password=pulumi.Output.secret('{password}'))"
    build = "docker.DockerBuildArgs(context='app')"
    return f"docker.Image('i', image_name='r.example/app:1', build={build}, registry={registry})"


def test_a_new_password_is_no_change_and_new_content_is_one(stack: Stack, engine: FakeEngine) -> None:
    stack.program(image("first-token"))
    stack.up()
    assert engine.done == ["build", "push"]
    assert stack.resources()["i"]["outputs"]["repoDigest"] == f"r.example/app@sha256:{'d' * 64}"
    stack.program(image("second-token"))
    stack.run("preview", "--expect-no-changes", "--stack", "s")
    stack.up()
    assert engine.done == ["build", "push"]
    assert "token" not in json.dumps(stack.resources())
    (stack.folder / "app" / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    [step] = [step for step in stack.preview() if step["urn"].endswith("::i")]
    assert step["op"] == "update"


def test_an_image_whose_push_was_not_answered_is_kept_and_finished_by_the_next_up(
    stack: Stack, engine: FakeEngine
) -> None:
    stack.program(image("token"))
    engine.lose = 3
    stack.up(fails=True)
    assert stack.resources()["i"]["initErrors"]
    stack.up()
    assert not stack.resources()["i"].get("initErrors")
    assert stack.resources()["i"]["outputs"]["repoDigest"]
