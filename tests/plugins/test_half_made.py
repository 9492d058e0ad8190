"""A resource that ARM may have taken is never forgotten, whatever fails while the plugin waits for it.

Each fault strikes at a certain moment of a create or update. The plugin must then tell the engine the id and what is
known (`InitFailed`), and the next run's update must take the resource over: it waits for what is under way first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.plugins.azure_native import arm_client, operations
from local.plugins.azure_native.arm_client import ArmError
from local.plugins.azure_native.provider import AzureNative
from local.plugins.protocol.errors import CloudError, InitFailed, PluginError
from local.plugins.protocol.log import EngineLog
from local.plugins.protocol.provider import Target
from tests.plugins.fake_arm import NO_ANSWER, SUBSCRIPTION, Answer, FakeArm

pytestmark = pytest.mark.thorough

ACCOUNT = Target("urn:pulumi:s::p::azure-native:batch:BatchAccount::acc", "azure-native:batch:BatchAccount", "acc")
ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Batch/batchAccounts/acc"
INPUTS = {"resourceGroupName": "rg", "accountName": "acc", "location": "westeurope"}
CREATING = {"id": ID, "name": "acc", "location": "westeurope", "properties": {"provisioningState": "Creating"}}
READY = CREATING | {"properties": {"provisioningState": "Succeeded"}}
NOTHING: Answer = (404, {}, None)
PAGE: Answer = (200, {}, b"<html>the gateway is tired</html>")
BROKEN: Answer = (500, {"Retry-After": "0"}, {"error": {"code": "InternalServerError", "message": "try later"}})


@pytest.fixture
def azure(cloud_settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureNative]:
    for name, value in cloud_settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(arm_client, "RECONNECT_SECONDS", 0.2)
    monkeypatch.setattr(arm_client, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(operations, "LAST_READ_SECONDS", 0.1)
    provider = AzureNative(EngineLog())
    provider.configure({"location": "westeurope"})
    yield provider
    provider.cancelled.set()


def accepted(arm: FakeArm, pause: str = "0") -> Answer:
    """ARM has begun: the resource is there, and an operation to follow."""
    arm.resources[ID] = CREATING
    return 202, {"Azure-AsyncOperation": f"{arm.url}/operations/1", "Retry-After": pause}, CREATING


def put(arm: FakeArm, answer: Callable[[FakeArm], Answer] = accepted) -> None:
    arm.script("PUT", ID, answer)


def polls(*answers: Answer) -> Callable[[FakeArm], None]:
    """ARM accepts, then the operation's status document answers so."""

    def prepare(arm: FakeArm) -> None:
        put(arm)
        arm.script("GET", "/operations/1", *answers)

    return prepare


def last_reads(*answers: Answer) -> Callable[[FakeArm], None]:
    """The operation succeeds, then the resource itself answers so (first comes the check that it is not there yet)."""

    def prepare(arm: FakeArm) -> None:
        polls((200, {}, {"status": "Succeeded"}))(arm)
        arm.script("GET", ID, NOTHING, *answers)

    return prepare


def puts_answer(*answers: Answer) -> Callable[[FakeArm], None]:
    """ARM takes the PUT, but this is all that comes back."""

    def prepare(arm: FakeArm) -> None:
        for answer in answers:
            arm.script("PUT", ID, lambda fake, answer=answer: (accepted(fake), answer)[1])

    return prepare


def sign_in_ends(answer: Answer) -> Callable[[FakeArm], None]:
    """Tokens live so short a time that each request asks for one, and the sign-in stops working after the PUT."""

    def prepare(arm: FakeArm) -> None:
        arm.token_seconds = 1

        def last(fake: FakeArm) -> Answer:
            fake.sign_in = answer
            return accepted(fake)

        put(arm, last)

    return prepare


def service_goes(arm: FakeArm) -> None:
    def last(fake: FakeArm) -> Answer:
        threading.Thread(target=fake.stop).start()
        return accepted(fake, pause="0.3")

    put(arm, last)


