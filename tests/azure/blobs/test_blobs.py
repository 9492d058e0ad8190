"""The blob endpoint through azure-storage-blob: rights, keys, blobs as real clients use them, and kill -9."""

from __future__ import annotations

import http.client
import os
import ssl
from asyncio import to_thread
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContentSettings

from local.azure.blobs.errors import UnknownStorageAction
from local.azure.control_plane.ids import BLOB_CONTAINERS, STORAGE_ACCOUNTS
from local.azure.control_plane.tokens import Caller
from local.node.agent import transfer
from tests.azure.blobs.world import World, started

pytestmark = pytest.mark.thorough

CALLER = Caller("deployer", "app", "app", "")


def code_of(error: Any) -> str:
    """The SDK puts the service's code on the exception without declaring it."""
    return error.error_code


async def refused(code: str, work: Callable[[], Any]) -> HttpResponseError:
    with pytest.raises(HttpResponseError) as caught:
        await to_thread(work)
    assert code_of(caught.value) == code, caught.value
    return caught.value


def use_everything(client: BlobServiceClient) -> None:
    container = client.create_container("job-hello")
    assert [one.name for one in client.list_containers()] == ["job-hello"]
    content = os.urandom(450_000)
    blob = container.upload_blob("run 1/täsk&/out.bin", content, content_settings=ContentSettings(content_type="a/b"))
    container.upload_blob("run 1/stdout.txt", b"")
    assert blob.download_blob().readall() == content
    assert blob.download_blob(offset=1000, length=10).readall() == content[1000:1010]
    properties = blob.get_blob_properties()
    assert (properties.size, properties.content_settings.content_type) == (450_000, "a/b")
    blob.set_blob_metadata({"exit": "0"})
    assert blob.get_blob_properties().metadata == {"exit": "0"}
    names = [one.name for one in container.list_blobs(name_starts_with="run 1/", results_per_page=1)]
    assert names == ["run 1/stdout.txt", "run 1/täsk&/out.bin"]
    container.upload_blob("log", b"a", blob_type="AppendBlob")
    container.get_blob_client("log").append_block(b"b")
    assert container.download_blob("log").readall() == b"ab"
    assert not container.get_blob_client("absent").exists()
    container.delete_blob("log")
    container.delete_container()


async def test_a_data_contributor_uses_containers_and_blobs(world: World) -> None:
    world.assign("jobs", "Contributor")
    await to_thread(use_everything, world.client_of("jobs"))


async def test_shared_key_works_on_an_account_that_allows_it(world: World) -> None:
    account = await world.add_account("open1")
    answer = await world.cloud.types.get(STORAGE_ACCOUNTS).work().action(account, "listKeys", {}, CALLER)
    assert answer is not None
    await to_thread(use_everything, world.client(answer["keys"][1]["value"], "open1"))


async def test_a_wrong_key_is_refused(world: World) -> None:
    await world.add_account("open1")
    client = world.client("d3Jvbmc=", "open1")
    await refused("AuthenticationFailed", lambda: list(client.list_containers()))


async def test_shared_key_is_refused_on_an_entra_only_account(world: World) -> None:
    account = world.cloud.resources.get(world.account_id)
    assert account is not None
    client = world.client(account.system["keys"][0])
    error = await refused("KeyBasedAuthenticationNotPermitted", lambda: list(client.list_containers()))
    assert "Key based authentication is not permitted on this storage account." in str(error)


async def test_a_reader_reads_and_cannot_write(world: World) -> None:
    world.assign("jobs", "Contributor")
    world.assign("people", "Reader")
    await world.add_container("job-hello")
    await to_thread(lambda: world.client_of("jobs").get_container_client("job-hello").upload_blob("a", b"text"))
    container = world.client_of("people").get_container_client("job-hello")
    assert await to_thread(lambda: container.download_blob("a").readall()) == b"text"
    error = await refused("AuthorizationPermissionMismatch", lambda: container.upload_blob("b", b"text"))
    assert "This request is not authorized to perform this operation using this permission." in str(error)
    await refused("AuthorizationPermissionMismatch", lambda: container.delete_blob("a"))


async def test_a_right_on_one_container_is_no_right_on_another(world: World) -> None:
    for name in ("job-a", "job-b"):
        await world.add_container(name)
    world.assign("node", "Contributor", world.scope("job-a"))
    client = world.client_of("node")
    await to_thread(lambda: client.get_container_client("job-a").upload_blob("x", b"1"))
    await refused(
        "AuthorizationPermissionMismatch", lambda: client.get_container_client("job-b").upload_blob("x", b"1")
    )
    await refused("AuthorizationPermissionMismatch", lambda: list(client.list_containers()))


async def test_a_subscription_contributor_lists_containers_but_no_blobs(world: World) -> None:
    """Contributor has every action and no data action."""
    world.assign("deployer", "ArmContributor", world.cloud.subscription_scope)
    await world.add_container("job-a")
    client = world.client_of("deployer")
    assert [one.name for one in await to_thread(lambda: list(client.list_containers()))] == ["job-a"]
    container = client.get_container_client("job-a")
    await refused("AuthorizationPermissionMismatch", lambda: list(container.list_blobs()))


async def test_a_removed_role_has_effect_with_the_next_request(world: World) -> None:
    assignment = world.assign("node", "Contributor")
    await world.add_container("job-a")
    container = world.client_of("node").get_container_client("job-a")
    await to_thread(lambda: container.upload_blob("x", b"1"))
    world.cloud.resources.delete(assignment)
    await refused("AuthorizationPermissionMismatch", lambda: container.upload_blob("y", b"1"))


