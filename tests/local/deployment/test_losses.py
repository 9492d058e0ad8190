"""Before a destroy or a reset: what will be lost is said, a person is asked, and a person's own image is kept."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from infra import naming
from local import cli
from local.azure.platform.ports import Ports
from local.azure.platform.store import Store
from local.deployment import losses, teardown
from local.errors import LocalError
from local.exits import Exit
from local.node import cleanup
from local.paths import Paths
from tests.local.deployment.fake_engine import FakeEngine


class Person(io.StringIO):
    """Somebody at a terminal, with an answer."""

    def isatty(self) -> bool:
        return True


def blob(container: str, name: str, size: int, **changes: Any) -> dict[str, Any]:
    return {
        "containerName": container,
        "name": name,
        "properties": {"contentLength": size},
        "isCommitted": True,
    } | changes


@pytest.fixture
def blobs(paths: Paths) -> Paths:
    """Azurite's file with two jobs' outputs, and what is no output."""
    blobs = [
        blob("job-hello", "hello-1/a/stdout.txt", 1_000_000),
        blob("job-hello", "hello-1/b/stdout.txt", 500_000),
        blob("job-sql-check", "sql-1/a/stdout.txt", 0),
        blob("job-hello", "hello-1/half", 7, isCommitted=False),
        blob("job-hello", "hello-1/a/stdout.txt", 7, snapshot="2026-11-23T12:00:00Z"),
        blob("appinsights", "x", 9_000_000),
    ]
    file = paths.state / "azurite" / losses.BLOBS
    file.parent.mkdir()
    file.write_text(json.dumps({"collections": [{"name": "$BLOBS_COLLECTION$", "data": blobs}]}))
    return paths


def test_outputs_of_jobs_are_counted(blobs: Paths) -> None:
    assert str(losses.outputs(blobs)) == "the outputs of 2 jobs: 3 files, 1.5 MB"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"collections": [{"name": "$BLOBS_COLLECTION$", "data": [1]}]}'])
def test_a_file_that_is_not_azurites_makes_no_number(blobs: Paths, text: str) -> None:
    (blobs.state / "azurite" / losses.BLOBS).write_text(text)
    assert losses.outputs(blobs) is None


def test_nothing_stored_is_no_output(paths: Paths) -> None:
    assert str(losses.outputs(paths)) == "no output of any job"


@pytest.mark.parametrize(
    ("answer", "agreed"), [("y\n", True), ("yes\n", True), ("\n", False), ("", False), ("n\n", False)]
)
def test_a_person_is_told_what_is_lost_and_asked(
    blobs: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, agreed: bool
) -> None:
    removed: list[bool] = []
    monkeypatch.setattr(teardown, "remove_everything", lambda _paths, *, caches: removed.append(caches))
    monkeypatch.setattr("sys.stdin", Person(answer))
    assert cli.main(["reset"]) == Exit.DONE
    assert removed == [False] * agreed
    shown = capsys.readouterr().err
    assert "every resource, node and blob of the local Azure, and the outputs of 2 jobs: 3 files, 1.5 MB" in shown
    assert ("nothing was done" in shown) is not agreed


def test_without_a_terminal_reset_needs_yes(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(LocalError, match="python -m local reset --yes"):
        losses.agreed(paths, "python -m local reset --yes", "deletes everything", yes=False)
    assert losses.agreed(paths, "", "deletes everything", yes=True)


def test_destroy_that_is_not_agreed_to_starts_nothing(
    blobs: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from local.deployment import settings
    from local.processes import background

    file = settings.stack(blobs).settings_file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("config: {}\n")
    monkeypatch.setattr(teardown, "need_engine", lambda: None)
    monkeypatch.setattr(background, "start", lambda _paths: pytest.fail("it was started"))
    monkeypatch.setattr("sys.stdin", Person("n\n"))
    monkeypatch.delenv("YES", raising=False)
    assert cli.main(["destroy"]) == Exit.DONE
    assert "the outputs of 2 jobs" in capsys.readouterr().err


def test_a_persons_image_in_our_registry_is_kept_and_named(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(paths.database)
    port = Ports(store).block()[3]
    store.close()
    engine = FakeEngine(f"127.0.0.1:{port}/docker-worker:local", f"127.0.0.1:{port}/team/mine:1")
    monkeypatch.setattr(teardown.docker, "from_env", lambda: engine)
    monkeypatch.setattr(cleanup, "remaining", lambda _paths: [])
    monkeypatch.setattr(teardown, "deployed", lambda _paths: [])
    teardown.remove_worker_images(paths)
    assert engine.tags == [f"127.0.0.1:{port}/team/mine:1"]
    assert teardown.show_remaining(paths) == 0
    assert f"kept: image 127.0.0.1:{port}/team/mine:1, which you tagged" in capsys.readouterr().err


def test_the_workers_repository_is_the_one_that_the_program_pushes_to() -> None:
    assert teardown.WORKER_REPOSITORY == naming.IMAGE_REPOSITORY


def test_clearing_the_caches_keeps_what_a_person_built_on_our_base(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = [
        ["local-azure/base:1"],
        ["127.0.0.1:1234/docker-worker:local"],
        [],
        ["mine:1"],
        ["local-azure/node:1", "mine:2"],
    ]
    removed: list[str] = []
    engine = SimpleNamespace(
        images=SimpleNamespace(
            list=lambda filters: [SimpleNamespace(id=str(number), tags=one) for number, one in enumerate(tags)],
            remove=lambda name, force: removed.append(name),
        )
    )
    monkeypatch.setattr(cleanup.docker, "from_env", lambda: engine)
    cleanup.remove_images(paths)
    assert removed == ["0", "1", "2"]


@pytest.mark.parametrize("code", [0, 255])
def test_a_preview_of_a_stopped_local_azure_starts_it_and_stops_it_again(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    from local.deployment import project, tour
    from local.processes import background

    order: list[str] = []
    monkeypatch.setattr(background, "status", lambda _paths: {})
    monkeypatch.setattr(background, "start", lambda _paths: order.append("start"))
    monkeypatch.setattr(background, "stop", lambda _paths: order.append("stop") or True)
    monkeypatch.setattr(tour, "prepare", lambda _paths: order.append("prepare"))
    monkeypatch.setattr(tour, "repaired_stack", lambda _paths: "stack")
    monkeypatch.setattr(project, "run", lambda stack, *words: order.append(words[0]) or code)
    monkeypatch.setattr(cleanup, "stop_nodes", lambda _paths: 0)
    assert cli.main(["preview"]) == code
    assert order == ["start", "prepare", "preview", "stop"]
    assert "it is started for this preview, and stopped again" in capsys.readouterr().err