FAULTS: dict[str, Callable[[FakeArm], None]] = {
    "the connection is lost in a poll": polls(*[NO_ANSWER] * 50),
    "the service is gone": service_goes,
    "the poll answers 500": polls(*[BROKEN] * 4),
    "the poll answers 401": polls((401, {}, {"error": {"code": "ExpiredAuthenticationToken", "message": "old"}})),
    "the poll answers 403": polls((403, {}, {"error": {"code": "AuthorizationFailed", "message": "no"}})),
    "the poll answers a page": polls(*[PAGE] * 3),
    "the poll answers a list": polls(*[(200, {}, [1])] * 3),
    "the poll answers an empty body": polls(*[(200, {}, None)] * 3),
    "the status is no text": polls(*[(200, {}, {"status": {"a": 1}})] * 3),
    "the operation fails": polls((200, {}, {"status": "Failed", "error": {"code": "QuotaExceeded", "message": "no"}})),
    "the operation fails without a reason": polls((200, {}, {"status": "Canceled", "error": None})),
    "the operation asks for a day of patience": polls((200, {"Retry-After": "86400"}, {"status": "Running"})),
    "a poll sends nonsense as Retry-After": polls((200, {"Retry-After": "nan"}, {"status": "Running"})),
    "sign-in is refused": sign_in_ends((401, {}, {"error": "invalid_client", "error_description": "AADSTS7000222"})),
    "sign-in answers 500": sign_in_ends((500, {}, {"error": "server_error"})),
    "sign-in answers a page": sign_in_ends(PAGE),
    "the resource answers 500": last_reads(*[BROKEN] * 4),
    "the resource answers a page": last_reads(*[PAGE] * 3),
    "the resource answers a list": last_reads(*[(200, {}, ["a"])] * 3),
    "the resource failed": last_reads((200, {}, CREATING | {"properties": {"provisioningState": "Failed"}})),
    "the resource's properties are a text": last_reads((200, {}, READY | {"properties": "none"})),
    "the answer to the PUT is lost": puts_answer(*[NO_ANSWER] * 50),
    "the PUT answers 500 though it is taken": puts_answer(*[BROKEN] * 4),
    "the PUT is lost, and repeated meets itself": puts_answer(
        NO_ANSWER, (409, {}, {"error": {"code": "OperationInProgress", "message": "busy"}})
    ),
    "the PUT names no place to poll": puts_answer((202, {"Location": "::nowhere::", "Retry-After": "0"}, None)),
}
# Those after which the resource cannot be read either, or reads well: what is reported beside the id differs.
HARMLESS = {"the resource's properties are a text"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_create_that_arm_may_have_taken_is_told_to_the_engine_and_taken_over(
    azure: AzureNative, arm: FakeArm, fault: str
) -> None:
    FAULTS[fault](arm)
    if fault in HARMLESS:  # no state at all counts as final: nothing is lost, so nothing is reported
        assert azure.create(ACCOUNT, INPUTS, preview=False, timeout=60)[0] == ID
        return
    with pytest.raises(InitFailed) as caught:
        azure.create(ACCOUNT, INPUTS, preview=False, timeout=60)
    failure = caught.value
    assert failure.resource_id == ID
    assert failure.outputs["azureApiVersion"] == "2024-07-01"
    assert all(failure.reasons)
    next_up_takes_over(azure, arm, failure.outputs)


def next_up_takes_over(azure: AzureNative, arm: FakeArm, state: dict[str, Any]) -> None:
    """The engine updates what it recorded with an error; the service works again, and is still creating at first."""
    if arm.is_down:
        arm.restart()
    arm.forget_scripts()
    arm.resources[ID] = READY
    arm.script("GET", ID, (200, {"Retry-After": "0"}, CREATING), (200, {"Retry-After": "0"}, CREATING))
    arm.requests.clear()
    outputs = azure.update(ACCOUNT, ID, state, INPUTS, preview=False, timeout=60)
    assert outputs["provisioningState"] == "Succeeded"
    assert [method for method, _, _ in arm.requests] == ["GET", "GET", "GET", "PUT", "GET"]


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in HARMLESS])
def test_an_update_that_arm_may_have_taken_is_told_with_what_was_known(
    azure: AzureNative, arm: FakeArm, fault: str
) -> None:
    arm.resources[ID] = READY
    FAULTS[fault](arm)
    scripted = arm.scripted("GET", ID)
    if scripted:  # an update first looks at the resource; then the same faults follow
        scripted[0] = (200, {}, READY)
    with pytest.raises(InitFailed) as caught:
        azure.update(ACCOUNT, ID, {"accountEndpoint": "known"}, INPUTS, preview=False, timeout=60)
    assert caught.value.resource_id == ID
    assert caught.value.outputs


@pytest.mark.parametrize(
    ("status", "code"), [(400, "InvalidRequestBody"), (403, "AuthorizationFailed"), (409, "Conflict"), (404, "NoGroup")]
)
def test_what_arm_refused_is_no_half_made_resource(azure: AzureNative, arm: FakeArm, status: int, code: str) -> None:
    arm.script("PUT", ID, (status, {}, {"error": {"code": code, "message": "no"}}))
    with pytest.raises(ArmError, match=code):
        azure.create(ACCOUNT, INPUTS, preview=False, timeout=60)
    arm.resources[ID] = READY
    arm.script("PUT", ID, (status, {}, {"error": {"code": code, "message": "no"}}))
    with pytest.raises(ArmError, match=code):
        azure.update(ACCOUNT, ID, {"name": "acc"}, INPUTS, preview=False, timeout=60)