async def test_tokens_for_another_audience_and_anonymous_callers_are_refused(world: World) -> None:
    world.assign("jobs", "Contributor")
    client = world.client_of("jobs", audience="https://management.azure.com/")
    with pytest.raises(ClientAuthenticationError) as caught:
        await to_thread(lambda: list(client.list_containers()))
    assert code_of(caught.value) == "InvalidAuthenticationInfo"
    await refused("NoAuthenticationInformation", lambda: list(world.client(None).list_containers()))


async def test_a_missing_container_is_reported_as_azure_does(world: World) -> None:
    world.assign("jobs", "Contributor")
    container = world.client_of("jobs").get_container_client("absent")
    with pytest.raises(ResourceNotFoundError) as caught:
        await to_thread(lambda: container.upload_blob("a", b"text"))
    assert code_of(caught.value) == "ContainerNotFound"


async def test_a_signature_by_key_is_refused_on_an_entra_only_account(world: World) -> None:
    signed = BlobServiceClient(
        f"{world.url()}?sv=2021-12-02&sig=abc", connection_verify=str(world.cloud.paths.ca), retry_total=0
    )
    world.clients.append(signed)
    await refused("KeyBasedAuthenticationNotPermitted", lambda: list(signed.list_containers()))


async def test_an_acknowledged_upload_survives_kill_9(world: World) -> None:
    world.assign("jobs", "Contributor")
    container = world.client_of("jobs").get_container_client("job-a")
    await to_thread(container.create_container)
    for number in range(5):
        await to_thread(lambda n=number: container.upload_blob(f"b{n}", f"text {n}"))
    world.azurite.kill()
    await world.azurite.wait()
    await refused("ServerBusy", lambda: container.download_blob("b4").readall())
    world.azurite = await started(world.cloud)
    for number in range(5):
        text = await to_thread(lambda n=number: container.download_blob(f"b{n}").readall())
        assert text == f"text {number}".encode()


async def test_arm_knows_containers_that_clients_made_and_deleted(world: World) -> None:
    world.assign("jobs", "Contributor")
    container = world.client_of("jobs").get_container_client("job-a")
    await to_thread(container.create_container)
    assert world.cloud.resources.get(world.scope("job-a")) is not None
    await to_thread(container.delete_container)
    assert world.cloud.resources.get(world.scope("job-a")) is None


async def test_deleting_an_account_removes_its_blobs_and_only_its(world: World) -> None:
    world.assign("jobs", "Contributor", world.cloud.subscription_scope)
    await world.add_container("job-a")
    account = await world.add_account("open1")
    kept = world.client(account.system["keys"][0], "open1")
    await to_thread(kept.create_container, "job-a")
    hooks = world.cloud.types.get(STORAGE_ACCOUNTS).work()
    first = world.cloud.resources.get(world.account_id)
    assert first is not None
    await hooks.delete(first)
    world.cloud.resources.delete(first.id)
    assert world.cloud.resources.list(scope=first.id) == []
    await world.add_account()
    assert await to_thread(lambda: list(world.client_of("jobs").list_containers())) == []
    assert [one.name for one in await to_thread(lambda: list(kept.list_containers()))] == ["job-a"]


async def test_container_hooks_can_be_repeated(world: World) -> None:
    hooks = world.cloud.types.get(BLOB_CONTAINERS).work()
    made = await world.add_container("job-a")
    await hooks.put(made, made)
    await hooks.delete(made)
    await hooks.delete(made)


async def test_unknown_actions_are_refused_by_name(world: World) -> None:
    hooks, account = world.cloud.types.get(STORAGE_ACCOUNTS).work(), await world.add_account("open1")
    with pytest.raises(UnknownStorageAction, match="failover"):
        await hooks.action(account, "failover", {}, CALLER)


STRANGE = ("a/../up", "a/./here", "a//empty", "a/\u202egnp", "a/" + "n" * 300, "a/\x7f", "a/ü&<>'\"%41")
REFUSED = ("a/\x1b[2Jz", "a/new\nline", "a/\x00")


async def test_blobs_with_strange_names_are_listed_and_read_like_all_others(world: World) -> None:
    """By the addresses that tasks' outputs are sent and collected with; a name that would hide all others in a list is
    refused."""
    world.assign("jobs", "Contributor")
    client = world.client_of("jobs")
    await to_thread(lambda: client.create_container("job-hello").upload_blob("a/plain", b"plain"))
    found = await to_thread(put_and_read_all, world, client)
    assert found.pop("a/plain") == b"plain"
    assert found == {name: name.encode() for name in STRANGE}


def put_and_read_all(world: World, client: BlobServiceClient) -> dict[str, bytes]:
    context = ssl.create_default_context(cafile=str(world.cloud.paths.ca))
    headers = {"Authorization": f"Bearer {client.credential.get_token().token}", "x-ms-version": "2021-12-02"}

    def ask(method: str, name: str, body: bytes | None = None, good: int = 200, **more: str) -> bytes:
        connection = http.client.HTTPSConnection("127.0.0.1", world.cloud.ports.reserve("blobs"), context=context)
        path = transfer.blob_url(f"{world.url()}/job-hello", name).split("/", 3)[3]
        connection.request(method, f"/{path}", body, {**headers, **more})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == good, (name, answer.status, content)
        connection.close()
        return content

    for name in STRANGE:
        ask("PUT", name, name.encode(), 201, **{"x-ms-blob-type": "BlockBlob"})
    for name in REFUSED:
        ask("PUT", name, b"", 400, **{"x-ms-blob-type": "BlockBlob"})
    names = [str(one.name) for one in client.get_container_client("job-hello").list_blobs()]
    return {name: ask("GET", name) for name in names}
