"""Federated credentials and key vaults as the real management SDKs see them: what the pipelines' bootstrap makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.resource.resources import ResourceManagementClient

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., Any]
PLACE = {"location": "westeurope"}
VAULT = {
    **PLACE,
    "properties": {
        "tenantId": "11111111-2222-3333-4444-555555555555",
        "sku": {"family": "A", "name": "standard"},
        "enableRbacAuthorization": True,
    },
}


def credential(subject: str, *audiences: str) -> dict[str, Any]:
    issuer = "https://token.actions.githubusercontent.com"
    return {"properties": {"issuer": issuer, "subject": subject, "audiences": list(audiences)}}


def test_a_federated_credential_has_one_audience_and_a_subject_of_its_own(client: Make) -> None:
    client(ResourceManagementClient).resource_groups.create_or_update("rg1", PLACE)
    msi = client(ManagedServiceIdentityClient)
    msi.user_assigned_identities.create_or_update("rg1", "preview", PLACE)
    credentials = msi.federated_identity_credentials
    made = credentials.create_or_update("rg1", "preview", "github", credential("repo:a/b:environment:preview", "x"))
    assert (made.subject, made.audiences) == ("repo:a/b:environment:preview", ["x"])
    assert [one.name for one in credentials.list("rg1", "preview")] == ["github"]
    for name, body, told in (
        ("second", credential("repo:a/b:environment:preview", "x"), "already exists"),
        ("third", credential("repo:a/b:environment:other"), "exactly one audience"),
    ):
        with pytest.raises(HttpResponseError, match=told):
            credentials.create_or_update("rg1", "preview", name, body)
    credentials.delete("rg1", "preview", "github")
    assert list(credentials.list("rg1", "preview")) == []


def test_a_vault_and_its_key_say_where_they_are_and_a_key_is_made_once(client: Make) -> None:
    client(ResourceManagementClient).resource_groups.create_or_update("rg1", PLACE)
    vaults = client(KeyVaultManagementClient)
    vault = vaults.vaults.begin_create_or_update("rg1", "kv-abp-1", VAULT).result()
    assert vault.properties.vault_uri == "https://kv-abp-1.vault.azure.net/"
    first = vaults.keys.create_if_not_exist(
        "rg1", "kv-abp-1", "pulumi-dev", {"properties": {"kty": "RSA", "keySize": 3072}}
    )
    again = vaults.keys.create_if_not_exist(
        "rg1", "kv-abp-1", "pulumi-dev", {"properties": {"kty": "RSA", "keySize": 2048}}
    )
    assert first.key_uri == again.key_uri == "https://kv-abp-1.vault.azure.net/keys/pulumi-dev"
    assert again.key_size == 3072
