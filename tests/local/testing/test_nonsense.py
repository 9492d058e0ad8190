"""Requests that nobody should send, to a registry's sign-in and listing API and to the blob endpoint: no 500, no hang.

ARM, the authority, Graph and IMDS have theirs in tests/azure/arm/test_nonsense.py. Docker's registry and Azurite need
not run: what they would answer is 503 then, which is an answer.
"""

from __future__ import annotations

import os
import random
import ssl
from base64 import b64encode
from http.client import HTTPSConnection
from urllib.parse import quote, urlencode

from local.testing.azure import BatchAccount, LocalAzure
from tests.azure.nonsense import answer_to

REQUESTS = int(os.environ.get("ARM_FUZZ_REQUESTS", "400"))
SEED = int(os.environ.get("ARM_FUZZ_SEED", "1"))
ALLOWED = (501, 503)


def send(azure: LocalAzure, port: int, method: str, target: str, headers: dict[str, str], data: bytes | None) -> int:
    context = ssl.create_default_context(cafile=str(azure.paths.ca))
    connection = HTTPSConnection("127.0.0.1", port, context=context, timeout=20)
    return answer_to(connection, method, target, headers, data, ALLOWED)[0]


def test_no_request_to_a_registry_breaks_it(local_azure: BatchAccount, local_azure_cloud: LocalAzure) -> None:
    azure, chance = local_azure_cloud, random.Random(SEED)
    body = {"location": "westeurope", "sku": {"name": "Basic"}, "properties": {"adminUserEnabled": True}}
    path = f"{local_azure.group_id}/providers/Microsoft.ContainerRegistry/registries/nonsense1"
    made = azure.arm("PUT", path, "2023-07-01", body)
    port = int(made["properties"]["loginServer"].partition(":")[2])
    settings = azure.cloud.settings
    token = azure.cloud.tokens.issue(
        principal_id=settings.deployer_object_id, client_id=settings.client_id, audience="https://management.azure.com/"
    )
    form = {
        "grant_type": ["access_token", "refresh_token", "password", "x", ""], "service": [f"127.0.0.1:{port}", "x", ""],
        "tenant": [settings.tenant_id, "x"], "access_token": [token, "x", "a.b.c", ""], "refresh_token": ["x", "a.b.c"],
        "scope": ["repository:a:pull", "registry:catalog:*", "x", "repository:a", "repository::", "é:é:é", ""],
        "username": ["nonsense1", "x"], "password": ["x", ""],
    }  # fmt: skip
    paths = ["oauth2/exchange", "oauth2/token", "oauth2/x", "v2/", "v2/_catalog", "v2/a/manifests/latest", "v2/a/b",
             "v2/../../x", "v2/a/blobs/uploads/", "acr/v1/_catalog", "acr/v1/a/_tags", "acr/v1/a/_manifests/x",
             "x", "", "%00", "acr/v1/%2e%2e/_tags"]  # fmt: skip
    basic = ["Basic " + b64encode(one).decode() for one in (b"nonsense1:x", b"\xff:\xff", b"x", b":")]
    statuses: dict[int, int] = {}
    for _ in range(REQUESTS):
        fields = {name: chance.choice(values) for name, values in form.items() if chance.random() < 0.6}
        headers = {"Content-Type": chance.choice(["application/x-www-form-urlencoded", "application/json", "x"])}
        if chance.random() < 0.4:
            headers["Authorization"] = chance.choice([*basic, "Basic x", "Bearer x", f"Bearer {token}", "x"])
        method = chance.choice(["GET", "POST", "POST", "PUT", "DELETE", "HEAD", "PATCH"])
        target = f"/{chance.choice(paths)}" + (f"?{urlencode(fields)}" if method == "GET" else "")
        data = chance.choice([urlencode(fields).encode(), urlencode(fields).encode(), b"\xff\xfe", b"%%%", b"{"])
        status = send(azure, port, method, target, headers, data if method in ("POST", "PUT", "PATCH") else None)
        statuses[status] = statuses.get(status, 0) + 1
    assert statuses.get(401, 0) > 10


def test_no_request_to_the_blob_endpoint_breaks_it(local_azure: BatchAccount, local_azure_cloud: LocalAzure) -> None:
    azure, chance = local_azure_cloud, random.Random(SEED)
    account = local_azure.storage_account()
    port = azure.cloud.ports.reserve("blobs")
    queries = {
        "comp": ["list", "metadata", "userdelegationkey", "block", "x", ""], "restype": ["container", "service", "x"],
        "sv": ["2021-08-06", "x", ""], "sr": ["b", "c", "d", "x"], "sig": ["x", "", "é"], "sp": ["r", "x", ""],
        "se": ["2030-01-01T00:00:00Z", "x", "2030-01-01"], "st": ["x", "2020-01-01"], "srt": ["sco", "x"], "ss": ["b"],
        "si": ["x"], "sip": ["127.0.0.1", "x"], "skoid": ["x"], "skt": ["x"], "ske": ["2030-01-01"], "snapshot": ["x"],
        "prefix": ["x"], "maxresults": ["0", "x", "99999999"],
    }  # fmt: skip
    names = ["a", "$root", "x" * 300, "..", "é", "a b", "%00", "a/b//c", ""]
    statuses: dict[int, int] = {}
    for _ in range(REQUESTS):
        query = {name: chance.choice(values) for name, values in queries.items() if chance.random() < 0.25}
        parts = [chance.choice([account, account, "nobody", ""]), *chance.sample(names, chance.choice([0, 1, 2]))]
        headers = {"x-ms-version": chance.choice(["2021-12-02", "x", ""])}
        if chance.random() < 0.3:
            headers["Authorization"] = chance.choice(
                ["Bearer x", f"SharedKey {account}:x", "SharedKey x", "SharedKeyLite a:b"]
            )
        if chance.random() < 0.2:
            headers["x-ms-copy-source"] = chance.choice(
                ["x", f"https://127.0.0.1:{port}/", "https://[::1", "http://x/y"]
            )
        method = chance.choice(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"])
        target = "/" + "/".join(quote(part, safe="") for part in parts) + (f"?{urlencode(query)}" if query else "")
        status = send(azure, port, method, target, headers, b"<x>" if method in ("PUT", "POST") else None)
        statuses[status] = statuses.get(status, 0) + 1
    assert statuses.get(403, 0) + statuses.get(401, 0) > 10
