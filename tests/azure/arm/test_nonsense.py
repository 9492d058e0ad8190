"""Bodies and requests that nobody should send, to every route of ARM, the authority, Graph, IMDS and the metadata.

No answer is a 500, none takes long, each refusal has a code and a message, and no property takes a value of another
kind. `ARM_FUZZ_REQUESTS` and `ARM_FUZZ_SEED` make it longer or other.
"""

from __future__ import annotations

import json
import os
import random
import ssl
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from local.azure.arm.check import check
from local.azure.arm.errors import InvalidRequestContent
from local.azure.control_plane.resource_types import TABLE, TypeSpec
from local.azure.control_plane.shapes import Field, Shape, fields_of
from tests.azure.nonsense import answer_to, mutated
from tests.azure.running import RunningAzure

REQUESTS = int(os.environ.get("ARM_FUZZ_REQUESTS", "400"))
SEED = int(os.environ.get("ARM_FUZZ_SEED", "1"))
_DEEPEST = 12
SAMPLES = {
    "string": "a", "integer": 1, "number": 1.5, "boolean": True, "any": "x", "datetime": "2026-01-01T00:00:00Z",
    "duration": "PT1H",
}  # fmt: skip


def sample(shape: Shape, depth: int = 0) -> Any:
    """A value that the shape takes, with every property that is not read-only."""
    if shape.choices:
        return shape.choices[0]
    if shape.kind == "model":
        return {} if depth > _DEEPEST else sample_of(fields_of(shape.model), depth)
    if shape.kind == "list":
        return [] if depth > _DEEPEST else [sample(shape.item or Shape("any"), depth + 1)]
    if shape.kind == "map":
        return {"a": sample(shape.item or Shape("any"), depth + 1)}
    if shape.kind == "one_of":
        return sample(shape.alternatives[0], depth + 1)
    if shape.kind in ("integer", "number") and "minimum" in shape.limits:
        return shape.limits["minimum"]
    if shape.kind == "string":
        return "a" * max(1, shape.limits.get("min_length", 1))
    return SAMPLES[shape.kind]


def sample_of(fields: Any, depth: int) -> dict[str, Any]:
    return {
        name: sample_of(one.inner, depth + 1) if one.inner is not None else sample(one.shape, depth + 1)
        for name, one in fields.items()
        if not one.read_only
    }


def places(fields: Any, seen: set[int], path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Shape]]:
    """Every place of a body with a shape of its own; a model is looked into once."""
    for name, one in fields.items():
        if one.read_only:
            continue
        here = (*path, name)
        if one.inner is not None:
            yield from places(one.inner, seen, here)
            continue
        yield from _inside(one, seen, here)


def _inside(one: Field, seen: set[int], here: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Shape]]:
    shape = one.shape
    yield here, shape
    if shape.kind == "list" and shape.item is not None:
        here, shape = (*here, 0), shape.item
        yield here, shape
    if shape.kind == "model" and id(shape.model) not in seen and len(here) < _DEEPEST:
        seen.add(id(shape.model))
        yield from places(fields_of(shape.model), seen, here)


def wrong(shape: Shape) -> list[Any]:
    """Values that the shape must refuse."""
    values: dict[str, list[Any]] = {
        "string": [{}, [], True],
        "integer": ["1x", {}, [], True, 1.5, "", "१", 2**70],
        "number": ["x", {}, True],
        "boolean": ["maybe", 2, {}, []],
        "datetime": ["tomorrow", {}, 1],
        "duration": ["1 hour", 60, {}, "P", "PT"],
        "list": ["x", {"a": 1}, 1],
        "map": ["x", [], 1],
        "model": ["x", [], 1, {"noSuchProperty": 1}],
    }
    found = values.get(shape.kind, [])
    return [*found, "no such word"] if shape.choices else found


def put(body: Any, path: tuple[Any, ...], value: Any) -> bool:
    """Put a value at a path; False where the sample has nothing on the way."""
    for step in path[:-1]:
        if (isinstance(body, list) and not body) or (isinstance(body, dict) and step not in body):
            return False
        body = body[step]
    if isinstance(body, list) and not body:
        return False
    body[path[-1]] = value
    return True


@pytest.mark.parametrize("spec", TABLE, ids=[spec.type for spec in TABLE])
@pytest.mark.parametrize("update", [False, True], ids=["put", "patch"])
def test_no_property_takes_a_value_of_another_kind(spec: TypeSpec, update: bool) -> None:
    if update and spec.update_model is None:
        return
    shape = spec.shape(update=update)
    accepted = []
    for path, kind in places(fields_of(shape.model), set()):
        if path == ("name",):  # read-only at the top of every body, whatever the model says
            continue
        for value in wrong(kind):
            body = sample(shape)
            if not put(body, path, value):
                continue
            try:
                check(body, shape, spec.read_shape())
            except InvalidRequestContent as error:
                assert error.details or "object" in error.message
            else:
                accepted.append(f"{path} = {value!r}")
    assert accepted == []


