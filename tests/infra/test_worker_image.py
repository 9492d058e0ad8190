"""The worker image: built, or taken by digest; who logs in at the registry, and with what."""

from __future__ import annotations

from collections.abc import Callable

import pulumi
import pytest

from infra.settings.cloud import WorkerSettings
from infra.worker_image import login
from infra.worker_image.image import build_args
from infra.worker_image.source import revision
from tests.infra.recording import (
    CLIENT_TOKEN,
    DIGEST,
    REFRESH_TOKEN,
    ROOT,
    Run,
    run_program,
    stack_config,
)
from worker.docker_worker import VERSION

Program = Callable[..., Run]


def test_an_image_by_digest_needs_no_engine_and_is_found_in_the_stacks_registry(program: Program) -> None:
    run = program("prod")
    assert [item.type for item in run.resources if item.type.startswith("docker:")] == []
    server = run.outputs["registry_server"]
    assert run.outputs["worker_image"] == f"{server}/docker-worker@{DIGEST}"
    assert run.outputs["pools"]["default"]["image"] == run.outputs["worker_image"]


def test_an_image_with_a_server_is_taken_as_it_is() -> None:
    image = f"shared.example.net:5000/team/docker-worker@{DIGEST}"
    run = run_program("prod", config=stack_config("prod") | {"worker": {"image": image}}, preview=True)
    assert run.outputs["worker_image"] == image


def test_the_image_is_built_for_the_nodes_platform_and_pushed_to_the_stacks_registry(dev: Run) -> None:
    inputs = dev.only(":Image").inputs
    server = f"{dev.only('containerregistry:Registry').inputs['registryName']}.azurecr.io"
    assert inputs["imageName"] == f"{server}/docker-worker:dev"
    assert inputs["build"] == {
        "context": ".build/copy-of-worker",
        "dockerfile": ".build/copy-of-worker/Dockerfile",
        "platform": "linux/amd64",
        "args": {
            "BASE_IMAGE": "python:3.12-slim-bookworm",
            "VERSION": VERSION,
            "REVISION": revision(ROOT / "worker"),
        },
    }
    assert dev.only(":Image").ignore_changes == []


def test_the_image_is_told_where_its_source_is_kept_if_the_stack_says_so() -> None:
    settings = WorkerSettings(base_image="python:3", source="https://git.example/team/project")
    assert build_args(ROOT / "worker", settings)["SOURCE"] == "https://git.example/team/project"
    assert "SOURCE" not in build_args(ROOT / "worker", WorkerSettings(base_image="python:3"))


def test_up_logs_in_with_the_deployers_exchanged_token_as_a_secret(dev: Run) -> None:
    image = dev.only(":Image")
    server = image.inputs["registry"]["server"]
    assert image.inputs["registry"] == {
        "server": server,
        "username": "00000000-0000-0000-0000-000000000000",
        "password": f"{REFRESH_TOKEN} {server} {CLIENT_TOKEN}",
    }
    assert "registry" in image.secret_inputs
    audiences = [args for token, args in dev.invokes if token.endswith("getClientToken")]
    assert audiences == [{"endpoint": "https://containerregistry.azure.net"}]


def test_a_preview_asks_for_no_token_and_exchanges_none(program: Program) -> None:
    run = program("dev", preview=True)
    assert not [token for token, _ in run.invokes if token.endswith("getClientToken")]
    assert REFRESH_TOKEN not in run.only(":Image").inputs["registry"]["password"]
    assert "registry" in run.only(":Image").secret_inputs


def test_a_refused_login_ends_the_program_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(server: str, token: str) -> str:
        raise login.RegistryLoginError(server, "HTTP 401", "ask for the right")

    monkeypatch.setattr(login, "exchange", refuse)
    with pytest.raises(pulumi.RunError, match=r"gave no push token: HTTP 401\. Next step: ask for the right"):
        run_program("dev")
