"""Shared access signatures as azure-storage-blob makes them: what they open, for how long, and what they do not."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    AccessPolicy,
    AccountSasPermissions,
    BlobClient,
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)

from local.azure.blobs.errors import (
    AuthenticationFailed,
    AuthorizationPermissionMismatch,
    BlobError,
    InvalidXmlDocument,
)
from local.azure.blobs.operations import read_operation
from local.azure.blobs.shared_access import Policies, SharedAccess, without_signature
from local.azure.blobs.wire import texts_of
from local.azure.platform.clock import ManualClock
from tests.azure.blobs.world import World

KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA=="
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def ask(
    query: str,
    method: str = "GET",
    path: str = "/acc/data/a.txt",
    keys: tuple[str, ...] = (KEY, KEY),
    policies: Policies | None = None,
) -> str | None:
    """Whether a signature's query opens the request, at noon."""
    target = f"{path}{'&' if '?' in path else '?'}{query}"
    bare, _, rest = path.partition("?")
    found = dict(parse_qsl(rest))
    operation = read_operation(method, bare, found)
    return SharedAccess(ManualClock(NOW)).check("acc", list(keys), operation, target, "127.0.0.1", policies)


def blob(permission: str = "r", **more: Any) -> str:
    return generate_blob_sas(
        "acc",
        "data",
        "a.txt",
        account_key=KEY,
        permission=BlobSasPermissions(**dict.fromkeys(WORDS[permission], True)),
        **{"expiry": LATER, **more},
    )


WORDS = {"r": ("read",), "w": ("write",), "rw": ("read", "write"), "d": ("delete",)}


def refused(code: type[BlobError], work: Callable[[], Any]) -> str:
    with pytest.raises(code) as caught:
        work()
    return " ".join(text for _, text in caught.value.details)


def test_a_blobs_signature_opens_that_blob_for_what_it_names() -> None:
    assert ask(blob()) is None
    assert ask(blob("rw"), "PUT") is None
    refused(AuthorizationPermissionMismatch, lambda: ask(blob(), "PUT"))
    refused(AuthorizationPermissionMismatch, lambda: ask(blob("w"), "DELETE"))
    refused(AuthenticationFailed, lambda: ask(blob(), path="/acc/data/other.txt"))
    refused(AuthenticationFailed, lambda: ask(blob() + "x"))
    refused(AuthenticationFailed, lambda: ask(blob().replace("sp=r", "sp=rw"), "PUT"))
    refused(AuthenticationFailed, lambda: ask(blob(), keys=("YQ==", "YQ==")))
    for query in (blob(), "skoid=x&sig=x&se=2030-01-01"):  # of an account that has no keys yet
        with pytest.raises(AuthenticationFailed):
            ask(query, keys=())


def test_a_signature_is_good_for_its_time_only() -> None:
    assert "time frame" in refused(AuthenticationFailed, lambda: ask(blob(expiry=NOW - timedelta(seconds=1))))
    assert "time frame" in refused(AuthenticationFailed, lambda: ask(blob(start=NOW + timedelta(minutes=1))))
    assert ask(blob(start=NOW - timedelta(minutes=1))) is None


def test_a_signature_may_name_where_its_client_is() -> None:
    assert ask(blob(ip="127.0.0.0-127.0.0.9")) is None
    with pytest.raises(BlobError, match="AuthorizationSourceIPMismatch"):
        ask(blob(ip="203.0.113.1"))


def test_a_containers_signature_lists_and_reads_its_blobs_and_leaves_the_container_alone() -> None:
    query = generate_container_sas(
        "acc", "data", account_key=KEY, permission=ContainerSasPermissions(read=True, list=True), expiry=LATER
    )
    assert ask(query) is None
    assert ask(query, path="/acc/data?restype=container&comp=list") is None
    refused(AuthorizationPermissionMismatch, lambda: ask(query, path="/acc/data?restype=container"))
    refused(AuthorizationPermissionMismatch, lambda: ask(query, "DELETE", path="/acc/data?restype=container"))
    refused(AuthenticationFailed, lambda: ask(query, path="/acc/other/a.txt"))


