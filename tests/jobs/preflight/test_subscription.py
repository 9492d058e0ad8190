"""What a subscription says before an `up`: asked of the local Azure's ARM, and of answers that it does not give."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from infra.settings import network
from jobs.command.parser import parse
from jobs.errors import Forbidden, NotFound, UsageError
from jobs.exits import Exit
from jobs.preflight import subscription as subscriptions
from jobs.preflight.finding import BAD, GOOD, WARNING, Finding
from jobs.preflight.plan import Plan, PlannedName, PlannedPool
from jobs.preflight.subscription import Subscription, before_up
from jobs.service.batch import PoolState
from jobs.service.connection import ClientSecret, Connection, NotDeployed
from jobs.service.rest import Rest
from jobs.verbs.help import doctor
from local.azure.batch.hooks import documents
from tests.azure.running import RunningAzure
from tests.jobs.fakes import outputs, stage
from tests.jobs.preflight.previews import preview

NOW = datetime(2026, 11, 27, tzinfo=UTC)
STORAGE, REGISTRY, BATCH = (
    "Microsoft.Storage/storageAccounts", "Microsoft.ContainerRegistry/registries", "Microsoft.Batch/batchAccounts",
)  # fmt: skip
PLAN = Plan(
    subscription_id="s",
    location="westeurope",
    group="rg-abp-dev",
    providers=("Microsoft.Batch", "Microsoft.Storage"),
    names=(PlannedName(STORAGE, "abpdev1"), PlannedName(REGISTRY, "abpdev1"), PlannedName(BATCH, "abpdev1")),
    pools=(),
)


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAzure]:
    home = tmp_path_factory.mktemp("azure")
    running = RunningAzure(home)
    documents.publish(running.cloud.types)
    with running:
        yield running


@pytest.fixture(scope="module")
def cloud(azure: RunningAzure) -> Connection:
    settings = azure.cloud.settings
    secret = ClientSecret(
        authority=azure.cloud.arm_url,
        tenant_id=settings.tenant_id,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
    )
    return Connection(
        batch_endpoint="",
        credential=secret,
        ca=azure.paths.ca,
        arm=azure.cloud.arm_url,
        subscription_id=settings.subscription_id,
    )


@pytest.fixture(scope="module")
def subscription(cloud: Connection) -> Subscription:
    return Subscription(Rest(cloud, cloud.arm), cloud.subscription_id, NOW)


@pytest.fixture(scope="module")
def put(azure: RunningAzure, cloud: Connection) -> Any:
    token = azure.credential().get_token("https://management.azure.com/.default").token

    def make(path: str, version: str, body: dict[str, Any]) -> None:
        url = f"{azure.cloud.arm_url}/subscriptions/{cloud.subscription_id}{path}?api-version={version}"
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.put(url, json=body, headers=headers, verify=str(azure.paths.ca), timeout=20)
        assert answer.status_code < 300, answer.text

    return make


def vcpus(count: int) -> dict[str, str]:
    return {"name": "vCPUs", "value": str(count)}


class CannedRest(Rest):
    """Answers by the last part of the path; an exception is raised."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def token(self, scope: str) -> str:
        return "token"

    def call(self, method: str, path: str, **_: Any) -> Any:
        self.asked.append(path)
        answer = self.answers[path.partition("?")[0].rpartition("/")[2]]
        if isinstance(answer, Exception):
            raise answer
        return answer, None


def outcomes(findings: Iterator[Finding]) -> list[tuple[str, str]]:
    """Check and outcome of each, every problem with a fix."""
    found = list(findings)
    assert all(bool(one.fix) == (one.outcome != GOOD) for one in found), found
    return [(one.check, one.outcome) for one in found]


def test_a_new_subscription_has_everything(subscription: Subscription) -> None:
    plan = replace(PLAN, group="rg-new", names=tuple(PlannedName(one.type, "abpnew1") for one in PLAN.names))
    assert {outcome for _, outcome in outcomes(before_up(subscription, plan))} == {GOOD}


