"""What clients of the services see of each kind of fault: through the real SDKs, or as the answer on the wire."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceResponseError
from azure.mgmt.resource.resources import ResourceManagementClient

from local.azure.platform.faults import Control, Rule
from tests.azure.running import RunningAzure

GROUP = {"location": "westeurope"}


@pytest.fixture
def control(azure: RunningAzure) -> Control:
    return Control(azure.paths, "azure")


@pytest.fixture
def groups(client: Callable[..., Any]) -> Any:
    found = client(ResourceManagementClient).resource_groups
    found.create_or_update("warm", GROUP)
    return found


def get(azure: RunningAzure, path: str, **headers: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """The answer as it is on the wire."""
    request = urllib.request.Request(f"{azure.cloud.arm_url}{path}", headers=headers)
    context = ssl.create_default_context(cafile=str(azure.paths.ca))
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return answer.status, dict(answer.headers), json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), json.loads(error.read())


@pytest.mark.parametrize("retry_after", [None, 7])
def test_arm_throttles_with_and_without_a_time_to_wait(groups: Any, control: Control, retry_after: int | None) -> None:
    with control.injected(Rule("arm", "throttle", retry_after=retry_after)) as number:
        with pytest.raises(HttpResponseError) as caught:
            groups.get("warm")
        assert control.fired(number) == 1
        assert groups.get("warm").name == "warm"
    answer: Any = caught.value.response
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "TooManyRequests")
    assert answer.headers.get("Retry-After") == (None if retry_after is None else "7")


def test_a_failed_request_is_not_done_and_an_applied_one_is(groups: Any, control: Control) -> None:
    for kind, done in (("fail", False), ("apply-then-fail", True)):
        with control.injected(Rule("arm", kind, match="PUT")), pytest.raises(HttpResponseError) as caught:
            groups.create_or_update(kind, GROUP)
        assert caught.value.status_code == 500
        assert groups.check_existence(kind) is done


def test_a_cut_request_is_not_done_and_one_cut_after_it_is(groups: Any, control: Control) -> None:
    for kind, done in (("cut", False), ("apply-then-cut", True)):
        with control.injected(Rule("arm", kind, match="PUT")), pytest.raises(ServiceResponseError):
            groups.create_or_update(kind, GROUP)
        assert groups.check_existence(kind) is done


def test_a_delayed_request_waits(groups: Any, control: Control) -> None:
    with control.injected(Rule("arm", "delay", seconds=0.5)):
        began = time.monotonic()
        groups.get("warm")
        assert time.monotonic() - began >= 0.5


def test_a_lost_role_is_arms_own_refusal(groups: Any, control: Control) -> None:
    with control.injected(Rule("arm", "lost-role")), pytest.raises(HttpResponseError) as caught:
        groups.get("warm")
    assert (caught.value.status_code, caught.value.error.code) == (403, "AuthorizationFailed")  # type: ignore[union-attr]
    assert groups.get("warm").name == "warm"


@pytest.mark.parametrize(("seconds", "told"), [(7200.0, "expired"), (-7200.0, "not valid yet")])
def test_a_service_whose_clock_is_off_refuses_good_tokens(
    groups: Any, control: Control, seconds: float, told: str
) -> None:
    with (
        control.injected(Rule("arm", "token-skew", seconds=seconds)),
        pytest.raises(ClientAuthenticationError, match=told),
    ):
        groups.get("warm")


def test_a_list_comes_in_pages_of_one(groups: Any, control: Control) -> None:
    groups.create_or_update("other", GROUP)
    with control.injected(Rule("arm", "partial", times=0, match="GET .*resourcegroups")) as number:
        assert sorted(one.name for one in groups.list()) == ["other", "warm"]
        assert control.fired(number) >= 2


def test_sign_in_and_graph_are_throttled_in_their_own_words(azure: RunningAzure, control: Control) -> None:
    with (
        control.injected(Rule("authority", "throttle", times=0, match="token$")),
        pytest.raises(ClientAuthenticationError, match="AADSTS90055"),
    ):
        azure.credential().get_token("https://management.azure.com/.default")
    with control.injected(Rule("graph", "throttle", retry_after=3)):
        status, headers, body = get(azure, "/v1.0/servicePrincipals")
    assert (status, headers["Retry-After"], body["error"]["code"]) == (429, "3", "TooManyRequests")


def test_the_identity_endpoint_is_throttled(azure: RunningAzure, control: Control) -> None:
    url = f"http://127.0.0.1:{azure.cloud.ports.reserve('imds')}/metadata/identity/oauth2/token"
    with control.injected(Rule("imds", "throttle")), pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url)
    assert caught.value.code == 429
    caught.value.close()


def test_the_clock_of_a_running_cloud_moves_and_sign_in_goes_on(
    azure: RunningAzure, groups: Any, control: Control
) -> None:
    before = azure.cloud.clock.now()
    answer = control.ask({"do": "clock", "seconds": 86400.0})
    assert answer["offset"] == 86400.0
    assert (azure.cloud.clock.now() - before).total_seconds() >= 86400
    assert groups.get("warm").name == "warm"  # a token from before the move is as good as it was
    assert azure.credential().get_token("https://management.azure.com/.default").token
