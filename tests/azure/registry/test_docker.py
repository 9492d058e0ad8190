"""A real engine pushes to a registry and pulls from it, without a certificate authority."""

from __future__ import annotations

import io
import tarfile
from asyncio import to_thread

import docker
import pytest
from docker.errors import APIError

from jobs.verbs.pools import images
from local.azure.registry.grants import TOKEN_USER
from tests.azure.registry.world import World
from tests.jobs.fakes import stage

pytestmark = pytest.mark.docker


def empty_image(engine: docker.DockerClient, reference: str) -> None:
    """A tiny image under this name."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(entry := tarfile.TarInfo("hello"), io.BytesIO(b""))
        assert entry.size == 0
    repository, tag = reference.rsplit(":", 1)
    engine.api.import_image_from_data(archive.getvalue(), repository=repository, tag=tag)


def names(engine: docker.DockerClient) -> list[str]:
    """Tags and digests of all images, by one request: other tests remove theirs meanwhile."""
    listed = engine.api.images()
    return [name for image in listed for key in ("RepoTags", "RepoDigests") for name in image[key] or ()]


def pull_anonymously(engine: docker.DockerClient, reference: str) -> str:
    """What the engine says of it."""
    try:
        return str(list(engine.api.pull(reference, stream=True, decode=True)))
    except APIError as error:
        return str(error)


async def test_an_engine_pushes_and_pulls_by_digest_with_short_lived_tokens(world: World) -> None:
    world.assign("ci", "AcrPush")
    world.assign("node", "AcrPull")
    engine = docker.from_env()
    repository = f"{world.server}/docker-worker"
    login = {"username": TOKEN_USER, "password": await world.refresh("ci")}
    await to_thread(empty_image, engine, f"{repository}:1")
    try:
        lines = await to_thread(
            lambda: list(engine.api.push(repository, "1", stream=True, decode=True, auth_config=login))
        )
        assert not [line for line in lines if "error" in line], lines
        pushed = next(line["aux"]["Digest"] for line in lines if "aux" in line)
        await to_thread(engine.images.remove, f"{repository}:1")
        login = {"username": TOKEN_USER, "password": await world.refresh("node")}
        pulled = await to_thread(lambda: engine.images.pull(f"{repository}@{pushed}", auth_config=login))
        assert pulled.attrs["RepoDigests"] == [f"{repository}@{pushed}"]
        await to_thread(engine.images.remove, f"{repository}@{pushed}")
        said = await to_thread(pull_anonymously, engine, f"{repository}@{pushed}")
        assert "authentication required, visit https://aka.ms/acr/authorization" in said
    finally:
        for name in names(engine):
            if name.startswith(world.server):
                engine.images.remove(name, force=True)
        engine.close()


async def test_images_push_sends_a_local_image_and_leaves_the_engine_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.assign("ci", "AcrPush")
    token = await world.refresh("ci")

    class Registry:
        server = world.server

        def __init__(self, *_: object) -> None: ...

        def refresh_token(self) -> str:
            return token

    monkeypatch.setattr("jobs.service.registry.Registry", Registry)
    scene, engine = stage(), docker.from_env()
    await to_thread(empty_image, engine, "pushed-by-a-person:1")
    try:
        await to_thread(images.push, scene.session, "pushed-by-a-person:1", "team/app:2")
        tags = names(engine)
        assert "pushed-by-a-person:1" in tags
        assert not [tag for tag in tags if tag.startswith(world.server)]
        reference = scene.out.getvalue().strip()
        assert reference.startswith(f"{world.server}/team/app@sha256:")
        login = {"username": TOKEN_USER, "password": token}
        pulled = await to_thread(lambda: engine.images.pull(reference, auth_config=login))
        assert reference in pulled.attrs["RepoDigests"]
    finally:
        engine.images.remove("pushed-by-a-person:1", force=True)
        engine.close()
