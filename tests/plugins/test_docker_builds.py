"""Builds and pushes on a real Docker engine, to a registry that this test starts (Debian's docker-registry)."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker as docker_sdk
import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from tests.plugins.process import Plugin, message_of, refusal

pytestmark = pytest.mark.docker

IMAGE = "docker:index/image:Image"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "Dockerfile").write_text("ARG BASE=scratch\nFROM $BASE\nCOPY hello.txt /\n")
    (folder / "hello.txt").write_text(str(tmp_path))  # unlike any other run's, so that no cache answers
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """host:port of a registry without sign-in."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    executable = shutil.which("docker-registry") or "/usr/bin/docker-registry"
    process = subprocess.Popen([executable, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_until_listening(process, port)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            continue
    raise AssertionError(process.communicate()[1].decode())


@pytest.fixture
def client() -> Iterator[docker_sdk.APIClient]:
    client = docker_sdk.APIClient()
    yield client
    client.close()


@pytest.fixture
def name(registry: str, client: docker_sdk.APIClient) -> Iterator[str]:
    """An image name in the registry; the engine's copies are removed afterwards."""
    yield f"{registry}/worker:1"
    for image in client.images(f"{registry}/worker", all=True):
        client.remove_image(image["Id"], force=True)


@pytest.fixture
def docker(start: Callable[..., Plugin]) -> Plugin:
    plugin = start("docker")
    plugin.configure()
    return plugin


def checked(plugin: Plugin, inputs: dict) -> dict:
    checked, failures = plugin.check(IMAGE, inputs)
    assert not failures
    return checked


def registry_digest(name: str) -> str:
    server, _, rest = name.partition("/")
    repository, _, tag = rest.partition(":")
    connection = http.client.HTTPConnection(server)
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers=accept)
    return connection.getresponse().headers["Docker-Content-Digest"]


def test_an_image_is_built_and_pushed_and_its_digest_is_the_registrys(docker: Plugin, app: Path, name: str):
    inputs = checked(docker, {"imageName": name, "build": {"context": "app", "platform": "linux/amd64"}})
    id_, outputs = docker.create(IMAGE, inputs)
    assert id_ == name
    assert outputs["repoDigest"] == f"{name.removesuffix(':1')}@{registry_digest(name)}"
    assert (outputs["dockerfile"], outputs["platform"]) == ("app/Dockerfile", "linux/amd64")


def test_a_changed_file_gives_a_new_digest_and_an_unchanged_one_the_same(docker: Plugin, app: Path, name: str):
    inputs = checked(docker, {"imageName": name, "build": {"context": "app"}})
    _, first = docker.create(IMAGE, inputs)
    assert docker.update(IMAGE, name, first, inputs)["repoDigest"] == first["repoDigest"]
    (app / "hello.txt").write_text("changed")
    changed = checked(docker, {"imageName": name, "build": {"context": "app"}})
    assert changed["build"]["contextDigest"] != inputs["build"]["contextDigest"]
    assert docker.update(IMAGE, name, first, changed)["repoDigest"] != first["repoDigest"]


def test_without_a_push_the_digest_is_the_images_id(docker: Plugin, app: Path, client: docker_sdk.APIClient):
    inputs = checked(docker, {"imageName": "standin-test:1", "skipPush": True, "build": {"context": "app"}})
    _, outputs = docker.create(IMAGE, inputs)
    try:
        assert client.inspect_image("standin-test:1")["Id"] == outputs["repoDigest"]
    finally:
        client.remove_image("standin-test:1", force=True)


def test_ignored_files_do_not_reach_the_image(docker: Plugin, app: Path, client: docker_sdk.APIClient):
    (app / ".dockerignore").write_text("secret.txt\n")
    (app / "secret.txt").write_text("x")
    (app / "Dockerfile").write_text("FROM scratch\nCOPY secret.txt /\n")
    inputs = checked(docker, {"imageName": "standin-test:2", "skipPush": True, "build": {"context": "app"}})
    error = refusal(lambda: docker.create(IMAGE, inputs))
    text = message_of(error)
    assert "failed at step 2 of 2: COPY secret.txt /" in text
    assert "secret.txt" in text
    assert "docker build -f app/Dockerfile app" in text


def test_a_dockerfile_outside_the_context_is_sent_with_its_own_ignore_rules(
    docker: Plugin, app: Path, tmp_path: Path, client: docker_sdk.APIClient
):
    (app / ".dockerignore").write_text("hello.txt\n")
    (tmp_path / "Other").write_text("FROM scratch\nCOPY hello.txt /\n")
    (tmp_path / "Other.dockerignore").write_text("Dockerfile\n")
    build = {"context": "app", "dockerfile": "Other"}
    inputs = checked(docker, {"imageName": "standin-test:6", "skipPush": True, "build": build})
    _, outputs = docker.create(IMAGE, inputs)
    client.remove_image("standin-test:6", force=True)
    assert outputs["repoDigest"].startswith("sha256:")


def test_a_broken_dockerfile_gives_one_message(docker: Plugin, app: Path):
    (app / "Dockerfile").write_text("FROM scratch\nCOPPY a b\n")
    inputs = checked(docker, {"imageName": "standin-test:3", "skipPush": True, "build": {"context": "app"}})
    error = refusal(lambda: docker.create(IMAGE, inputs))
    text = message_of(error)
    assert "unknown instruction: COPPY" in text
    assert text.count("unknown instruction") == 1
    assert "Correct app/Dockerfile" in text


def test_build_arguments_reach_the_build(docker: Plugin, app: Path):
    build = {"context": "app", "args": {"BASE": "127.0.0.1:1/nothing"}}
    inputs = checked(docker, {"imageName": "standin-test:4", "skipPush": True, "build": build})
    error = refusal(lambda: docker.create(IMAGE, inputs))
    assert "127.0.0.1:1" in message_of(error)


def test_progress_reaches_the_engine_without_the_password(
    tmp_path: Path, app: Path, name: str, start: Callable[..., Plugin]
):
    lines: list[engine_pb2.LogRequest] = []

    class Engine(engine_pb2_grpc.EngineServicer):
        def Log(self, request, context):
            lines.append(request)
            return empty_pb2.Empty()

    server = grpc.server(ThreadPoolExecutor(4))
    engine_pb2_grpc.add_EngineServicer_to_server(Engine(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    plugin = Plugin("docker", tmp_path, {}, f"127.0.0.1:{port}")
    try:
        plugin.configure()
        registry = {"server": name.split("/")[0], "username": "u", "password": "hunter2-push"}
        plugin.create(IMAGE, checked(plugin, {"imageName": name, "registry": registry, "build": {"context": "app"}}))
    finally:
        plugin.stop()
        server.stop(None)
    text = "\n".join(line.message for line in lines)
    assert "Step 1/3" in text
    assert f"pushed {name.removesuffix(':1')}@sha256:" in text
    assert any(line.ephemeral for line in lines)
    assert "hunter2" not in text


def test_a_push_to_a_registry_that_is_away_says_so(docker: Plugin, app: Path, client: docker_sdk.APIClient):
    name = "127.0.0.1:1/standin-test:5"
    inputs = checked(docker, {"imageName": name, "build": {"context": "app"}})
    try:
        error = refusal(lambda: docker.create(IMAGE, inputs))
        assert f"pushing {name} without credentials failed" in message_of(error)
    finally:
        client.remove_image(name, force=True)