NAMES = ["a1b2c", "default", "x" * 300, "..", "a b", "%", "é", "$root", "?", "00000000-0000-4000-8000-000000000000"]
QUERIES = {
    "$filter": ["name eq 'a'", "(", "tagName eq 'a' and", "startswith(name,1)", "'", "atScope()", "nobody eq 1"],
    "$top": ["1", "0", "x", "9" * 30, "٣"], "$expand": ["createdTime", "x"],
    "$skiptoken": ["x", "%ff", "/subscriptions"],
    "colour": ["red"], "api-version": ["", "x", "2024-13-01", "1999-01-01", "2024-07-01-preview"],
}  # fmt: skip
HEADERS = {
    "If-Match": ['"x"', "*", ""], "If-None-Match": ["*", "x"],
    "Authorization": ["Bearer x", "Basic eDp5", "", "Bearer "],
    "Content-Type": ["text/plain"], "x-ms-client-request-id": ["1"], "Accept": ["x/y"],
}  # fmt: skip


class Asker:
    """Sends anything to the running services and judges what comes back."""

    def __init__(self, azure: RunningAzure) -> None:
        self.azure = azure
        self._context = ssl.create_default_context(cafile=str(azure.paths.ca))
        settings = azure.cloud.settings
        self.tokens = {
            audience: azure.cloud.tokens.issue(
                principal_id=settings.deployer_object_id, client_id=settings.client_id, audience=audience
            )
            for audience in ("https://management.azure.com/", f"{azure.cloud.arm_url}/")
        }
        self.statuses: dict[int, int] = {}

    def send(
        self, port: str, method: str, target: str, headers: dict[str, str], data: bytes | None
    ) -> tuple[int, bytes]:
        number = self.azure.cloud.ports.reserve(port)
        connection: HTTPConnection = (
            HTTPConnection("127.0.0.1", number, timeout=20)
            if port == "imds"
            else HTTPSConnection("127.0.0.1", number, context=self._context, timeout=20)
        )
        status, text, said = answer_to(connection, method, target, headers, data, allowed={501})
        if status >= 400 and method != "HEAD":
            error = json.loads(text)["error"]
            assert error if isinstance(error, str) else error["code"] and error["message"], said
        self.statuses[status] = self.statuses.get(status, 0) + 1
        return status, text


def data_of(chance: random.Random, body: Any) -> bytes:
    text = json.dumps(mutated(chance, body))
    return chance.choice([text, text, text, "{", "\xff\xfe", "[" * 2000, "", "null", "[]", '{"a":1,"a":2}']).encode(
        "latin-1"
    )


def test_no_request_to_arm_breaks_it_or_makes_it_hang(azure: RunningAzure) -> None:
    chance, asker = random.Random(SEED), Asker(azure)
    scope = azure.cloud.subscription_scope
    headers = {"Authorization": f"Bearer {asker.tokens['https://management.azure.com/']}"}
    asker.send("arm", "PUT", f"{scope}/resourceGroups/rg?api-version=2022-09-01", headers, b'{"location":"westeurope"}')
    documents = list(azure.cloud.types.documents())
    for number in range(REQUESTS):
        spec = TABLE[number % len(TABLE)]
        kinds = spec.type.split("/")[1:]
        path = chance.choice([f"{scope}/resourceGroups/rg", f"{scope}/resourceGroups/rg", scope, "", "/x", f"{scope}x"])
        if chance.random() < 0.1:
            path += f"/providers/{chance.choice(documents).replace('/', '/n/')}"
        else:
            path += f"/providers/{spec.namespace}"
            for kind in kinds:
                path += f"/{kind}/{quote(chance.choice(NAMES), safe='')}"
            path += chance.choice(["", "", "", "/" + chance.choice([*spec.actions, "x", "listKeys"])])
            if chance.random() < 0.2:
                path = path.rpartition("/")[0]
        query = {"api-version": spec.api_version}
        for name in chance.sample(sorted(QUERIES), chance.choice([0, 0, 1, 2])):
            query[name] = chance.choice(QUERIES[name])
        given = dict(headers)
        for name in chance.sample(sorted(HEADERS), chance.choice([0, 0, 0, 1])):
            given[name] = chance.choice(HEADERS[name])
        method = chance.choice(["GET", "PUT", "PUT", "PATCH", "POST", "DELETE", "HEAD", "OPTIONS"])
        body = None
        if method in ("PUT", "PATCH", "POST"):
            body = data_of(chance, sample(spec.shape(update=False)))
        asker.send("arm", method, f"{path}?{urlencode(query)}", given, body)
    assert asker.statuses.get(400, 0) > REQUESTS / 10