def test_a_refusal_that_leaves_a_resource_behind_is_told_all_the_same(azure: AzureNative, arm: FakeArm) -> None:
    def refused(fake: FakeArm) -> Answer:
        fake.resources[ID] = CREATING | {"properties": {"provisioningState": "Failed"}}
        return 400, {}, {"error": {"code": "DeploymentFailed", "message": "half way"}}

    put(arm, refused)
    with pytest.raises(InitFailed) as caught:
        azure.create(ACCOUNT, INPUTS, preview=False, timeout=60)
    assert caught.value.outputs["provisioningState"] == "Failed"


def test_a_failed_put_that_left_nothing_is_a_plain_error(azure: AzureNative, arm: FakeArm) -> None:
    arm.script("PUT", ID, *[BROKEN] * 4)
    with pytest.raises(PluginError) as caught:
        azure.create(ACCOUNT, INPUTS, preview=False, timeout=60)
    assert not isinstance(caught.value, InitFailed)


@dataclass
class Hanging:
    """A request that ARM has received and does not answer."""

    received: threading.Event
    answer: threading.Event

    def __call__(self, fake: FakeArm) -> Answer:
        self.received.set()
        self.answer.wait(30)
        return NO_ANSWER


@pytest.mark.parametrize("moment", ["PUT", "poll", "pause"])
def test_a_cancellation_ends_every_wait_and_keeps_the_resource(azure: AzureNative, arm: FakeArm, moment: str) -> None:
    hanging = Hanging(threading.Event(), threading.Event())
    if moment == "PUT":
        put(arm, hanging)
    elif moment == "poll":
        put(arm)
        arm.script("GET", "/operations/1", hanging)
    else:
        put(arm, lambda fake: (hanging.received.set(), accepted(fake, pause="3600"))[1])
    arm.script("GET", ID, NOTHING, (200, {}, CREATING))
    threading.Thread(target=lambda: hanging.received.wait(30) and azure.cancelled.set()).start()
    with pytest.raises(InitFailed, match="cancelled by the engine"):
        azure.create(ACCOUNT, INPUTS, preview=False, timeout=600_000)
    hanging.answer.set()


DELETE_FAULTS: dict[str, tuple[Answer, ...]] = {
    "the connection is lost": (NO_ANSWER,) * 50,
    "500": (BROKEN,) * 4,
    "403": ((403, {}, {"error": {"code": "AuthorizationFailed", "message": "no"}}),),
    "a page": (PAGE,) * 3,
}


@pytest.mark.parametrize("fault", DELETE_FAULTS)
@pytest.mark.parametrize("gone", [True, False], ids=["gone all the same", "still there"])
def test_a_deletion_whose_polls_fail_ends_by_reading_the_resource(
    azure: AzureNative, arm: FakeArm, fault: str, gone: bool
) -> None:
    arm.script("DELETE", ID, (202, {"Azure-AsyncOperation": f"{arm.url}/operations/9", "Retry-After": "0"}, None))
    arm.script("GET", "/operations/9", *DELETE_FAULTS[fault])
    if gone:
        azure.delete(ACCOUNT, ID, {}, timeout=60)
        return
    arm.resources[ID] = CREATING | {"properties": {"provisioningState": "Deleting"}}
    with pytest.raises(CloudError, match="accepted the deletion"):
        azure.delete(ACCOUNT, ID, {}, timeout=60)
    # The next run asks again, while Azure is still at it.
    arm.forget_scripts()
    arm.script("DELETE", ID, (409, {}, {"error": {"code": "Conflict", "message": "being deleted"}}))
    arm.script("GET", ID, (200, {"Retry-After": "0"}, arm.resources.pop(ID)))
    azure.delete(ACCOUNT, ID, {}, timeout=60)


def test_a_deletion_that_conflicts_with_something_else_is_refused_in_azures_words(
    azure: AzureNative, arm: FakeArm
) -> None:
    arm.resources[ID] = READY
    arm.script("DELETE", ID, (409, {}, {"error": {"code": "ScopeLocked", "message": "there is a lock"}}))
    with pytest.raises(ArmError, match="ScopeLocked"):
        azure.delete(ACCOUNT, ID, {}, timeout=60)
