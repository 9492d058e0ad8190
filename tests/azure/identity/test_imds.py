"""The instance metadata endpoint: azure-identity through a small site, and the errors in IMDS's words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure.identity import ManagedIdentityCredential

from local.azure.control_plane.cloud import Cloud
from local.azure.identity import events
from local.azure.identity.imds import imds_response
from local.azure.identity.service import imds_for_nodes
from local.azure.platform.clock import ManualClock
from local.azure.platform.faults import Rule
from local.node.contract import Identity
from local.paths import Paths
from testbeds.http_server import serving

NODE = Identity(resource_id="/subscriptions/s/x/node", client_id="c-node", principal_id="p-node")
OTHER = Identity(resource_id="/subscriptions/s/x/other", client_id="c-other", principal_id="p-other")
TOKEN = "/metadata/identity/oauth2/token"
ASK = f"{TOKEN}?api-version=2018-02-01&resource=https://database.windows.net/"
HEADERS = {"Metadata": "true"}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    opened = Cloud.open(Paths(tmp_path / "home"))
    yield opened
    opened.close()


def ask(cloud: Cloud, path: str, *identities: Identity, headers: Any = None) -> tuple[int, Any]:
    """Status and document."""
    status, _, body = imds_response(cloud, identities, "GET", path, HEADERS if headers is None else headers)
    return status, json.loads(body)


def test_the_only_identity_needs_no_selector(cloud: Cloud) -> None:
    status, body = ask(cloud, ASK, NODE)
    assert status == 200
    caller = cloud.tokens.verify(body["access_token"], ["https://database.windows.net"])
    assert (caller.principal_id, caller.kind) == ("p-node", "managed_identity")
    assert body["expires_on"].isdigit()


@pytest.mark.parametrize("selector", ["client_id=c-other", "object_id=p-other", "msi_res_id=/subscriptions/s/x/OTHER"])
def test_each_selector_finds_its_identity(cloud: Cloud, selector: str) -> None:
    status, body = ask(cloud, f"{ASK}&{selector}", NODE, OTHER)
    assert (status, body["client_id"]) == (200, "c-other")


@pytest.mark.parametrize(
    ("path", "identities", "headers", "said"),
    [
        (ASK, (NODE,), {}, "Required metadata header not specified"),
        (f"{TOKEN}?resource=x", (NODE,), HEADERS, "api-version"),
        (f"{TOKEN}?api-version=2018-02-01", (NODE,), HEADERS, "'resource' is missing"),
        (ASK, (), HEADERS, "Identity not found"),
        (f"{ASK}&client_id=nobody", (NODE,), HEADERS, "Identity not found"),
        (ASK, (NODE, OTHER), HEADERS, "Multiple user assigned identities exist"),
    ],
)
def test_refusals(cloud: Cloud, path: str, identities: tuple[Identity, ...], headers: Any, said: str) -> None:
    status, body = ask(cloud, path, *identities, headers=headers)
    assert status == 400
    assert said in body["error_description"]


def test_events_and_instance_are_answered(cloud: Cloud) -> None:
    assert ask(cloud, "/metadata/scheduledevents?api-version=2020-07-01")[1]["Events"] == []
    events.announce(cloud.paths, "node-1", "Preempt")
    [event] = ask(cloud, "/metadata/scheduledevents?api-version=2020-07-01")[1]["Events"]
    assert (event["EventType"], event["Resources"]) == ("Preempt", ["node-1"])
    assert ask(cloud, "/metadata/instance?api-version=2021-02-01")[1]["compute"]["osType"] == "Linux"


async def test_the_relays_form_answers_the_same(cloud: Cloud) -> None:
    status, _, body = await imds_for_nodes(cloud)("node-1", (NODE,), "GET", ASK, {"metadata": "true"})
    assert (status, json.loads(body)["client_id"]) == (200, "c-node")
    _, _, body = await imds_for_nodes(cloud)("node-1", (), "GET", "/metadata/instance?api-version=2021-02-01", HEADERS)
    assert json.loads(body)["compute"]["name"] == "node-1"


def test_tokens_expire_by_the_clock(tmp_path: Path) -> None:
    from datetime import timedelta

    from local.azure.control_plane.errors import AuthenticationFailed

    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    cloud = Cloud.open(Paths(tmp_path / "home"), clock)
    token = ask(cloud, ASK, NODE)[1]["access_token"]
    clock.advance(timedelta(days=1))
    with pytest.raises(AuthenticationFailed, match="expired"):
        cloud.tokens.verify(token, ["https://database.windows.net/"])
    cloud.close()


def test_managed_identity_credential_gets_a_token(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = imds_response(cloud, (NODE, OTHER), "GET", self.path, dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    with serving(server):
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://127.0.0.1:{server.server_port}")
        token = ManagedIdentityCredential(client_id="c-node").get_token("https://storage.azure.com/.default")
    assert cloud.tokens.verify(token.token, ["https://storage.azure.com/"]).client_id == "c-node"


async def test_a_nodes_endpoint_meets_faults_too(cloud: Cloud) -> None:
    ask = imds_for_nodes(cloud)
    cloud.faults.set(Rule("imds", "throttle", match="node-1", retry_after=2))
    status, headers, _ = await ask("node-1", (NODE,), "GET", ASK, {"metadata": "true"})
    assert (status, headers["Retry-After"]) == (429, "2")
    cloud.faults.set(Rule("imds", "cut"))
    with pytest.raises(ConnectionError):
        await ask("node-1", (NODE,), "GET", ASK, {"metadata": "true"})
    status, _, _ = await ask("node-1", (NODE,), "GET", ASK, {"metadata": "true"})
    assert status == 200
