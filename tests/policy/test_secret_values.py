"""What looks like a secret, and what only looks like it to a careless eye. All secrets here are made up."""

from __future__ import annotations

import base64
import secrets
from datetime import date
from typing import Any

import pytest

from policy.resource_view import UNKNOWN, Resource, spelled
from policy.rule import Violation
from policy.rules import RULES
from policy.secret_values import known_form, looks_random, secret_name

KEY = base64.b64encode(bytes(range(64))).decode()
SAS = "sv=2024-11-04&se=2027-01-01&sr=c&sp=rl&sig=" + "aB3%2F" * 7
JWT = ".".join(("eyJ" + "hbGciOiJSUzI1NiJ9", "eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0", "c2lnbmF0dXJl"))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("a private key in PEM form", "x\n-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE"),
        ("a private key in PEM form", "-----BEGIN " + "PRIVATE KEY-----"),
        ("a token in JWT form", f"Authorization: Bearer {JWT}"),
        ("a shared access signature (sig=)", f"https://acc.blob.core.windows.net/c?{SAS}"),
        ("a shared access signature (sig=)", SAS),
        (
            "a connection string with a key or password",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=" + "abc;EndpointSuffix=core.windows.net",
        ),
        ("a connection string with a key or password", "Server=tcp:s,1433;User ID=u;Password=" + "hunter2;Encrypt=yes"),
        ("a connection string with a key or password", "Driver={ODBC};Server=s;UID=u;pwd = " + "hunter2"),
        ("an account key (64 bytes in base64)", KEY),
        ("an account key (64 bytes in base64)", f"key {KEY} end"),
        ("a container registry password", "A1b2C3d4E5" * 4 + "Zz" + "+ACR" + "A1b2C3"),
        ("a client secret of an Entra application", "Ab1" + "8Q~" + "aB3.x-Y_z0" * 3 + "Ab1~"),
        ("a GitHub token", "ghp_" + "a1B2c3D4e5F6" * 3),
        ("an address with a password in it", "https://user:" + "hunter2@git.example/x.git"),
        ("a secret that is assigned in clear text", "/bin/sh -c 'export SQL_PASSWORD=" + "hunter2x; run'"),
        ("a secret that is assigned in clear text", "docker login --password " + "hunter2x registry"),
        ("a secret that is assigned in clear text", '--token="' + 'hunter2x"'),
    ],
)
def test_known_forms_of_secrets_are_recognised(form: str, text: str) -> None:
    assert known_form(text) == form


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://git.example/team/project",
        "abp-dev.database.windows.net",
        "sha256:" + "0123456789abcdef" * 4,
        "/subscriptions/00000000-0000-4000-8000-00000000aaaa/resourceGroups/rg-abp-dev/providers/Microsoft.Batch/x",
        'export SQL_PASSWORD="$1"; run',
        "export TOKEN=${TOKEN_FILE_CONTENT}",
        "docker login --password-stdin registry.example",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "Server=tcp:s,1433;Database=worklist;Authentication=Active Directory Managed Identity",
        "batch.node.ubuntu 24.04",
        "tokens are exchanged: see the manual",
    ],
)
def test_what_is_no_secret_has_no_form(text: str) -> None:
    assert known_form(text) is None
    assert not looks_random(text)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "password",
            "adminPassword",
            "SQL_PASSWORD",
            "sharedAccessKey",
            "accountKey",
            "sasUrl",
            "sas_token",
            "apiKeys",
        ),
        *("connectionString", "ClientSecret", "registry-password", "privateKey", "accessToken", "PASSWORD2"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "userName",
            "secretName",
            "keyVaultId",
            "publicKey",
            "passwordPolicy",
            "tokenEndpoint",
            "allowSharedKeyAccess",
        ),
        *("identityReference", "registryServer", "containerImageNames", "compass", "passwordless"),
    ],
)
def test_names_that_only_speak_of_secrets(name: str) -> None:
    assert not secret_name(name)


def test_generated_values_look_random_and_names_do_not() -> None:
    generated = [secrets.token_urlsafe(24) for _ in range(500)]
    assert sum(map(looks_random, generated)) >= 450  # one in a hundred happens to be in good order
    for name in ("BatchAccountManagedIdentity2024Version", "MyCompanyDatabaseServer2024Prod", "Standard_D4ads_v5"):
        assert not looks_random(name)
    assert not looks_random("11111111-2222-3333-4444-555555555555")


def found(properties: dict[str, Any], **more: Any) -> list[str]:
    (rule,) = [rule for rule in RULES if rule.name == "no-plain-secrets"]
    resource = Resource(type="azure-native:batch:Pool", name="it", stack="dev", properties=properties, **more)
    return [spelled(item.path) for item in rule.findings(resource, date.today()) if isinstance(item, Violation)]


@pytest.mark.parametrize(
    ("properties", "paths"),
    [
        ({"userAccounts": [{"name": "a", "password": "correct-horse"}]}, ["userAccounts[0].password"]),
        ({"userAccounts": [{"name": "a", "password": ""}]}, []),
        ({"userAccounts": [{"name": "a", "password": UNKNOWN}]}, []),
        ({"environmentSettings": [{"name": "SQL_PASSWORD", "value": "horse"}]}, ["environmentSettings[0].value"]),
        ({"environmentSettings": [{"name": "SQL_SERVER", "value": "abp-dev.database.windows.net"}]}, []),
        ({"environmentSettings": [{"name": UNKNOWN, "value": "horse"}]}, []),
        ({"resourceFiles": [{"httpUrl": f"https://a.blob.core.windows.net/c?{SAS}"}]}, ["resourceFiles[0].httpUrl"]),
        ({"mount": {"accountKey": KEY}}, ["mount.accountKey"]),
        ({"anything": {"at": ["all", KEY]}}, ["anything.at[1]"]),
        ({"resizeTimeout": "PT15M", "passwords": 3, "token": True}, []),
    ],
)
def test_a_plain_secret_is_found_wherever_it_stands(properties: dict[str, Any], paths: list[str]) -> None:
    assert found(properties) == paths


def test_below_a_secret_nothing_is_plain() -> None:
    properties = {"users": [{"password": "correct-horse"}], "other": KEY}
    assert found(properties, secret_paths=frozenset({("users",)})) == ["other"]
    assert found(properties, secret_paths=frozenset({()})) == []
