"""`images push` and `images login`: what docker is given, and that the credential is on no command line."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.command.parser import parse
from jobs.errors import JobsError, UsageError
from jobs.exits import Exit
from jobs.service import registry
from jobs.service.registry import DOCKER_USER, Manifest
from tests.jobs.fakes import START, Stage, stage

DIGEST = f"sha256:{'ab' * 32}"
# Notes its command line, its standard input and the configuration that it was given, and answers as docker does.
DOCKER = """#!/bin/sh
echo "$*" >> "$DOCKER_NOTES/argv"
case "$1" in
  login) cat > "$DOCKER_NOTES/stdin" ;;
  push)
    cp "$DOCKER_CONFIG/config.json" "$DOCKER_NOTES/config.json"
    stat -c %a "$DOCKER_CONFIG" "$DOCKER_CONFIG/config.json" > "$DOCKER_NOTES/modes"
    echo "$DOCKER_CONFIG" > "$DOCKER_NOTES/folder"
    echo "The push refers to repository [x]"
    [ -e "$DOCKER_NOTES/denied" ] && { echo "denied: requested access to the resource is denied"; exit 1; }
    echo "1: digest: DIGEST size: 528" ;;
  image) [ "$2" = inspect ] && [ "$5" = missing:1 ] && { echo "Error: No such image: missing:1" >&2; exit 1; } ;;
esac
exit 0
"""


class FakeRegistry:
    server = "registry.azurecr.io"

    def __init__(self, *_: object) -> None: ...

    def refresh_token(self) -> str:
        return "s3cret-token"

    def repositories(self) -> list[str]:
        return ["app"]

    def manifests(self, name: str) -> list[Manifest]:
        return [Manifest(name, DIGEST, ("1",), START - timedelta(hours=2), 123_456_789)]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    scene = stage()
    monkeypatch.setattr(registry, "Registry", FakeRegistry)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER.replace("digest: DIGEST", f"digest: {DIGEST}"))
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_NOTES", str(tmp_path))
    return scene


def run(scene: Stage, *words: str) -> Exit:
    arguments = parse(["images", *words])
    scene.session.render.as_json = arguments.json
    return arguments.run(arguments, scene.session)


def test_push_gives_docker_a_credential_for_this_push_only_and_prints_the_reference(
    scene: Stage, tmp_path: Path
) -> None:
    assert run(scene, "push", "team/app:1") == Exit.OK
    reference = f"registry.azurecr.io/app@{DIGEST}"
    assert scene.out.getvalue() == f"{reference}\n"
    assert f"In a job file: image: {reference}" in scene.err.getvalue()
    argv = (tmp_path / "argv").read_text()
    assert argv.splitlines()[1:3] == ["tag team/app:1 registry.azurecr.io/app:1", "push registry.azurecr.io/app:1"]
    assert argv.splitlines()[3] == "image rm --no-prune registry.azurecr.io/app:1"
    auth = json.loads((tmp_path / "config.json").read_text())["auths"]["registry.azurecr.io"]["auth"]
    assert base64.b64decode(auth).decode() == f"{DOCKER_USER}:s3cret-token"
    assert (tmp_path / "modes").read_text().split() == ["700", "600"]
    assert not Path((tmp_path / "folder").read_text().strip()).exists()
    assert "s3cret" not in argv + scene.out.getvalue() + scene.err.getvalue()


def test_login_gives_the_token_through_standard_input(scene: Stage, tmp_path: Path) -> None:
    assert run(scene, "login") == Exit.OK
    assert (tmp_path / "argv").read_text() == f"login registry.azurecr.io --username {DOCKER_USER} --password-stdin\n"
    assert (tmp_path / "stdin").read_text() == "s3cret-token"
    assert "for three hours" in scene.err.getvalue()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("push", "images push IMAGE"),
        ("push missing:1", "docker has no image 'missing:1'. Build it: docker build"),
        ("push app:1 Team/App", "'Team/App' is no name for an image"),
        ("push app:1 ../x", "is no name for an image"),
        ("push app:1 a b", "images push IMAGE"),
        ("one two", "takes one repository"),
    ],
)
def test_mistakes_with_images_push_nothing(scene: Stage, tmp_path: Path, words: str, said: str) -> None:
    with pytest.raises(JobsError, match=said.replace("(", r"\(")):
        run(scene, *words.split())
    argv = (tmp_path / "argv").read_text() if (tmp_path / "argv").exists() else ""
    assert "push" not in argv


def test_a_push_that_is_denied_names_the_role(scene: Stage, tmp_path: Path) -> None:
    (tmp_path / "denied").touch()
    with pytest.raises(JobsError, match="AcrPush"):
        run(scene, "push", "app:1")
    assert "image rm --no-prune registry.azurecr.io/app:1" in (tmp_path / "argv").read_text()


def test_without_docker_that_is_said(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(JobsError, match="docker is not on this machine"):
        run(scene, "push", "app:1")


def test_images_have_their_size_also_in_json(scene: Stage) -> None:
    run(scene)
    assert "123 MB" in scene.out.getvalue()
    scene.out.truncate(0)
    scene.out.seek(0)
    run(scene, "--json")
    assert json.loads(scene.out.getvalue())["size"] == 123_456_789
    with pytest.raises(UsageError):
        run(scene, "--json", "-o", "name")