def test_a_provider_is_asked_for_over_http_and_registering_it_mends(
    subscription: Subscription, cloud: Connection, azure: RunningAzure
) -> None:
    token = azure.credential().get_token("https://management.azure.com/.default").token
    path = f"{azure.cloud.arm_url}/subscriptions/{cloud.subscription_id}/providers/Microsoft.Insights"

    def post(verb: str) -> None:
        url, headers = f"{path}/{verb}?api-version=2021-04-01", {"Authorization": f"Bearer {token}"}
        assert requests.post(url, headers=headers, verify=str(azure.paths.ca), timeout=20).status_code == 200

    asked = ("Microsoft.Batch", "Microsoft.Insights")
    post("unregister")
    (finding,) = subscription.providers(asked)
    assert finding.what.startswith("Microsoft.Insights is Unregistered in subscription ")
    command = f"az provider register --namespace Microsoft.Insights --wait --subscription {cloud.subscription_id}"
    assert (finding.outcome, finding.fix) == (BAD, command)
    post("register")
    (finding,) = subscription.providers(asked)
    assert (finding.outcome, finding.what) == (GOOD, "all are registered: Microsoft.Batch, Microsoft.Insights")


ACCOUNT = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Batch/batchAccounts/abpdev3"
SUBNET = "/subscriptions/other/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub/subnets/batch"
SIZES = {
    "value": [
        {"name": "Standard_D4ads_v5", "familyName": "standardDADSv5Family", "capabilities": [vcpus(4)]},
        {"name": "Standard_DS3_v2", "familyName": "standardDSv2Family", "capabilities": [vcpus(4)]},
    ]
}
OLD = {
    "name": "default-0000",
    "properties": {
        "vmSize": "Standard_D4ads_v5",
        "scaleSettings": {"fixedScale": {"targetDedicatedNodes": 2}},
        "currentDedicatedNodes": 3,
        "currentLowPriorityNodes": 0,
    },
}
NEW = PlannedPool("default-1111", "STANDARD_D4ADS_V5", 3, 1)


def coming(quota: dict[str, Any], *pools: PlannedPool, account: str | None = ACCOUNT) -> list[Finding]:
    """What is reported of cores, where the account has `OLD` (12 dedicated cores) and `up` makes `pools`."""
    answers = {"abpdev3": {"properties": quota}, "pools": {"value": [OLD]}, "virtualMachineSkus": SIZES}
    plan = replace(PLAN, pools=pools, account_id=account)
    found = list(Subscription(CannedRest(answers), "s", NOW).cores(plan))
    outcomes(iter(found))
    return found


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ({"dedicatedCoreQuota": 24, "lowPriorityCoreQuota": 4}, [GOOD, GOOD]),
        ({"dedicatedCoreQuota": 23, "lowPriorityCoreQuota": 3}, [BAD, BAD]),
        ({"dedicatedCoreQuota": 99}, [GOOD]),
        ({"poolQuota": 1}, [BAD]),
        ({"poolQuota": 2}, []),
        ({}, []),
    ],
)
def test_cores_of_the_coming_generation_are_counted_beside_the_present_one(
    quota: dict[str, int], expected: list[str]
) -> None:
    assert [one.outcome for one in coming(quota, NEW)] == expected


def test_a_quota_of_a_vm_family_counts_where_azure_enforces_it() -> None:
    families = [{"name": "standarddadsv5family", "coreQuota": 20}, {"name": "standardDSv2Family", "coreQuota": 0}]
    quota = {"dedicatedCoreQuota": 100, "dedicatedCoreQuotaPerVMFamily": families}
    assert [one.outcome for one in coming(quota, NEW)] == [GOOD]
    total, family = coming(quota | {"dedicatedCoreQuotaPerVMFamilyEnforced": True}, NEW)
    assert total.outcome == GOOD
    assert family.outcome == BAD
    assert family.what == (
        "12 dedicated cores of standarddadsv5family are in use, up would ask for 12 more, and the quota is 20"
    )


def test_nothing_is_reported_of_cores_when_no_pool_is_made_and_a_formula_is_not_guessed() -> None:
    assert coming({"dedicatedCoreQuota": 0}) == []
    (finding,) = coming({"dedicatedCoreQuota": 99}, replace(NEW, dedicated=None, spot=None))
    assert (finding.outcome, "default-1111 may ask for cannot be read" in finding.what) == (WARNING, True)


def test_of_a_new_account_it_is_reported_that_its_quota_is_not_known() -> None:
    (finding,) = coming({}, NEW, account=None)
    assert finding.what == (
        "the pools ask for 12 dedicated and 4 spot cores. "
        "What a new Batch account may have is not known before it exists"
    )
    assert (finding.outcome, "doctor" in finding.fix) == (WARNING, True)