GRAPH = ("me", "users", "groups", "organization", "servicePrincipals", "applications", "directoryObjects/getByIds",
         "servicePrincipals(appId='x')", "applications/x/addPassword", "servicePrincipals/x/owners", "")  # fmt: skip
AUTHORITY = ("common/discovery/instance", "x/v2.0/.well-known/openid-configuration", "{tenant}/discovery/v2.0/keys",
             "{tenant}/oauth2/v2.0/token", "{tenant}/oauth2/token", "x/oauth2/token", "metadata/endpoints",
             "common/.well-known/openid-configuration")  # fmt: skip
FORM = {
    "grant_type": ["client_credentials", "password", "", "x"], "client_id": ["x", "", "é"], "client_secret": ["x", ""],
    "scope": ["https://management.azure.com/.default", "x", "", "https://x/.default y"],
    "resource": ["https://batch.core.windows.net/", "x"], "assertion": ["x"],
}  # fmt: skip


def test_no_request_to_the_authority_graph_or_metadata_breaks_them(azure: RunningAzure) -> None:
    chance, asker = random.Random(SEED), Asker(azure)
    settings = azure.cloud.settings
    for number in range(REQUESTS):
        method = chance.choice(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
        headers: dict[str, str] = {}
        if number % 2:
            path = "/v1.0/" + chance.choice(GRAPH)
            query = {
                name: chance.choice(QUERIES[name]) for name in chance.sample(["$filter", "$top"], chance.choice([0, 1]))
            }
            path += f"?{urlencode(query)}" if query else ""
            headers["Authorization"] = f"Bearer {asker.tokens[azure.cloud.arm_url + '/']}"
            data = data_of(chance, {"displayName": "x", "appId": "y", "ids": ["z"], "types": ["user"]})
        else:
            path = "/" + chance.choice(AUTHORITY).format(tenant=settings.tenant_id)
            form = {name: chance.choice(values) for name, values in FORM.items() if chance.random() < 0.7}
            if chance.random() < 0.3:
                form |= {"client_id": settings.client_id, "client_secret": settings.client_secret}
            if chance.random() < 0.2:
                headers["Authorization"] = chance.choice(["Basic x", "Basic eDp5", "Basic 8J+YgA==", "Bearer x"])
            headers["Content-Type"] = chance.choice(
                [
                    "application/x-www-form-urlencoded",
                    "application/x-www-form-urlencoded",
                    "application/json",
                    "multipart/form-data",
                    "multipart/form-data; boundary=x",
                    "x",
                ]
            )
            data = chance.choice([urlencode(form).encode(), urlencode(form).encode(), b"\xff\xfe", b"--x", b"%%%"])
        asker.send("arm", method, path, headers, data if method in ("POST", "PUT", "PATCH") else None)
    assert asker.statuses.get(400, 0) > 10


def test_no_request_to_imds_breaks_it(azure: RunningAzure) -> None:
    chance, asker = random.Random(SEED), Asker(azure)
    paths = (
        "metadata/identity/oauth2/token",
        "metadata/instance",
        "metadata/instance/compute/name",
        "metadata/x",
        "metadata/scheduledevents",
        "metadata/attested/document",
        "",
        "metadata/identity/info",
    )
    queries = {
        "api-version": ["2018-02-01", "2021-02-01", "x", ""],
        "resource": ["https://management.azure.com/", "x", ""],
        "client_id": ["x"],
        "object_id": ["x"],
        "mi_res_id": ["x"],
        "msi_res_id": ["y"],
        "format": ["text", "x"],
    }
    for _ in range(REQUESTS // 2):
        query = {name: chance.choice(values) for name, values in queries.items() if chance.random() < 0.4}
        headers = {"Metadata": chance.choice(["true", "false", ""])} if chance.random() < 0.8 else {}
        method = chance.choice(["GET", "GET", "POST", "HEAD", "PUT"])
        data = data_of(chance, {"StartRequests": [{"EventId": "x"}]}) if method in ("POST", "PUT") else None
        asker.send("imds", method, f"/{chance.choice(paths)}?{urlencode(query)}", headers, data)
    assert asker.statuses.get(400, 0) > 5
