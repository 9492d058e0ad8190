"""The authority as azure-identity sees it."""

from __future__ import annotations

import base64
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError

from local.azure.identity.directory import Directory
from local.azure.platform.errors import AzureError
from tests.azure.running import RunningAzure

ARM = "https://management.azure.com/.default"


def fetch(azure: RunningAzure, path: str) -> Any:
    """GET a JSON document without a token."""
    context = ssl.create_default_context(cafile=str(azure.paths.ca))
    with urllib.request.urlopen(azure.cloud.arm_url + path, context=context) as answer:
        return json.load(answer)


def test_the_deployers_secret_buys_a_token_for_arm(azure: RunningAzure) -> None:
    token = azure.credential().get_token(ARM).token
    caller = azure.cloud.tokens.verify(token, azure.cloud.arm_audiences)
    assert caller.principal_id == azure.cloud.settings.deployer_object_id


def test_a_wrong_secret_gets_entras_words(azure: RunningAzure) -> None:
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215: Invalid client secret") as refused:
        azure.credential(secret="wrong").get_token(ARM)
    assert azure.cloud.settings.client_secret not in str(refused.value)


def test_an_unknown_application_and_an_unknown_resource_are_refused(azure: RunningAzure) -> None:
    with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
        azure.credential(client_id="00000000-0000-0000-0000-000000000001").get_token(ARM)
    with pytest.raises(ClientAuthenticationError, match="AADSTS500011"):
        azure.credential().get_token("https://manegement.azure.com/.default")


def test_a_token_is_verified_with_the_published_key(azure: RunningAzure) -> None:
    token = azure.credential().get_token("https://storage.azure.com/.default").token
    tenant = azure.cloud.settings.tenant_id
    uri = fetch(azure, f"/{tenant}/v2.0/.well-known/openid-configuration")["jwks_uri"]
    key = jwt.PyJWK(fetch(azure, uri.removeprefix(azure.cloud.arm_url))["keys"][0])
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="https://storage.azure.com")
    assert claims["iss"] == f"https://sts.windows.net/{tenant}/"


def test_the_metadata_document_is_one_object_with_every_part(azure: RunningAzure) -> None:
    document = fetch(azure, "/metadata/endpoints?api-version=2022-09-01")
    wanted = {
        "name",
        "authentication",
        "resourceManager",
        "batch",
        "gallery",
        "graphAudience",
        "media",
        "portal",
        "sqlManagement",
        "vmImageAliasDoc",
        "suffixes",
    }
    assert wanted <= set(document)
    assert {"loginEndpoint", "audiences"} <= set(document["authentication"])
    assert {"storage", "acrLoginServer", "keyVaultDns", "sqlServerHostname"} <= set(document["suffixes"])


def test_nothing_in_the_metadata_leads_off_the_machine(azure: RunningAzure) -> None:
    def texts(value: object) -> Iterator[str]:
        if isinstance(value, dict | list):
            for one in value.values() if isinstance(value, dict) else value:
                yield from texts(one)
        else:
            yield str(value)

    for text in texts(fetch(azure, "/metadata/endpoints?api-version=2022-09-01")):
        host = urlsplit(text).hostname if "://" in text else None
        assert host in (None, "127.0.0.1"), text
        assert not re.search(r"(windows|azure|microsoft(online)?)\.(net|com)", text), text


def test_each_audience_of_the_metadata_gets_a_token_and_no_service_takes_anothers(azure: RunningAzure) -> None:
    document = fetch(azure, "/metadata/endpoints?api-version=2022-09-01")
    for audience in (*document["authentication"]["audiences"], document["batch"], document["microsoftGraphResourceId"]):
        assert azure.credential().get_token(f"{audience.rstrip('/')}/.default").token
    batch = azure.credential().get_token(f"{document['batch']}/.default").token
    with pytest.raises(AzureError, match="wrong audience"):
        azure.cloud.tokens.verify(batch, azure.cloud.arm_audiences)


def test_another_application_can_be_registered(azure: RunningAzure) -> None:
    made = Directory(azure.cloud).create_application("submitter")
    token = azure.credential(made.client_id, made.secret).get_token(ARM).token
    assert azure.cloud.tokens.verify(token, azure.cloud.arm_audiences).principal_id == made.object_id


def ask(azure: RunningAzure, tenant: str, form: dict[str, str], **headers: str) -> tuple[int, Any]:
    """POST a token request to the v1 endpoint, as written."""
    context = ssl.create_default_context(cafile=str(azure.paths.ca))
    request = urllib.request.Request(
        f"{azure.cloud.arm_url}/{tenant}/oauth2/token", urllib.parse.urlencode(form).encode(), headers
    )
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_token_request_that_lacks_something_is_refused_with_entras_number(azure: RunningAzure) -> None:
    settings = azure.cloud.settings
    good = {
        "grant_type": "client_credentials",
        "client_id": settings.client_id,
        "client_secret": settings.client_secret,
        "resource": "https://management.azure.com/",
    }
    cases = [
        ("other-tenant", good, 90002, "invalid_tenant"),
        (settings.tenant_id, {**good, "grant_type": "password"}, 70003, "unsupported_grant_type"),
        (settings.tenant_id, {**good, "client_id": ""}, 900144, "invalid_request"),
        (settings.tenant_id, {**good, "client_secret": ""}, 7000216, "invalid_request"),
        (settings.tenant_id, {**good, "resource": "https://nowhere"}, 500011, "invalid_resource"),
    ]
    for tenant, form, number, code in cases:
        status, body = ask(azure, tenant, form)
        assert (status, body["error"], body["error_codes"]) == (400, code, [number])
        assert (
            body["error_description"].startswith(f"AADSTS{number}:") and body["trace_id"] in body["error_description"]
        )


def test_version_1_answers_with_texts_and_takes_the_secret_from_http_basic_too(azure: RunningAzure) -> None:
    settings = azure.cloud.settings
    basic = base64.b64encode(f"{settings.client_id}:{quote(settings.client_secret, safe='')}".encode()).decode()
    form = {"grant_type": "client_credentials", "resource": "https://management.azure.com/"}
    status, body = ask(azure, settings.tenant_id, form, Authorization=f"Basic {basic}")
    assert (status, body["expires_in"], body["resource"]) == (200, "3599", "https://management.azure.com/")
    assert int(body["expires_on"]) - int(body["not_before"]) == 3599 + 5
    status, body = ask(azure, settings.tenant_id, form, Authorization="Basic ***")
    assert (status, body["error_codes"]) == (400, [900144])
