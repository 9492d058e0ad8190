"""The registry through its own HTTP interface: tokens, rights, the distribution API, ARM's hooks."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import aiohttp
import pytest
from yarl import URL

from local.azure.control_plane.ids import REGISTRIES
from local.azure.control_plane.tokens import Caller
from local.azure.registry.errors import CredentialOperationsRefused
from local.azure.registry.proxy import client_target, upstream_target
from tests.azure.registry.world import World, started

CALLER = Caller("deployer", "app", "app", "")
PUSH = "repository:docker-worker:pull,push"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


async def push_blob(world: World, headers: dict[str, str], content: bytes, repository: str = "docker-worker") -> None:
    async with world.client.post(f"{world.url}/v2/{repository}/blobs/uploads/", headers=headers) as answer:
        assert answer.status == 202, await answer.text()
        location = answer.headers["Location"]
    assert location.startswith(f"/v2/{repository}/blobs/uploads/"), location

    async def chunks():
        yield content[:1000]
        yield content[1000:]

    async with world.client.patch(world.url + location, headers=headers, data=chunks()) as answer:
        assert answer.status == 202, await answer.text()
        location = answer.headers["Location"]
    async with world.client.put(f"{world.url}{location}&digest={digest(content)}", headers=headers) as answer:
        assert answer.status == 201, await answer.text()
        assert answer.headers["Location"] == f"/v2/{repository}/blobs/{digest(content)}"


async def push_image(world: World, headers: dict[str, str], tag: str = "1", repository: str = "docker-worker") -> str:
    config, layer = json.dumps({"architecture": "amd64", "os": "linux"}).encode(), bytes(5000)
    for content in (config, layer):
        await push_blob(world, headers, content, repository)
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    docker = "application/vnd.docker"
    layers = [{"mediaType": f"{docker}.image.rootfs.diff.tar.gzip", "size": len(layer), "digest": digest(layer)}]
    described = {"mediaType": f"{docker}.container.image.v1+json", "size": len(config), "digest": digest(config)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": described, "layers": layers}).encode()
    url = f"{world.url}/v2/{repository}/manifests/{tag}"
    async with world.client.put(url, headers={**headers, "Content-Type": kind}, data=manifest) as answer:
        assert answer.status == 201, await answer.text()
        return answer.headers["Docker-Content-Digest"]


async def error_of(answer: Any) -> dict[str, Any]:
    return (await answer.json())["errors"][0]


async def test_an_image_that_was_pushed_is_pulled_by_digest(world: World) -> None:
    world.assign("ci", "AcrPush")
    world.assign("node", "AcrPull")
    pushed = await push_image(world, await world.access("ci", PUSH))
    headers = await world.access("node", "repository:docker-worker:pull")
    async with world.client.get(f"{world.url}/v2/docker-worker/manifests/{pushed}", headers=headers) as answer:
        assert answer.status == 200
        layer = json.loads(await answer.read())["layers"][0]["digest"]
    async with world.client.get(f"{world.url}/v2/docker-worker/blobs/{layer}", headers=headers) as answer:
        assert await answer.read() == bytes(5000)
    async with world.client.get(f"{world.url}/v2/docker-worker/tags/list", headers=headers) as answer:
        assert await answer.json() == {"name": "docker-worker", "tags": ["1"]}


async def test_anonymous_callers_are_refused_with_the_way_to_a_token(world: World) -> None:
    async with world.client.get(f"{world.url}/v2/docker-worker/manifests/1") as answer:
        assert answer.status == 401
        challenge = answer.headers["Www-Authenticate"]
        error = await error_of(answer)
    assert f'realm="https://{world.server}/oauth2/token"' in challenge
    assert 'scope="repository:docker-worker:pull"' in challenge
    assert error["code"] == "UNAUTHORIZED"
    assert error["message"].startswith("authentication required, visit https://aka.ms/acr/authorization")


async def test_the_realm_follows_the_name_by_which_the_registry_was_reached(world: World) -> None:
    async with world.client.get(f"{world.url}/v2/", headers={"Host": "localhost:1"}) as answer:
        assert 'realm="https://localhost:1/oauth2/token"' in answer.headers["Www-Authenticate"]


async def test_who_may_only_pull_cannot_push(world: World) -> None:
    world.assign("node", "AcrPull")
    headers = await world.access("node", PUSH)
    async with world.client.post(f"{world.url}/v2/docker-worker/blobs/uploads/", headers=headers) as answer:
        assert answer.status == 401
        assert 'error="insufficient_scope"' in answer.headers["Www-Authenticate"]


async def test_a_token_is_good_for_the_repository_it_was_asked_for_only(world: World) -> None:
    world.assign("ci", "AcrPush")
    headers = await world.access("ci", PUSH)
    async with world.client.post(f"{world.url}/v2/other/blobs/uploads/", headers=headers) as answer:
        assert answer.status == 401


@pytest.mark.parametrize("path", ["/v2/docker-worker/../other/tags/list", "/v2/docker-worker/%2e%2e/other/tags/list"])
async def test_a_path_cannot_climb_out_of_its_repository(world: World, path: str) -> None:
    world.assign("ci", "AcrPush")
    headers = await world.access("ci", PUSH)
    async with world.client.get(URL(world.url + path, encoded=True), headers=headers) as answer:
        assert answer.status in (401, 404, 405)


async def test_a_principal_without_any_role_gets_no_refresh_token(world: World) -> None:
    form = {"grant_type": "access_token", "service": world.server, "access_token": world.entra("stranger")}
    async with world.client.post(f"{world.url}/oauth2/exchange", data=form) as answer:
        assert answer.status == 401
        assert (await error_of(answer))["code"] == "UNAUTHORIZED"


async def test_a_token_for_another_audience_is_not_exchanged(world: World) -> None:
    world.assign("ci", "AcrPush")
    token = world.entra("ci", "https://batch.core.windows.net/")
    form = {"grant_type": "access_token", "service": world.server, "access_token": token}
    async with world.client.post(f"{world.url}/oauth2/exchange", data=form) as answer:
        assert answer.status == 401


async def test_a_contributor_of_the_subscription_may_push(world: World) -> None:
    world.assign("deployer", "Contributor", world.cloud.subscription_scope)
    await push_image(world, await world.access("deployer", PUSH))


async def test_a_token_of_one_registry_is_refused_by_another(world: World) -> None:
    other = await world.add_registry("acrOther")
    world.assign("ci", "AcrPush")
    headers = await world.access("ci", PUSH)
    async with world.client.get(f"https://127.0.0.1:{other.system['port']}/v2/", headers=headers) as answer:
        assert answer.status == 401


async def test_the_catalog_shows_the_own_registry_only(world: World) -> None:
    world.assign("ci", "AcrPush", world.cloud.subscription_scope)
    await push_image(world, await world.access("ci", PUSH))
    other = await world.add_registry("acrOther")
    headers = await world.access("ci", "registry:catalog:*")
    async with world.client.get(f"{world.url}/acr/v1/_catalog", headers=headers) as answer:
        assert await answer.json() == {"repositories": ["docker-worker"]}
    world.registry = other
    async with world.client.get(
        f"{world.url}/v2/_catalog", headers=await world.access("ci", "registry:catalog:*")
    ) as answer:
        assert await answer.json() == {"repositories": []}


async def test_tags_and_manifests_are_listed(world: World) -> None:
    world.assign("ci", "AcrPush")
    pushed = await push_image(world, await world.access("ci", PUSH), tag="v1")
    headers = await world.access("ci", "repository:docker-worker:metadata_read")
    async with world.client.get(f"{world.url}/acr/v1/docker-worker/_tags", headers=headers) as answer:
        assert [(tag["name"], tag["digest"]) for tag in (await answer.json())["tags"]] == [("v1", pushed)]
    async with world.client.get(f"{world.url}/acr/v1/docker-worker/_manifests", headers=headers) as answer:
        assert [one["tags"] for one in (await answer.json())["manifests"]] == [["v1"]]


async def test_a_killed_upstream_loses_nothing_and_is_away_meanwhile(world: World) -> None:
    world.assign("ci", "AcrPush")
    headers = await world.access("ci", PUSH)
    pushed = await push_image(world, headers)
    world.upstream.kill()
    await world.upstream.wait()
    url = f"{world.url}/v2/docker-worker/manifests/{pushed}"
    async with world.client.get(url, headers=headers) as answer:
        assert answer.status == 503
    world.upstream = await started(world.cloud.paths)
    async with world.client.get(url, headers=headers) as answer:
        assert answer.status == 200


async def test_deleting_a_registry_removes_its_images_and_closes_its_port(world: World) -> None:
    world.assign("ci", "AcrPush")
    await push_image(world, await world.access("ci", PUSH))
    images = world.cloud.paths.state / "registry" / "images"
    assert list(images.rglob("link"))
    await world.cloud.types.get(REGISTRIES).work().delete(world.registry)
    world.cloud.resources.delete(world.registry.id)
    assert not list(images.rglob("link")) and not list(images.rglob("data"))
    with pytest.raises(OSError):
        async with world.client.get(f"{world.url}/v2/"):
            pass


async def test_the_admin_user_is_off_and_its_credentials_are_refused(world: World) -> None:
    hooks = world.cloud.types.get(REGISTRIES).work()
    with pytest.raises(CredentialOperationsRefused, match="as admin user is disabled"):
        await hooks.action(world.registry, "listCredentials", {}, CALLER)


async def test_an_admin_user_that_was_switched_on_may_push(world: World) -> None:
    world.registry.properties["adminUserEnabled"] = True
    world.cloud.resources.put(world.registry)
    credentials = await world.cloud.types.get(REGISTRIES).work().action(world.registry, "listCredentials", {}, CALLER)
    assert credentials is not None
    login = aiohttp.encode_basic_auth(credentials["username"], credentials["passwords"][0]["value"])
    query = {"service": world.server, "scope": PUSH}
    async with world.client.get(f"{world.url}/oauth2/token", params=query, headers={"Authorization": login}) as answer:
        token = (await answer.json())["access_token"]
    await push_image(world, {"Authorization": f"Bearer {token}"})


def test_targets_get_the_prefix_and_lose_it_again() -> None:
    """The upstream's names are `<registry>/<repository>`, a mount's source included."""
    assert upstream_target("/v2/w/blobs/uploads/", "mount=sha256%3Aa&from=w2", "acr") == (
        "/v2/acr/w/blobs/uploads/?mount=sha256%3Aa&from=acr%2Fw2"
    )
    assert client_target("http://h/v2/acr/w/blobs/sha256:a", "acr") == "/v2/w/blobs/sha256:a"
