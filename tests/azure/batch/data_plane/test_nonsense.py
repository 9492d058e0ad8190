"""Bodies and requests that nobody should send: every property with a wrong value, every route with a random request."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from local.azure.batch import errors
from local.azure.batch.data_plane import bodies
from local.azure.batch.data_plane.routes import ROUTES
from local.azure.batch.data_plane.schema import Choice, Duration, Flag, Kind, ListOf, MapOf, Number, Object, Text, Time
from local.azure.platform.errors import AzureError
from testbeds.batch_service import SUBMITTER, LocalBatch, TokenOf
from tests.azure.batch.sdk import add, make_job
from tests.azure.nonsense import mutated

BODIES = {name: value for name, value in vars(bodies).items() if name.isupper() and isinstance(value, Object)}
REQUESTS = int(os.environ.get("BATCH_FUZZ_REQUESTS", "250"))


def sample(kind: Kind) -> Any:
    """A value that the kind accepts, with every property."""
    if isinstance(kind, Object):
        return {name: sample(item) for name, item in kind.properties.items()}
    if isinstance(kind, ListOf):
        return [sample(kind.kind)]
    if isinstance(kind, Choice):
        return kind.options[0]
    if isinstance(kind, Number):
        return max(kind.least or 0, 1)
    values: dict[type, Any] = {Flag: True, Duration: "PT1H", Time: "2026-01-01T00:00:00Z", MapOf: {"a": "b"}, Text: "a"}
    return values[type(kind)]


def places(kind: Kind, seen: set[int], path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Kind]]:
    """Every place in a body that has a kind of its own; what is in a part that was seen elsewhere is left out."""
    if path:
        yield path, kind
    if isinstance(kind, Object) and id(kind) not in seen:
        seen.add(id(kind))
        for name, item in kind.properties.items():
            yield from places(item, seen, (*path, name))
    elif isinstance(kind, ListOf):
        yield from places(kind.kind, seen, (*path, 0))


def put(body: Any, path: tuple[Any, ...], value: Any) -> None:
    for step in path[:-1]:
        body = body[step]
    body[path[-1]] = value


def wrong(kind: Kind) -> list[Any]:
    """Values that the kind must refuse."""
    values: list[Any] = [[[]], 1.5, {"zz": 1}]
    if isinstance(kind, Object):
        values = ["text", 1, [], {"noSuchProperty": 1}]
    elif isinstance(kind, MapOf):
        values = ["text", 1, []]
    elif isinstance(kind, ListOf):
        values = ["text", {}, 1]
    elif isinstance(kind, Number):
        values += ["1x", True, (kind.least or 0) - 1, 2**63, "", "१"]
    elif isinstance(kind, Flag):
        values += ["true", 1, 0]
    elif isinstance(kind, Duration):
        values += ["1 hour", "PT", 60, "-PT1H", "P99999999999D"]
    elif isinstance(kind, Time):
        values += ["tomorrow", "2026-02-30T00:00:00Z", 1]
    elif isinstance(kind, Choice):
        values += ["no such word", 1, True]
    elif isinstance(kind, Text):
        values += [1, True]
    return values


@pytest.mark.parametrize("name", BODIES)
def test_a_body_with_every_property_is_accepted_and_checking_it_again_changes_nothing(name: str) -> None:
    checked = BODIES[name].check(sample(BODIES[name]), "")
    assert set(checked) == set(BODIES[name].properties)
    assert BODIES[name].check(checked, "") == checked


def refusal(body: Object, value: Any) -> AzureError | None:
    try:
        body.check(value, "")
    except AzureError as error:
        return error
    return None


def test_no_property_of_a_body_takes_a_value_of_another_kind() -> None:
    seen: set[int] = set()
    tried, accepted = 0, []
    for name, body in BODIES.items():
        for path, kind in places(body, seen):
            for value in wrong(kind):
                given = sample(body)
                put(given, path, value)
                error = refusal(body, given)
                if error is None or error.status != 400 or not error.details:
                    accepted.append(f"{name}: {path}={value!r} {error}")
                tried += 1
    assert accepted == [] and tried > 1500


@pytest.mark.parametrize("name", BODIES)
def test_what_is_required_is_missed_by_its_name(name: str) -> None:
    for required in BODIES[name].required:
        body = sample(BODIES[name])
        del body[required]
        with pytest.raises(errors.MissingRequiredProperty) as missed:
            BODIES[name].check(body, "")
        assert list(missed.value.details) == [("PropertyName", required)]


PATHS = {
    "jobId": ["job", "J B", "nobody"],
    "taskId": ["t", "%"],
    "poolId": ["pool", "x" * 70],
    "nodeId": ["node", ".."],
    "filePath": ["stdout.txt", "../../etc/passwd", "wd/%00", "a//b"],
    "userName": ["u"],
    "applicationId": ["app"],
    "jobScheduleId": ["nightly", "?"],
    "extensionName": ["x"],
}
HEADERS = {
    "If-Match": ['"x"', "*", ""],
    "If-Modified-Since": ["yesterday", "Thu, 01 Jan 2026 00:00:00 GMT"],
    "ocp-range": ["bytes=0-", "bytes=9-1", "x"],
    "client-request-id": ["1"],
}
QUERIES = {
    "$filter": ["id eq 'a'", "(", "id gt 1 and", "not not state eq 'x'", "startswith(id,1)", "'"],
    "$select": ["id", ",", "no"],
    "$expand": ["stats", "x"],
    "maxresults": ["1", "0", "x", "9" * 30, "٣"],
    "$skiptoken": ["x", "LOCAL!", "%ff"],
    "recursive": ["true", "2"],
    "force": ["true", "x"],
    "startTime": ["2026-01-01", "x"],
    "endtime": ["2025-01-01"],
    "timeOut": ["1"],
    "colour": ["red"],
}


@pytest.mark.parametrize("seed", [int(os.environ.get("BATCH_FUZZ_SEED", "1"))])
def test_no_request_breaks_the_service_or_makes_it_hang(azure: LocalBatch, seed: int) -> None:
    chance = random.Random(seed)
    azure.pool(nodes=1)
    client = azure.client()
    make_job(client)
    add(client, "t")
    azure.settle()
    PATHS["nodeId"][0] = azure.node_ids()[0]
    token = TokenOf(azure.cloud, SUBMITTER).get_token().token
    session = requests.Session()
    session.trust_env = False  # REQUESTS_CA_BUNDLE would win over our authority
    session.verify = str(azure.paths.ca)
    kept = list(BODIES.values())
    statuses: dict[int, int] = {}
    for number in range(REQUESTS):
        route = ROUTES[number % len(ROUTES)]
        path = route.path
        for name, values in PATHS.items():
            path = path.replace(f"{{{name}}}", quote(chance.choice(values), safe=""))
        query = {"api-version": "2025-06-01"}
        for name in chance.sample(sorted(QUERIES), chance.choice([0, 0, 1, 2])):
            query[name] = chance.choice(QUERIES[name])
        headers = {"Authorization": f"Bearer {token}"}
        for name in chance.sample(sorted(HEADERS), chance.choice([0, 0, 0, 1])):
            headers[name] = chance.choice(HEADERS[name])
        data = None
        if route.method in ("POST", "PUT", "PATCH"):
            body = mutated(chance, sample(chance.choice(kept)))
            data = chance.choice([json.dumps(body), json.dumps(body), "{", "\xff\xfe", "[" * 2000, ""]).encode(
                "latin-1"
            )
        began = time.monotonic()
        answer = session.request(
            route.method, f"{azure.endpoint()}{path}", params=query, headers=headers, data=data, timeout=20
        )
        said = f"{route.method} {path} {query} {headers.keys()} {data!r}: {answer.status_code} {answer.text[:500]}"
        assert answer.status_code < 500, said
        assert time.monotonic() - began < 15, said
        if answer.status_code >= 400 and route.method != "HEAD":
            assert answer.json()["code"] and answer.json()["message"]["value"], said
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    assert statuses.get(400, 0) > REQUESTS / 10
    assert client.get_job("job") if any(job.id == "job" for job in client.list_jobs()) else True