def test_an_accounts_signature_reaches_the_levels_and_the_service_that_it_names() -> None:
    def query(types: ResourceTypes, **more: Any) -> str:
        permission = AccountSasPermissions(read=True, list=True, write=True, create=True)
        return generate_account_sas("acc", KEY, types, permission, LATER, **more)

    assert ask(query(ResourceTypes(service=True)), path="/acc?comp=list") is None
    assert ask(query(ResourceTypes(container=True)), "PUT", path="/acc/data?restype=container") is None
    for code, types, more in (
        ("AuthorizationResourceTypeMismatch", ResourceTypes(container=True), {}),
        ("AuthorizationServiceMismatch", ResourceTypes(object=True), {"services": "q"}),
    ):
        with pytest.raises(BlobError, match=code):
            ask(query(types, **more))
    refused(AuthorizationPermissionMismatch, lambda: ask(query(ResourceTypes(object=True)), "DELETE"))


def test_only_what_belongs_to_the_signature_is_kept_from_the_store() -> None:
    assert without_signature("/a/b?sv=1&sig=x%3D&comp=list&prefix=sp") == "/a/b?comp=list&prefix=sp"
    assert without_signature("/a/b?sv=1&sig=x") == "/a/b"


def test_the_body_that_asks_for_a_key_is_read_or_refused() -> None:
    assert texts_of(b"\xef\xbb\xbf<KeyInfo><Start>a</Start><Expiry>b&amp;c</Expiry></KeyInfo>") == {
        "Start": "a",
        "Expiry": "b&c",
    }
    for body in (b"", b"{}", b"<a>", b"\xff\xfe"):
        with pytest.raises(InvalidXmlDocument):
            texts_of(body)


async def test_signed_urls_work_through_the_endpoint(world: World) -> None:
    await world.add_account("open1")
    second = await world.add_account("open2")
    account = world.cloud.resources.by_name("Microsoft.Storage/storageAccounts", "open1")
    assert account is not None
    key, until = account.system["keys"][0], datetime.now(UTC) + timedelta(hours=1)
    options: Any = {"connection_verify": str(world.cloud.paths.ca), "retry_total": 0}

    def work() -> None:
        owner = world.client(key, "open1")
        owner.create_container("data").upload_blob("ä b.txt", b"text")
        query = generate_blob_sas(
            "open1",
            "data",
            "ä b.txt",
            account_key=key,
            permission=BlobSasPermissions(read=True),
            expiry=until,
            content_type="text/x-mine",
        )
        reading = ContainerSasPermissions(read=True)
        wide = generate_container_sas("open1", "data", account_key=key, permission=reading, expiry=until)
        with BlobClient(world.url("open1"), "data", "ä b.txt", credential=query, **options) as reader:
            assert reader.download_blob().readall() == b"text"
            assert reader.get_blob_properties().content_settings.content_type == "text/x-mine"
            with pytest.raises(HttpResponseError) as caught:
                reader.delete_blob()
            assert getattr(caught.value, "error_code", "") == "AuthorizationPermissionMismatch"
            copied = owner.get_blob_client("data", "copy")
            copied.start_copy_from_url(f"{world.url('open1')}/data/%C3%A4%20b.txt?{query}")
            assert copied.download_blob().readall() == b"text"
            copied.start_copy_from_url(f"{world.url('open1')}/data/copy")
            other = world.client(second.system["keys"][0], "open2").create_container("data")
            other.get_blob_client("from").start_copy_from_url(f"{world.url('open1')}/data/copy?{wide}")
            assert other.download_blob("from").readall() == b"text"
            for elsewhere in (
                "https://example.com/a/b",
                f"{world.url('open1')}/data?restype=container",
                f"{world.url()}/data/b",
            ):
                with pytest.raises(HttpResponseError) as refusal:
                    copied.start_copy_from_url(elsewhere)
                assert getattr(refusal.value, "error_code", "") == "CannotVerifyCopySource"
            copied.delete_blob()
        listing = generate_container_sas(
            "open1", "data", account_key=key, permission=ContainerSasPermissions(list=True), expiry=until
        )
        with ContainerClient(world.url("open1"), "data", credential=listing, **options) as container:
            assert [one.name for one in container.list_blobs()] == ["ä b.txt"]

    await to_thread(work)


