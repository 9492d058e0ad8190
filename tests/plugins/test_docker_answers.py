"""Lost answers of the Docker engine: nothing pushed is forgotten, and nothing is called a bug of the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError

from local.plugins.docker_image import building, engine, pushing
from local.plugins.docker_image.provider import IMAGE, DockerImages
from local.plugins.protocol.errors import Cancelled, InitFailed, PluginError
from local.plugins.protocol.log import EngineLog
from local.plugins.protocol.provider import Target

NAME = "registry.example:5000/app:1"
TARGET = Target(f"urn:pulumi:s::p::{IMAGE}::app", IMAGE, "app")
DIGEST = f"sha256:{'a' * 64}"


class Engine:
    """Builds at once; the first `lost` pushes end without an answer."""

    def __init__(self, lost: int, build_lost: bool = False) -> None:
        self.lost = lost
        self.build_lost = build_lost
        self.pushes = 0

    def build(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield {"stream": "Step 1/1 : FROM scratch\n"}
        if self.build_lost:
            raise requests.exceptions.ChunkedEncodingError("connection broken")
        yield {"aux": {"ID": "sha256:image"}}

    def push(self, *_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        self.pushes += 1
        yield {"status": "Pushing", "id": "layer"}
        if self.pushes <= self.lost:
            raise requests.exceptions.ConnectionError("connection broken")
        yield {"aux": {"Digest": DIGEST}}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    build = {"context": str(tmp_path), "dockerfile": str(tmp_path / "Dockerfile"), "platform": "linux/amd64"}
    return {"imageName": NAME, "build": build}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> DockerImages:
    monkeypatch.delenv("PULUMI_STANDIN_OFFLINE", raising=False)
    return DockerImages(EngineLog())


def use(monkeypatch: pytest.MonkeyPatch, fake: Engine) -> None:
    monkeypatch.setattr(engine, "connect", lambda host: fake)


def test_a_push_whose_answer_is_lost_is_repeated(
    monkeypatch: pytest.MonkeyPatch, provider: DockerImages, inputs: dict[str, Any]
) -> None:
    fake = Engine(lost=pushing.ATTEMPTS - 1)
    use(monkeypatch, fake)
    id_, outputs = provider.create(TARGET, inputs, preview=False, timeout=0)
    assert (id_, outputs["repoDigest"]) == (NAME, f"registry.example:5000/app@{DIGEST}")
    assert fake.pushes == pushing.ATTEMPTS


def test_a_push_that_never_answers_leaves_a_half_made_image_that_the_next_run_finishes(
    monkeypatch: pytest.MonkeyPatch, provider: DockerImages, inputs: dict[str, Any]
) -> None:
    use(monkeypatch, Engine(lost=pushing.ATTEMPTS))
    with pytest.raises(InitFailed, match="may be in the registry already") as caught:
        provider.create(TARGET, inputs, preview=False, timeout=0)
    assert caught.value.resource_id == NAME
    assert "repoDigest" not in caught.value.outputs
    use(monkeypatch, Engine(lost=0))
    outputs = provider.update(TARGET, NAME, caught.value.outputs, inputs, preview=False, timeout=0)
    assert outputs["repoDigest"] == f"registry.example:5000/app@{DIGEST}"


def test_a_cancelled_push_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, provider: DockerImages, inputs: dict[str, Any]
) -> None:
    fake = Engine(lost=9)
    use(monkeypatch, fake)
    monkeypatch.setattr(building, "build", lambda *_: provider.cancelled.set() or "sha256:image")
    with pytest.raises(Cancelled):
        provider.create(TARGET, inputs, preview=False, timeout=0)
    assert fake.pushes == 1


def test_a_build_whose_connection_breaks_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, provider: DockerImages, inputs: dict[str, Any]
) -> None:
    use(monkeypatch, Engine(lost=0, build_lost=True))
    with pytest.raises(PluginError, match="connection to the Docker engine was lost"):
        provider.create(TARGET, inputs, preview=False, timeout=0)


def test_every_step_of_a_build_is_shown_and_of_other_progress_a_line_now_and_then() -> None:
    """Without a terminal the CLI prints each line, and layers report many times a second."""
    lines = [
        (0.0, "Step 1/2 : FROM a"),
        (0.1, "0a1b Pulling 1 MB"),
        (0.2, "0a1b Pulling 2 MB"),
        (0.3, "Step 2/2 : RUN b"),
        (2.4, "Get:1"),
        (2.5, "Get:2"),
    ]
    clock = {"now": 0.0}
    shown: list[str] = []
    show = building.thinned(shown.append, lambda: clock["now"])
    for clock["now"], line in lines:
        show(line)
    assert shown == ["Step 1/2 : FROM a", "Step 2/2 : RUN b", "Get:1"]


class Registry(Engine):
    """An engine whose registry answers about an image as told."""

    def __init__(self, answer: Exception | None) -> None:
        super().__init__(lost=0)
        self.answer = answer
        self.requested = ""

    def inspect_distribution(self, name: str, auth_config: Any = None) -> dict[str, Any]:
        self.requested = name
        if self.answer is not None:
            raise self.answer
        return {"Descriptor": {"digest": DIGEST}}


@pytest.mark.parametrize(
    ("answer", "there"),
    [
        (None, True),
        (APIError("404 Client Error", explanation="manifest unknown"), False),
        (APIError("404 Client Error", explanation="errors: name unknown: repository is not there"), False),
        (APIError("500 Server Error", explanation="Get https://x/v2/: dial tcp: connect: connection refused"), False),
        (APIError("401 Client Error", explanation="unauthorized: authentication required"), True),
        (requests.exceptions.ConnectionError("the engine is away"), True),
    ],
)
def test_a_refresh_forgets_an_image_that_its_registry_lost_and_no_other(
    provider: DockerImages, inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch, answer: Exception, there: bool
) -> None:
    registry = Registry(answer)
    use(monkeypatch, registry)  # type: ignore[arg-type]
    state = {"repoDigest": f"registry.example:5000/app@{DIGEST}"}
    image = provider.read(TARGET, NAME, state, inputs)
    assert (image is not None) is there
    assert registry.requested == state["repoDigest"]


def test_an_image_that_was_never_pushed_is_not_asked_for(
    provider: DockerImages, inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(None)
    use(monkeypatch, registry)  # type: ignore[arg-type]
    assert provider.read(TARGET, NAME, {"repoDigest": "sha256:x"}, {**inputs, "skipPush": True}) is not None
    assert registry.requested == ""
