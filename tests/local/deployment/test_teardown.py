"""After a destroy: what is left is said, and only what is ours is removed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from docker.errors import DockerException

from local.azure.platform.ports import Ports
from local.azure.platform.store import Store
from local.deployment import teardown
from local.errors import LocalError
from local.node import cleanup
from local.paths import Paths
from tests.local.deployment.fake_engine import FakeEngine


@pytest.fixture
def engine(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    store = Store(paths.database)
    port = Ports(store).block()[3]
    store.close()
    fake = FakeEngine(f"127.0.0.1:{port}/docker-worker:local", "127.0.0.1:1/docker-worker:other", "python:3.12")
    monkeypatch.setattr(teardown.docker, "from_env", lambda: fake)
    monkeypatch.setattr(cleanup, "remaining", lambda _paths: [])
    monkeypatch.setattr(teardown, "deployed", lambda _paths: [])
    return fake


def test_only_images_of_our_own_registries_are_removed(paths: Paths, engine: FakeEngine) -> None:
    teardown.remove_worker_images(paths)
    assert engine.tags == ["127.0.0.1:1/docker-worker:other", "python:3.12"]


def test_what_is_left_is_named_and_makes_the_exit_code(
    paths: Paths, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(teardown, "deployed", lambda _paths: ["group rg-abp-local"])
    monkeypatch.setattr(cleanup, "remaining", lambda _paths: ["volume v"])
    assert teardown.show_remaining(paths) == 1
    messages = capsys.readouterr().err.splitlines()
    assert messages[:2] == ["left: resource group rg-abp-local", "left: volume v"]
    assert messages[2].startswith("left: image 127.0.0.1:") and len(messages) == 3


def test_nothing_left_is_said_too(paths: Paths, engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    teardown.remove_worker_images(paths)
    assert teardown.show_remaining(paths) == 0
    assert "nothing is left" in capsys.readouterr().err


def test_state_is_not_deleted_under_a_running_local_azure(
    paths: Paths, hold_lock: Callable[..., subprocess.Popen[str]]
) -> None:
    hold_lock()
    with pytest.raises(LocalError, match="the local Azure runs\n  next:  python -m local stop"):
        teardown.remove_everything(paths, caches=False)
    assert paths.state.exists()


@pytest.mark.parametrize("answers", [True, False])
def test_everything_is_forgotten_also_without_an_engine(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answers: bool
) -> None:
    def remove(_paths: Paths) -> None:
        if not answers:
            raise DockerException("no engine")

    monkeypatch.setattr(cleanup, "remove_nodes", remove)
    monkeypatch.setattr(cleanup, "remove_images", lambda _paths: pytest.fail("caches were to stay"))
    paths.cloud_json.write_text("{}")
    teardown.remove_everything(paths, caches=False)
    assert sorted(file.name for file in paths.home.iterdir()) == ["log"]
    assert ("no Docker engine answers" in capsys.readouterr().err) is not answers


def test_stopped_nodes_are_counted(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for count, message in ((0, ""), (1, "stopped 1 node\n"), (2, "stopped 2 nodes\n")):
        monkeypatch.setattr(cleanup, "stop_nodes", lambda _paths, count=count: count)
        teardown.stop_nodes(paths)
        assert capsys.readouterr().err == message