async def test_a_user_signs_with_a_key_of_its_own_while_it_has_the_role(world: World) -> None:
    assignment = world.assign("jobs", "Contributor")
    await world.add_container("data")
    options: Any = {"connection_verify": str(world.cloud.paths.ca), "retry_total": 0}

    def signed() -> BlobServiceClient:
        user = world.client_of("jobs")
        user.get_container_client("data").upload_blob("a", b"text")
        start, end = datetime.now(UTC) - timedelta(minutes=1), datetime.now(UTC) + timedelta(hours=1)
        delegated = user.get_user_delegation_key(start, end)
        query = generate_blob_sas(
            "data1", "data", "a", user_delegation_key=delegated, permission=BlobSasPermissions(read=True), expiry=end
        )
        return BlobServiceClient(world.url(), credential=query, **options)

    client = await to_thread(signed)
    world.clients.append(client)
    read = client.get_blob_client("data", "a").download_blob
    assert await to_thread(lambda: read().readall()) == b"text"
    world.cloud.resources.delete(assignment)
    with pytest.raises(HttpResponseError) as caught:
        await to_thread(read)
    assert getattr(caught.value, "error_code", "") == "AuthorizationPermissionMismatch"


def by_policy(**more: Any) -> str:
    return generate_blob_sas("acc", "data", "a.txt", account_key=KEY, policy_id="readers", **more)


READERS = {"readers": {"st": "2026-11-27T11:00:00Z", "se": "2026-11-27T13:00:00Z", "sp": "r"}}


def test_a_stored_policy_says_what_a_signature_leaves_out() -> None:
    assert ask(by_policy(), policies=READERS) is None
    refused(AuthorizationPermissionMismatch, lambda: ask(by_policy(), "PUT", policies=READERS))
    over = {"readers": {**READERS["readers"], "se": "2026-11-27T11:30:00Z"}}
    assert "time frame" in refused(AuthenticationFailed, lambda: ask(by_policy(), policies=over))
    timeless = {"readers": {"sp": "r"}}
    refused(AuthenticationFailed, lambda: ask(by_policy(), policies=timeless))
    assert ask(by_policy(expiry=LATER), policies=timeless) is None


def test_a_field_is_the_signatures_or_the_policys_but_not_both() -> None:
    text = refused(AuthenticationFailed, lambda: ask(by_policy(expiry=LATER), policies=READERS))
    assert "not both" in text


def test_a_policy_that_is_gone_opens_nothing() -> None:
    for policies in ({}, {"others": READERS["readers"]}, None):
        refused(AuthenticationFailed, lambda policies=policies: ask(by_policy(), policies=policies))


async def test_a_policy_of_a_container_is_changed_and_revoked(world: World) -> None:
    """Through the SDK and Azurite: the signature stays as it is."""
    key = (await world.add_account("open1")).system["keys"][0]
    options: Any = {"connection_verify": str(world.cloud.paths.ca), "retry_total": 0}

    def play() -> list[str]:
        container = world.client(key, "open1").create_container("data")
        container.upload_blob("a.txt", b"text")
        signed = generate_blob_sas("open1", "data", "a.txt", account_key=key, policy_id="readers")
        reader = BlobClient.from_blob_url(f"{world.url('open1')}/data/a.txt?{signed}", **options)
        seen: list[str] = []
        now = datetime.now(UTC)
        stages: tuple[dict[str, AccessPolicy], ...] = (
            {"readers": AccessPolicy(permission="r", expiry=now + timedelta(hours=1), start=now - timedelta(hours=1))},
            {"readers": AccessPolicy(permission="r", expiry=now - timedelta(minutes=1))},
            {},
        )
        for policies in stages:
            container.set_container_access_policy(policies)
            try:
                seen.append(reader.download_blob().readall().decode())
            except HttpResponseError as error:
                seen.append(str(getattr(error, "error_code", "")).rpartition(".")[2])
        reader.close()
        return seen

    assert await to_thread(play) == ["text", "AUTHENTICATION_FAILED", "AUTHENTICATION_FAILED"]
