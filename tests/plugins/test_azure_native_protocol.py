"""The azure-native stand-in as the engine sees it: a process, gRPC, and a fake ARM behind it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from local.plugins.protocol.property_values import UNKNOWN, from_struct, to_struct
from tests.plugins.fake_arm import CLIENT, OBJECT, SUBSCRIPTION, TENANT, FakeArm
from tests.plugins.process import PLUGINS, Plugin, init_failed, message_of, refusal, urn

GROUP = "azure-native:resources:ResourceGroup"
POOL = "azure-native:batch:Pool"
ACCOUNT = "azure-native:batch:BatchAccount"
STORAGE = "azure-native:storage:StorageAccount"
SERVICE = "azure-native:storage:BlobServiceProperties"

GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
ACCOUNT_ID = f"{GROUP_ID}/providers/Microsoft.Batch/batchAccounts/acc"
POOL_ID = f"{ACCOUNT_ID}/pools/p1"
POOL_INPUTS = {
    "resourceGroupName": "rg",
    "accountName": "acc",
    "poolName": "p1",
    "vmSize": "STANDARD_D2S_V3",
    "userAccounts": [{"name": "admin", "password": "hunter2-pool", "elevationLevel": "Admin"}],
}
ACCOUNT_INPUTS = {"resourceGroupName": "rg", "accountName": "acc", "location": "westeurope"}


def test_the_first_line_is_the_port_and_an_interrupt_ends_the_process_cleanly(azure: Plugin):
    azure.stub.Cancel(empty_pb2.Empty())
    assert azure.process.poll() is None, "Cancel must not end the process"
    assert azure.stop() == 0


def test_the_plugin_reports_a_version_that_satisfies_the_pin(azure: Plugin):
    assert azure.stub.GetPluginInfo(empty_pb2.Empty()).version == "3.29.0+local"


def test_the_plugin_ends_when_its_engine_is_killed(tmp_path):
    code = (
        "import subprocess,sys,os;"
        "p=subprocess.Popen([sys.argv[1],'127.0.0.1:1'],stdout=subprocess.PIPE,process_group=0);"
        "print(p.stdout.readline().decode().strip(),p.pid,flush=True);sys.stdin.read()"
    )
    executable = PLUGINS / "azure-native" / "pulumi-resource-azure-native"
    engine = subprocess.Popen(
        [sys.executable, "-c", code, str(executable)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PULUMI_STANDIN_PYTHON": sys.executable},
    )
    assert engine.stdout
    pid = int(engine.stdout.readline().split()[1])
    watch = os.pidfd_open(pid)
    engine.kill()
    engine.communicate()
    ready = threading.Event()
    threading.Thread(target=lambda: (wait_for(watch), ready.set()), daemon=True).start()
    assert ready.wait(10), "the plugin outlived its engine"
    os.close(watch)


def wait_for(pidfd: int) -> None:
    select.select([pidfd], [], [])


def test_a_resource_is_created_flattened_and_named_by_its_arm_id(azure: Plugin, arm: FakeArm):
    id_, outputs = azure.create(POOL, POOL_INPUTS)
    assert id_ == POOL_ID
    assert outputs["vmSize"] == "STANDARD_D2S_V3"
    assert outputs["provisioningState"] == "Succeeded"
    assert outputs["azureApiVersion"] == "2024-07-01"
    assert "properties" not in outputs
    assert [m for m, _, _ in arm.requests] == ["GET", "PUT", "GET"]


def test_what_exists_already_is_not_created_over(azure: Plugin, arm: FakeArm):
    azure.create(POOL, POOL_INPUTS)
    error = refusal(lambda: azure.create(POOL, POOL_INPUTS))
    assert error.code() == grpc.StatusCode.ALREADY_EXISTS
    assert message_of(error) == f"cannot create already existing resource '{POOL_ID}'"
    assert len(arm.paths_of("PUT")) == 1


def test_a_singleton_that_comes_with_its_parent_is_adopted_and_never_deleted(azure: Plugin, arm: FakeArm):
    path = f"{GROUP_ID}/providers/Microsoft.Storage/storageAccounts/st/blobServices/default"
    arm.resources[path] = {"id": path, "name": "default", "properties": {}}
    inputs, failures = azure.check(
        SERVICE, {"resourceGroupName": "rg", "accountName": "st", "isVersioningEnabled": True}
    )
    assert not failures
    id_, outputs = azure.create(SERVICE, inputs)
    assert (id_, outputs["isVersioningEnabled"]) == (path, True)
    azure.delete(SERVICE, path)
    assert arm.paths_of("DELETE") == []


def test_a_preview_asks_the_cloud_nothing_and_knows_what_the_cloud_will_compute(azure: Plugin, arm: FakeArm):
    id_, outputs = azure.create(ACCOUNT, ACCOUNT_INPUTS, preview=True)
    assert id_ == ""
    assert outputs["accountEndpoint"] is UNKNOWN
    assert outputs["location"] == "westeurope"
    assert arm.requests == []


def test_the_preview_of_an_update_keeps_only_name_and_location_known(azure: Plugin):
    olds = {"name": "acc", "location": "westeurope", "accountEndpoint": "acc.example"}
    outputs = azure.update(ACCOUNT, ACCOUNT_ID, olds, ACCOUNT_INPUTS | {"tags": {"a": "b"}}, preview=True)
    assert (outputs["name"], outputs["location"], outputs["tags"]) == ("acc", "westeurope", {"a": "b"})
    assert outputs["accountEndpoint"] is UNKNOWN


def test_user_assigned_identities_come_back_as_a_map(azure: Plugin):
    identity = {"type": "UserAssigned", "userAssignedIdentities": [f"{GROUP_ID}/identities/i"]}
    _, planned = azure.create(ACCOUNT, ACCOUNT_INPUTS | {"identity": identity}, preview=True)
    _, real = azure.create(ACCOUNT, ACCOUNT_INPUTS | {"identity": identity})
    assert planned["identity"]["userAssignedIdentities"] == {f"{GROUP_ID}/identities/i": {}}
    assert real["identity"]["userAssignedIdentities"] == {f"{GROUP_ID}/identities/i": {}}


@pytest.mark.parametrize("header", ["Azure-AsyncOperation", "Location"])
def test_a_long_running_create_is_followed_to_its_end(azure: Plugin, arm: FakeArm, header: str):
    body = {"id": ACCOUNT_ID, "name": "acc", "properties": {"provisioningState": "Creating"}}
    arm.script("PUT", ACCOUNT_ID, (202, {header: f"{arm.url}/operations/1", "Retry-After": "0"}, body))
    waiting = {"status": "InProgress"} if header != "Location" else None
    finished = {"status": "Succeeded"} if header != "Location" else {}
    arm.script(
        "GET",
        "/operations/1",
        (202 if header == "Location" else 200, {"Retry-After": "0"}, waiting),
        (200, {}, finished),
    )
    arm.script("GET", ACCOUNT_ID, (404, {}, None))
    done = {"id": ACCOUNT_ID, "name": "acc", "properties": {"provisioningState": "Succeeded", "accountEndpoint": "e"}}
    arm.script("GET", ACCOUNT_ID, (200, {}, done))
    assert azure.create(ACCOUNT, ACCOUNT_INPUTS)[1]["accountEndpoint"] == "e"
    assert arm.paths_of("GET").count("/operations/1") == 2


def test_without_headers_the_provisioning_state_is_followed(azure: Plugin, arm: FakeArm):
    creating = {"id": ACCOUNT_ID, "name": "acc", "properties": {"provisioningState": "Creating"}}
    ready = {"id": ACCOUNT_ID, "name": "acc", "properties": {"provisioningState": "Succeeded"}}
    arm.script("PUT", ACCOUNT_ID, (201, {}, creating))
    arm.script("GET", ACCOUNT_ID, (404, {}, None), (200, {"Retry-After": "0"}, creating), (200, {}, ready))
    assert azure.create(ACCOUNT, ACCOUNT_INPUTS)[1]["provisioningState"] == "Succeeded"


def test_a_create_that_fails_half_way_tells_the_engine_the_id(azure: Plugin, arm: FakeArm):
    arm.script("PUT", ACCOUNT_ID, (202, {"Azure-AsyncOperation": f"{arm.url}/operations/1", "Retry-After": "0"}, None))
    failure = {"status": "Failed", "error": {"code": "QuotaExceeded", "message": "no more accounts"}}
    arm.script("GET", "/operations/1", (200, {}, failure))
    arm.script("GET", ACCOUNT_ID, (404, {}, None))
    arm.script("GET", ACCOUNT_ID, (200, {}, {"id": ACCOUNT_ID, "properties": {"provisioningState": "Failed"}}))
    detail = init_failed(refusal(lambda: azure.create(ACCOUNT, ACCOUNT_INPUTS)))
    assert detail.id == ACCOUNT_ID
    assert list(detail.reasons) == ['Status=200 Code="QuotaExceeded" Message="no more accounts"']
    assert from_struct(detail.properties)["provisioningState"] == "Failed"


def test_an_arm_error_is_worded_as_azure_native_words_it(azure: Plugin, arm: FakeArm):
    why = {"error": {"code": "PropertyCannotBeUpdated", "message": "One or more properties cannot be changed."}}
    azure.create(POOL, POOL_INPUTS)
    arm.script("PUT", POOL_ID, (400, {}, why))
    error = refusal(lambda: azure.update(POOL, POOL_ID, {}, POOL_INPUTS | {"vmSize": "other"}))
    expected = 'Status=400 Code="PropertyCannotBeUpdated" Message="One or more properties cannot be changed."'
    assert message_of(error) == expected


def test_an_error_never_repeats_a_password(azure: Plugin, arm: FakeArm):
    arm.script("PUT", POOL_ID, (400, {}, {"error": {"code": "InvalidRequestBody", "message": "no"}}))
    assert "hunter2" not in message_of(refusal(lambda: azure.create(POOL, POOL_INPUTS)))


def test_a_throttled_request_is_repeated_after_the_time_asked_for(azure: Plugin, arm: FakeArm):
    arm.script("PUT", POOL_ID, (429, {"Retry-After": "0"}, None), (503, {"Retry-After": "0"}, None))
    assert azure.create(POOL, POOL_INPUTS)[0] == POOL_ID
    assert len(arm.paths_of("PUT")) == 3


def test_a_restart_of_arm_is_waited_for(azure: Plugin, arm: FakeArm):
    azure.create(POOL, POOL_INPUTS)
    arm.stop()
    restart = threading.Timer(0.5, arm.restart)
    restart.start()
    outputs = azure.update(POOL, POOL_ID, {}, POOL_INPUTS | {"displayName": "after"})
    restart.join()
    assert outputs["displayName"] == "after"


def test_cancel_ends_a_wait_and_keeps_the_half_made_resource(azure: Plugin, arm: FakeArm):
    is_accepted = threading.Event()
    creating = {"id": ACCOUNT_ID, "name": "acc", "properties": {"provisioningState": "Creating"}}
    arm.script("PUT", ACCOUNT_ID, (202, {"Location": f"{arm.url}/operations/1", "Retry-After": "30"}, creating))
    arm.resources[ACCOUNT_ID] = creating
    arm.script("GET", ACCOUNT_ID, (404, {}, None))
    original = arm.answer

    def noting(method: str, *rest):
        try:
            return original(method, *rest)
        finally:
            if method == "PUT":
                is_accepted.set()

    arm.answer = noting  # type: ignore[method-assign]
    request = pb.CreateRequest(urn=urn(ACCOUNT), properties=to_struct(ACCOUNT_INPUTS))
    pending = azure.stub.Create.future(request)
    assert is_accepted.wait(10)
    azure.stub.Cancel(empty_pb2.Empty())
    with pytest.raises(grpc.RpcError) as caught:
        pending.result(timeout=10)
    assert init_failed(caught.value).id == ACCOUNT_ID


def test_reading_what_is_gone_gives_an_empty_id(azure: Plugin):
    assert azure.read(POOL, POOL_ID, {}, POOL_INPUTS)[0] == ""


def test_a_refresh_takes_over_drift_and_keeps_passwords_and_defaults_apart(azure: Plugin, arm: FakeArm):
    _, state = azure.create(POOL, POOL_INPUTS)
    live = arm.resources[POOL_ID]["properties"]
    live["displayName"] = "changed by hand"
    live["userAccounts"] = [{"name": "admin", "elevationLevel": "NonAdmin"}]
    state["userAccounts"] = [{"name": "admin", "elevationLevel": "Admin"}]
    _, outputs, inputs = azure.read(POOL, POOL_ID, state, POOL_INPUTS)
    assert outputs["displayName"] == inputs["displayName"] == "changed by hand"
    assert inputs["userAccounts"] == [{"name": "admin", "password": "hunter2-pool", "elevationLevel": "NonAdmin"}]


def test_an_import_derives_inputs_from_the_id_and_the_live_resource(azure: Plugin, arm: FakeArm):
    azure.create(POOL, POOL_INPUTS)
    id_, _, inputs = azure.read(POOL, POOL_ID, {}, None)
    assert id_ == POOL_ID
    assert inputs["poolName"] == "p1"
    assert inputs["vmSize"] == "STANDARD_D2S_V3"


def test_a_delete_is_followed_and_deleting_twice_is_no_failure(azure: Plugin, arm: FakeArm):
    azure.create(GROUP, {"resourceGroupName": "rg", "location": "westeurope"})
    accepted = {"Location": f"{arm.url}/operations/9", "Retry-After": "0"}
    arm.script("DELETE", GROUP_ID, (202, accepted, None), (404, {}, None))
    arm.script("GET", "/operations/9", (202, {"Retry-After": "0"}, None), (204, {}, None))
    azure.delete(GROUP, GROUP_ID)
    azure.delete(GROUP, GROUP_ID)
    assert arm.paths_of("GET").count("/operations/9") == 2


def test_invokes_tell_who_we_are_give_tokens_and_list_keys(azure: Plugin, arm: FakeArm):
    assert azure.invoke("azure-native:authorization:getClientConfig", {}) == {
        "clientId": CLIENT,
        "objectId": OBJECT,
        "subscriptionId": SUBSCRIPTION,
        "tenantId": TENANT,
    }
    token = azure.invoke(
        "azure-native:authorization:getClientToken", {"endpoint": "https://containerregistry.azure.net"}
    )
    assert token["token"].count(".") == 2
    assert "https://containerregistry.azure.net/.default" in arm.audiences[-1].split()
    keys = {"keys": [{"keyName": "key1", "value": "v"}]}
    account = f"{GROUP_ID}/providers/Microsoft.Storage/storageAccounts/st"
    arm.script("POST", f"{account}/listKeys", (200, {}, keys))
    args = {"resourceGroupName": "rg", "accountName": "st"}
    assert azure.invoke("azure-native:storage:listStorageAccountKeys", args) == keys


def test_unknown_types_and_functions_are_refused_by_name(azure: Plugin):
    _, failures = azure.check("azure-native:batch:Pol", {})
    assert "azure-native:batch:Pol;" in failures[0]
    assert "did you mean 'azure-native:batch:Pool'?" in failures[0]
    error = refusal(lambda: azure.invoke("azure-native:batch:getPool", {}))
    assert "azure-native:batch:getPool" in message_of(error)


def test_a_wrong_client_secret_is_told_in_entras_words(start: Callable[..., Plugin], cloud_settings: dict[str, str]):
    plugin = start("azure-native", **(cloud_settings | {"ARM_CLIENT_SECRET": "wrong"}))
    plugin.configure()
    error = refusal(lambda: plugin.create(GROUP, {"resourceGroupName": "rg", "location": "x"}))
    assert "AADSTS7000215" in message_of(error)
    assert "wrong" not in message_of(error)


def test_a_cloud_with_an_untrusted_certificate_is_refused_at_once(
    start: Callable[..., Plugin], cloud_settings: dict[str, str]
):
    trusting = {k: v for k, v in cloud_settings.items() if k not in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
    plugin = start("azure-native", **trusting)
    plugin.configure()
    error = refusal(lambda: plugin.create(GROUP, {"resourceGroupName": "rg", "location": "x"}))
    assert "SSL_CERT_FILE must name the cloud's CA" in message_of(error)


def test_without_a_metadata_host_the_stand_in_refuses(start: Callable[..., Plugin]):
    plugin = start("azure-native", ARM_SUBSCRIPTION_ID="s")
    error = refusal(plugin.configure)
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "only talks to a cloud named by ARM_METADATA_HOSTNAME" in message_of(error)


def test_a_mistyped_setting_is_named(azure: Plugin):
    answer = azure.stub.CheckConfig(pb.CheckRequest(urn=urn("p"), news=to_struct({"locaton": "x", "version": "3"})))
    assert from_struct(answer.inputs)["version"] == "3"
    [failure] = answer.failures
    assert failure.property == "locaton"
    assert "did you mean 'location'?" in failure.reason


def test_offline_previews_work_and_everything_else_is_refused(start: Callable[..., Plugin], tmp_path):
    file = tmp_path / "dev.yaml"
    file.write_text("subscriptionId: s\ntenantId: t\nclientId: c\nobjectId: o\nsecrets: {}\n")
    plugin = start("azure-native", PULUMI_STANDIN_OFFLINE=str(file), ARM_METADATA_HOSTNAME="127.0.0.1:1")
    plugin.configure(location="westeurope")
    assert plugin.invoke("azure-native:authorization:getClientConfig", {})["objectId"] == "o"
    inputs, failures = plugin.check(ACCOUNT, {"resourceGroupName": "rg"}, name="acc")
    assert not failures
    assert inputs["location"] == "westeurope"
    assert plugin.create(ACCOUNT, inputs, preview=True)[0] == ""
    calls = [
        lambda: plugin.create(ACCOUNT, inputs),
        lambda: plugin.update(ACCOUNT, ACCOUNT_ID, {}, inputs),
        lambda: plugin.read(ACCOUNT, ACCOUNT_ID, {}, inputs),
        lambda: plugin.delete(ACCOUNT, ACCOUNT_ID),
        lambda: plugin.invoke("azure-native:authorization:getClientToken", {}),
    ]
    for call in calls:
        error = refusal(call)
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "needs a cloud" in message_of(error)


def test_an_offline_file_without_the_ids_is_refused(start: Callable[..., Plugin], tmp_path):
    file = tmp_path / "dev.yaml"
    file.write_text("subscriptionId: s\n")
    plugin = start("azure-native", PULUMI_STANDIN_OFFLINE=str(file))
    assert "lacks tenantId, clientId, objectId" in message_of(refusal(plugin.configure))


def test_the_interrupt_signal_is_not_lost_while_a_create_is_waiting(azure: Plugin, arm: FakeArm):
    arm.script("PUT", ACCOUNT_ID, (202, {"Location": f"{arm.url}/operations/1", "Retry-After": "60"}, None))
    azure.stub.Create.future(pb.CreateRequest(urn=urn(ACCOUNT), properties=to_struct(ACCOUNT_INPUTS)))
    os.killpg(azure.process.pid, signal.SIGINT)
    assert azure.process.wait(5) == 0