@pytest.mark.parametrize(
    ("subnet", "outcome", "words"),
    [
        ({"addressPrefix": "10.20.0.0/28"}, GOOD, "subnet batch has room for 11 nodes; 8 are asked for"),
        ({"addressPrefixes": ["10.20.0.0/29", "fd00::/64", "10.21.0.0/29"]}, BAD, "room for 6 nodes, and all pools"),
        ({"addressPrefix": "172.16.0.0/12"}, BAD, "172.16.0.0/12, and Docker uses 172.17.0.0/16 on every node"),
        ({"addressPrefix": "172.17.9.0/24"}, BAD, "172.17.9.0/24, and Docker uses 172.17.0.0/16 on every node"),
        (NotFound("no"), BAD, f"there is no subnet {SUBNET}"),
        (Forbidden("you may not read it"), WARNING, "you may not read it"),
    ],
)
def test_a_subnet_by_its_id_has_room_and_does_not_clash_with_dockers_bridge(
    subnet: Any, outcome: str, words: str
) -> None:
    pool = replace(NEW, subnet_id=SUBNET)
    answers = {"batch": subnet if isinstance(subnet, Exception) else {"properties": subnet}}
    rest = CannedRest(answers | {"quotas": {}, "batchAccounts": {}, "virtualMachineSkus": {}})
    plan = replace(PLAN, group=None, providers=(), names=(), all_pools=(pool, pool))
    (finding,) = (one for one in before_up(Subscription(rest, "s", NOW), plan) if one.check == "subnets")
    assert finding.outcome == outcome
    assert words in finding.what
    assert bool(finding.fix) == (outcome != GOOD)
    assert rest.asked[-1] == f"{SUBNET}?api-version=2024-05-01", "by its id: it may be in another subscription"


def test_dockers_network_is_one_fact_for_stack_files_and_for_doctor() -> None:
    doctors = (subscriptions.DOCKER_NETWORK, subscriptions.RESERVED_ADDRESSES)
    assert doctors == (network.DOCKER_NETWORK, network.AZURE_RESERVED_ADDRESSES)


def test_names_that_others_have_are_told(subscription: Subscription, put: Any) -> None:
    put("/resourcegroups/rg-abp-dev", "2021-04-01", {"location": "westeurope"})
    registry = "/resourceGroups/rg-abp-dev/providers/Microsoft.ContainerRegistry/registries/abpdev1"
    put(registry, "2023-07-01", {"location": "westeurope", "sku": {"name": "Basic"}})
    group, storage, taken, batch = subscription.names(PLAN)
    assert [one.outcome for one in (group, storage, taken, batch)] == [BAD, GOOD, BAD, GOOD]
    assert group.what == "resource group rg-abp-dev exists already, and is not this stack's"
    assert "pulumi import azure-native:resources:ResourceGroup group" in group.fix
    assert taken.what.startswith(f"abpdev1 ({REGISTRY}) cannot be had: ")
    assert "`prefix`" in taken.fix


@pytest.mark.parametrize(
    ("size", "outcome", "words"),
    [
        ("Standard_D4ads_v5", GOOD, "no end of its support is known"),
        ("standard_d2s_v3", GOOD, "no end of its support is known"),
        ("Standard_DS2_v2", GOOD, "supported until 2028-05-01"),
        ("Standard_D2_v3", BAD, "boots images of generation 1 only"),
        ("Standard_A2_v2", BAD, "boots images of generation 1 only"),
        ("Standard_NC6", BAD, "Batch offers no Standard_NC6 in westeurope: it is retired, misspelt, or not of this"),
    ],
)
def test_sizes_are_those_that_batch_has(subscription: Subscription, size: str, outcome: str, words: str) -> None:
    (finding,) = subscription.sizes([size, size], "westeurope")
    assert finding.outcome == outcome
    assert words in finding.what
    assert ("az batch location list-skus --location westeurope" in finding.fix) is (outcome != GOOD)


@pytest.mark.parametrize(("end", "outcome"), [("2026-11-26", BAD), ("2027-03-01", WARNING), ("2027-06-01", GOOD)])
def test_the_end_of_a_size_is_told_half_a_year_before(end: str, outcome: str) -> None:
    skus = {"value": [{"name": "Standard_X2_v1", "batchSupportEndOfLife": f"{end}T00:00:00Z"}]}
    (finding,) = Subscription(CannedRest({"virtualMachineSkus": skus}), "s", NOW).sizes(["Standard_X2_v1"], "w")
    assert (finding.outcome, finding.what) == (outcome, f"Standard_X2_v1: supported until {end}")


