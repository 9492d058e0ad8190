"""Who exists in the tenant, and which audiences a token may be asked for; without HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import FEDERATED_CREDENTIALS, USER_ASSIGNED_IDENTITIES
from local.azure.control_plane.resources import SYSTEM_IDENTITY, Resource
from local.azure.identity.audiences import KNOWN, audience_of, resource_audience
from local.azure.identity.directory import Directory
from local.azure.identity.errors import BadFederatedCredential, InvalidOAuthRequest
from local.azure.identity.hooks import MOST_CREDENTIALS, FederationHooks, IdentityHooks
from local.paths import Paths

GROUP = "/subscriptions/s/resourceGroups/g/providers"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    opened = Cloud.open(Paths(tmp_path / "home"))
    yield opened
    opened.close()


@pytest.fixture
def directory(cloud: Cloud) -> Directory:
    return Directory(cloud)


def identity(name: str = "node") -> Resource:
    return Resource(f"{GROUP}/{USER_ASSIGNED_IDENTITIES}/{name}", USER_ASSIGNED_IDENTITIES, name)


# The directory.


def test_the_deployer_is_an_application_from_the_beginning_and_stays(cloud: Cloud, directory: Directory) -> None:
    deployer = directory.application(cloud.settings.client_id.upper())
    assert deployer is not None and deployer.object_id == cloud.settings.deployer_object_id
    assert deployer.has_secret(cloud.settings.client_secret)
    assert directory.delete_application(deployer) is False
    assert directory.application(cloud.settings.client_id) is not None


def test_an_application_has_three_ids_of_its_own_and_is_kept(cloud: Cloud, directory: Directory) -> None:
    made = directory.create_application("ci")
    assert len({made.id, made.object_id, made.client_id}) == 3
    assert Directory(cloud).application(made.client_id) == made
    assert directory.delete_application(made) is True
    assert directory.application(made.client_id) is None


def test_a_renewed_secret_replaces_the_old_one_and_keeps_the_ids(directory: Directory) -> None:
    made = directory.create_application("ci")
    renewed = directory.renew_secret(made)
    assert (renewed.id, renewed.object_id, renewed.client_id) == (made.id, made.object_id, made.client_id)
    assert renewed.has_secret(renewed.secret) and not renewed.has_secret(made.secret)


def test_an_application_without_a_secret_accepts_none_and_secrets_are_not_shown(directory: Directory) -> None:
    made = directory.create_application("ci", with_secret=False)
    assert not made.has_secret("")
    assert directory.renew_secret(made).secret not in repr(directory.applications())


def test_users_identities_and_applications_are_principals_of_their_kind(cloud: Cloud, directory: Directory) -> None:
    user = directory.create_user("ada@example.org", "Ada")
    own = identity()
    own.properties = {"principalId": "P-own", "clientId": "c-own"}
    system = Resource(f"{GROUP}/Microsoft.X/y/z", "Microsoft.X/y", "z")
    system.system = {SYSTEM_IDENTITY: {"principalId": "p-system", "clientId": "c-system"}}
    plain = Resource(f"{GROUP}/Microsoft.X/y/plain", "Microsoft.X/y", "plain")
    for resource in (own, system, plain):
        cloud.resources.put(resource)
    kinds = {one.object_id: (one.kind, one.client_id, one.resource_id) for one in directory.principals()}
    assert kinds[user.object_id] == ("User", None, None)
    assert kinds["P-own"] == ("ServicePrincipal", "c-own", own.id)
    assert kinds["p-system"] == ("ServicePrincipal", "c-system", system.id)
    assert len(kinds) == 4  # and the deployer
    assert directory.principal_type("p-OWN") == "ServicePrincipal"
    assert directory.principal_type(user.object_id) == "User"
    assert directory.principal_type("nobody") is None


# Audiences.


@pytest.mark.parametrize("audience", KNOWN)
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_known_audience_is_accepted_as_it_was_written(cloud: Cloud, audience: str, slash: str) -> None:
    written = audience.rstrip("/") + slash
    assert resource_audience(cloud, written) == written
    assert audience_of(cloud, {"scope": f"openid {written}/.default"}) == written
    assert audience_of(cloud, {"resource": written}) == written


def test_a_storage_accounts_own_url_and_the_clouds_own_ports_are_audiences(cloud: Cloud) -> None:
    for audience in ("https://data.blob.core.windows.net", f"{cloud.arm_url}/batch"):
        assert resource_audience(cloud, audience) == audience


@pytest.mark.parametrize(
    "resource",
    [
        "https://manegement.azure.com/",
        "https://127.0.0.1:1",
        "http://data.blob.core.windows.net",
        "https://data.blob.core.windows.net.example.org",
        "management",
    ],
)
def test_any_other_resource_is_refused_in_entras_words(cloud: Cloud, resource: str) -> None:
    with pytest.raises(InvalidOAuthRequest, match="AADSTS500011") as refused:
        resource_audience(cloud, resource)
    assert (refused.value.code, resource in refused.value.message) == ("invalid_resource", True)


@pytest.mark.parametrize(
    ("form", "number", "code"),
    [
        ({"scope": "https://management.azure.com/"}, "AADSTS1002012", "invalid_scope"),
        ({"scope": "https://a/.default https://b/.default"}, "AADSTS1002012", "invalid_scope"),
        ({"scope": "openid"}, "AADSTS1002012", "invalid_scope"),
        ({}, "AADSTS900144", "invalid_request"),
    ],
)
def test_a_request_names_one_resource(cloud: Cloud, form: dict[str, str], number: str, code: str) -> None:
    with pytest.raises(InvalidOAuthRequest, match=number) as refused:
        audience_of(cloud, form)
    assert refused.value.code == code


# What ARM asks for identities.


async def test_an_identity_gets_its_ids_before_anybody_reads_it_and_keeps_them(cloud: Cloud) -> None:
    hooks, first, second = IdentityHooks(cloud), identity(), identity()
    await hooks.validate(first, None)
    assert first.properties["tenantId"] == cloud.settings.tenant_id
    assert first.properties["principalId"] != first.properties["clientId"]
    await hooks.validate(second, first)
    assert second.properties == first.properties


def credential(number: int, *, of: str = "node", issuer: str = "https://issuer", **more: object) -> Resource:
    kind = FEDERATED_CREDENTIALS
    properties = {"issuer": issuer, "subject": f"subject-{number}", "audiences": ["api://AzureADTokenExchange"]}
    name = f"credential-{number}"
    resource_id = f"{identity(of).id}/federatedIdentityCredentials/{name}"
    return Resource(resource_id, kind, name, properties={**properties, **more})


async def test_two_credentials_of_an_identity_differ_in_issuer_or_subject(cloud: Cloud) -> None:
    hooks = FederationHooks(cloud)
    cloud.resources.put(credential(1))
    with pytest.raises(BadFederatedCredential, match="already exists"):
        await hooks.validate(credential(2, subject="subject-1"), None)
    await hooks.validate(credential(2, subject="subject-1", issuer="https://other"), None)
    await hooks.validate(credential(2, subject="subject-1", of="another-identity"), None)
    await hooks.validate(credential(1), credential(1))  # itself, once more


@pytest.mark.parametrize("audiences", [[], ["a", "b"], None])
async def test_a_credential_has_one_audience(cloud: Cloud, audiences: list[str] | None) -> None:
    with pytest.raises(BadFederatedCredential, match="exactly one audience"):
        await FederationHooks(cloud).validate(credential(1, audiences=audiences), None)


async def test_an_identity_has_at_most_twenty_credentials(cloud: Cloud) -> None:
    hooks = FederationHooks(cloud)
    for number in range(MOST_CREDENTIALS):
        cloud.resources.put(credential(number))
    with pytest.raises(BadFederatedCredential, match="20 are allowed"):
        await hooks.validate(credential(MOST_CREDENTIALS), None)
    await hooks.validate(credential(3), credential(3))
