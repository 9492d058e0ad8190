"""The docker stand-in as the engine sees it; builds and pushes are in test_docker_builds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from local.plugins.protocol.property_values import UNKNOWN, to_struct
from tests.plugins.process import Plugin, message_of, refusal, urn

IMAGE = "docker:index/image:Image"
NAME = "127.0.0.1:5000/worker"


@pytest.fixture
def docker(start: Callable[..., Plugin], tmp_path: Path) -> Plugin:
    """A configured plugin in a folder with a context `app`, and no engine to talk to."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    plugin = start("docker", DOCKER_HOST="unix:///nowhere/docker.sock")
    plugin.configure()
    return plugin


def test_check_fills_in_what_the_real_plugin_fills_in(docker: Plugin):
    inputs, failures = docker.check(IMAGE, {"imageName": NAME, "build": {"context": "app", "platform": "linux/amd64"}})
    assert not failures
    digest = inputs["build"].pop("contextDigest")
    assert len(digest) == 64
    assert inputs == {
        "imageName": NAME,
        "build": {"context": "app", "dockerfile": "app/Dockerfile", "platform": "linux/amd64"},
        "buildOnPreview": False,
        "skipPush": False,
    }


def test_checked_inputs_pass_the_check_again(docker: Plugin):
    once, _ = docker.check(IMAGE, {"imageName": NAME, "build": {"context": "app"}})
    assert docker.check(IMAGE, once) == (once, [])


def test_a_name_without_registry_is_refused_unless_nothing_is_pushed(docker: Plugin):
    build = {"context": "app"}
    _, failures = docker.check(IMAGE, {"imageName": "worker", "build": build})
    assert "'worker' does not say which registry to push to" in failures[0]
    assert docker.check(IMAGE, {"imageName": "worker", "build": build, "skipPush": True})[1] == []


def test_a_mistyped_build_property_is_named(docker: Plugin):
    _, failures = docker.check(IMAGE, {"imageName": NAME, "build": {"contxt": "app"}})
    assert failures == ["'build.contxt' is not a property of DockerBuild; did you mean 'context'?"]


def test_a_missing_dockerfile_is_explained(docker: Plugin):
    _, failures = docker.check(IMAGE, {"imageName": NAME, "build": {"context": "app", "dockerfile": "Dockerfile"}})
    assert "write 'app/Dockerfile'" in failures[0]


def test_new_registry_credentials_are_no_change_but_a_new_context_is(docker: Plugin):
    registry = {"server": "s", "username": "u", "password": "old"}
    old = {"imageName": NAME, "registry": registry, "build": {"contextDigest": "1"}}
    renewed = old | {"registry": registry | {"username": "v", "password": "new"}}
    assert docker.diff(IMAGE, old, renewed).changes == pb.DiffResponse.DIFF_NONE
    assert docker.diff(IMAGE, old, renewed | {"build": {"contextDigest": "2"}}).changes == pb.DiffResponse.DIFF_SOME
    moved = docker.diff(IMAGE, old, old | {"registry": registry | {"server": "t"}})
    assert list(moved.diffs) == ["registry"]
    assert list(moved.replaces) == []


def test_a_preview_needs_no_engine_and_does_not_promise_a_digest(docker: Plugin):
    inputs, _ = docker.check(IMAGE, {"imageName": UNKNOWN, "build": {"context": "app"}})
    id_, outputs = docker.create(IMAGE, inputs, preview=True)
    assert (id_, outputs["repoDigest"], outputs["imageName"]) == ("", UNKNOWN, UNKNOWN)
    updated = docker.update(IMAGE, NAME, {"repoDigest": "old"}, inputs, preview=True)
    assert updated["repoDigest"] is UNKNOWN


def test_without_an_engine_a_build_says_what_to_do(docker: Plugin):
    inputs, _ = docker.check(IMAGE, {"imageName": NAME, "build": {"context": "app"}})
    error = refusal(lambda: docker.create(IMAGE, inputs))
    assert "no Docker engine answers at unix:///nowhere/docker.sock" in message_of(error)


def test_offline_nothing_is_built(start: Callable[..., Plugin], tmp_path: Path):
    plugin = start("docker", PULUMI_STANDIN_OFFLINE="any.yaml")
    plugin.configure()
    error = refusal(lambda: plugin.create(IMAGE, {"imageName": NAME, "build": {}}))
    assert "it can only preview" in message_of(error)


def test_deleting_an_image_does_nothing_and_reading_echoes(docker: Plugin):
    docker.delete(IMAGE, NAME)
    assert docker.read(IMAGE, NAME, {"repoDigest": "d"}, {"imageName": NAME}) == (
        NAME,
        {"repoDigest": "d"},
        {"imageName": NAME},
    )


def test_settings_and_types_that_the_stand_in_lacks_are_refused_by_name(docker: Plugin):
    answer = docker.stub.CheckConfig(pb.CheckRequest(urn=urn("p"), news=to_struct({"certPath": "x", "host": "y"})))
    assert [failure.property for failure in answer.failures] == ["certPath"]
    _, failures = docker.check("docker:index/container:Container", {})
    assert "docker:index/container:Container" in failures[0]