def test_sizes_may_come_in_pages() -> None:
    pages = {
        "virtualMachineSkus": {"value": [], "nextLink": "https://arm/second?page=2"},
        "second": {"value": [{"name": "Standard_X2_v1"}]},
    }
    (finding,) = Subscription(CannedRest(pages), "s", NOW).sizes(["STANDARD_X2_V1"], "w")
    assert finding.outcome == GOOD


def test_a_provider_that_is_not_registered_is_told_with_the_command() -> None:
    states = {"Microsoft.Batch": "Registered", "Microsoft.Insights": "NotRegistered"}
    rest = CannedRest({name: {"registrationState": state} for name, state in states.items()})
    (finding,) = Subscription(rest, "s", NOW).providers(states)
    assert finding.what == "Microsoft.Insights is NotRegistered in subscription s: nothing of it can be made"
    assert finding.fix == "az provider register --namespace Microsoft.Insights --wait --subscription s"


@pytest.mark.parametrize(("accounts", "outcome"), [(0, GOOD), (2, GOOD), (3, BAD)])
def test_batch_accounts_of_the_region_are_counted(accounts: int, outcome: str) -> None:
    every = [{"location": "westeurope"}] * accounts + [{"location": "northeurope"}]
    rest = CannedRest({"quotas": {"accountQuota": 3}, "batchAccounts": {"value": every}})
    assert outcomes(Subscription(rest, "s", NOW).accounts("westeurope")) == [("quotas", outcome)]


def test_what_may_not_be_asked_is_told_and_the_rest_goes_on() -> None:
    answers = {"Microsoft.Batch": Forbidden("you may not"), "quotas": {"accountQuota": 3}, "batchAccounts": {}}
    rest = CannedRest(answers | {"virtualMachineSkus": {}})
    plan = replace(PLAN, group=None, names=(), providers=("Microsoft.Batch",))
    assert outcomes(before_up(Subscription(rest, "s", NOW), plan)) == [("providers", WARNING), ("quotas", GOOD)]


def test_doctor_asks_about_the_first_up_of_a_stack_that_is_not_deployed(
    cloud: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(words)
        return subprocess.CompletedProcess(words, 0, json.dumps(preview()), "")

    monkeypatch.setattr(subprocess, "run", run)
    scene = stage()

    def find() -> Connection:
        raise NotDeployed(UsageError("no output"), "dev", cloud)

    scene.session.find_connection = find
    arguments = parse(["doctor", "--stack", "dev"])
    assert arguments.run(arguments, scene.session) == Exit.SERVICE  # a test above has made the group
    assert asked == [["pulumi", "preview", "--json", "--stack", "dev"]]
    said = scene.out.getvalue()
    assert said.startswith("warning  connection: stack dev is not deployed; what follows is about its first up\n")
    assert "bad      names: resource group rg-abp-dev exists already" in said
    assert "ok       sizes: Standard_D2ads_v5: no end of its support is known" in said


def test_with_preview_doctor_asks_about_the_next_up_too(cloud: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {})
    monkeypatch.setattr(
        subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, 0, json.dumps(preview("same")), "")
    )
    scene = stage()
    scene.session.find_connection = lambda: cloud
    for words, said in (("doctor", False), ("doctor --preview", True)):
        arguments = parse(words.split())
        assert arguments.run(arguments, scene.session) == Exit.OK
        assert ("providers: all are registered" in scene.out.getvalue()) is said


def test_doctor_looks_at_the_providers_and_sizes_of_a_deployed_stack(cloud: Connection) -> None:
    scene = stage()
    known = outputs(subscription_id=cloud.subscription_id, location="westeurope")
    scene.session.find_connection = lambda: replace(cloud, outputs=known)
    scene.batch.pools_known["default-1a2b"] = PoolState(id="default-1a2b", state="active", vm_size="STANDARD_D2_V3")
    scene.batch.pools_known["of-others"] = PoolState(id="of-others", state="active", vm_size="Standard_NC6")
    found = list(doctor.subscription(scene.session))
    assert [(one.check, one.outcome) for one in found] == [("providers", GOOD), ("sizes", BAD)]
    assert "STANDARD_D2_V3 boots images of generation 1 only" in found[1].what
