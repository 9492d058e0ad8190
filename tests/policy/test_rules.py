"""Each rule on plain data: what it lets pass, what it refuses and where, and what it leaves open."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from policy import lifecycles
from policy.resource_view import UNKNOWN, Resource, spelled
from policy.rule import Rule, Unjudged, Violation
from policy.rules import PROTECTED, REQUIRED_TAGS, RULES, TAGGED, is_prod

TODAY = date(2026, 11, 26)
DIGEST = "abp.azurecr.io/docker-worker@sha256:" + "0" * 64
SAFE_ACCOUNT = {"allowBlobPublicAccess": False, "allowSharedKeyAccess": False, "minimumTlsVersion": "TLS1_2"}
BY_IDENTITY = "BatchAccountManagedIdentity"


def rule(name: str) -> Rule:
    (found,) = [item for item in RULES if item.name == name]
    return found


def resource(kind: str, properties: dict[str, Any], *, stack: str = "dev", protect: bool = False) -> Resource:
    return Resource(type=f"azure-native:{kind}", name="it", stack=stack, properties=properties, protect=protect)


def judged(name: str, kind: str, properties: dict[str, Any], **more: Any) -> tuple[list[str], list[str]]:
    """Where the rule finds violations, and what it cannot judge."""
    findings = list(rule(name).findings(resource(kind, properties, **more), TODAY))
    return (
        [spelled(found.path) for found in findings if isinstance(found, Violation)],
        [spelled(found.path) for found in findings if isinstance(found, Unjudged)],
    )


def machine(**parts: Any) -> dict[str, Any]:
    return {"deploymentConfiguration": {"virtualMachineConfiguration": parts}}


def image(publisher: Any, offer: Any, sku: Any, agent: Any) -> dict[str, Any]:
    reference = {"publisher": publisher, "offer": offer, "sku": sku, "version": "latest"}
    return machine(imageReference=reference, nodeAgentSkuId=agent)


def inbound(*rules: dict[str, Any], port: Any = 22) -> dict[str, Any]:
    pool = {"backendPort": port, "networkSecurityGroupRules": list(rules)}
    return {"networkConfiguration": {"endpointConfiguration": {"inboundNatPools": [pool]}}}


def allow(source: Any, priority: int = 150) -> dict[str, Any]:
    return {"access": "Allow", "sourceAddressPrefix": source, "priority": priority}


DENY_ALL = {"access": "Deny", "sourceAddressPrefix": "*", "priority": 4000}
IMAGES = "deploymentConfiguration.virtualMachineConfiguration.containerConfiguration.containerImageNames"
REGISTRIES = "deploymentConfiguration.virtualMachineConfiguration.containerConfiguration.containerRegistries"
IMAGE = "deploymentConfiguration.virtualMachineConfiguration.imageReference"
AGENT = "deploymentConfiguration.virtualMachineConfiguration.nodeAgentSkuId"
NSG = "networkConfiguration.endpointConfiguration.inboundNatPools[0].networkSecurityGroupRules"


@pytest.mark.parametrize(
    ("name", "kind", "properties", "violations", "unjudged"),
    [
        ("registry-without-admin-user", "containerregistry:Registry", {"adminUserEnabled": False}, [], []),
        ("registry-without-admin-user", "containerregistry:Registry", {}, [], []),  # Azure's default is off
        (
            "registry-without-admin-user",
            "containerregistry:Registry",
            {"adminUserEnabled": True},
            ["adminUserEnabled"],
            [],
        ),
        (
            "registry-without-admin-user",
            "containerregistry:Registry",
            {"adminUserEnabled": UNKNOWN},
            [],
            ["adminUserEnabled"],
        ),
        (
            "registry-without-anonymous-pull",
            "containerregistry/v20230101preview:Registry",
            {"anonymousPullEnabled": True},
            ["anonymousPullEnabled"],
            [],
        ),
        ("registry-without-anonymous-pull", "containerregistry:Registry", {"anonymousPullEnabled": False}, [], []),
        ("storage-without-public-blobs", "storage:StorageAccount", SAFE_ACCOUNT, [], []),
        ("storage-without-public-blobs", "storage:StorageAccount", {}, ["allowBlobPublicAccess"], []),
        ("storage-without-public-blobs", "storage:BlobContainer", {"publicAccess": "None"}, [], []),
        ("storage-without-public-blobs", "storage:BlobContainer", {}, [], []),
        ("storage-without-public-blobs", "storage:BlobContainer", {"publicAccess": "Container"}, ["publicAccess"], []),
        ("storage-without-shared-keys", "storage:StorageAccount", SAFE_ACCOUNT, [], []),
        ("storage-without-shared-keys", "storage:StorageAccount", {}, ["allowSharedKeyAccess"], []),
        # A text is no boolean: "false" is not what turns keys off.
        (
            "storage-without-shared-keys",
            "storage:StorageAccount",
            {"allowSharedKeyAccess": "false"},
            ["allowSharedKeyAccess"],
            [],
        ),
        (
            "storage-without-shared-keys",
            "storage:StorageAccount",
            {"allowSharedKeyAccess": 0},
            ["allowSharedKeyAccess"],
            [],
        ),
        ("storage-with-tls-1-2", "storage:StorageAccount", SAFE_ACCOUNT, [], []),
        ("storage-with-tls-1-2", "storage:StorageAccount", {"minimumTlsVersion": "TLS1_3"}, [], []),
        ("storage-with-tls-1-2", "storage:StorageAccount", {}, ["minimumTlsVersion"], []),
        (
            "storage-with-tls-1-2",
            "storage:StorageAccount",
            {"minimumTlsVersion": UNKNOWN, "enableHttpsTrafficOnly": False},
            ["enableHttpsTrafficOnly"],
            ["minimumTlsVersion"],
        ),
        ("batch-with-entra-only", "batch:BatchAccount", {"allowedAuthenticationModes": ["AAD"]}, [], []),
        ("batch-with-entra-only", "batch:BatchAccount", {}, ["allowedAuthenticationModes"], []),
        (
            "batch-with-entra-only",
            "batch:BatchAccount",
            {"allowedAuthenticationModes": []},
            ["allowedAuthenticationModes"],
            [],
        ),
        (
            "batch-with-entra-only",
            "batch:BatchAccount",
            {"allowedAuthenticationModes": [UNKNOWN, "AAD", "TaskAuthenticationToken"]},
            ["allowedAuthenticationModes[2]"],
            ["allowedAuthenticationModes[0]"],
        ),
        (
            "batch-with-entra-only",
            "batch:BatchAccount",
            {"allowedAuthenticationModes": UNKNOWN},
            [],
            ["allowedAuthenticationModes"],
        ),
        (
            "batch-with-entra-only",
            "batch:BatchAccount",
            {"allowedAuthenticationModes": ["AAD"], "autoStorage": {"storageAccountId": UNKNOWN}},
            ["autoStorage.authenticationMode"],
            [],
        ),
        (
            "batch-with-entra-only",
            "batch:BatchAccount",
            {"allowedAuthenticationModes": ["AAD"], "autoStorage": {"authenticationMode": BY_IDENTITY}},
            [],
            [],
        ),
        (
            "pool-pulls-as-identity",
            "batch:Pool",
            machine(containerConfiguration={"containerRegistries": [{"identityReference": {"resourceId": UNKNOWN}}]}),
            [],
            [],
        ),
        (
            "pool-pulls-as-identity",
            "batch:Pool",
            machine(containerConfiguration={"containerRegistries": [UNKNOWN, {"userName": "u", "password": "p"}]}),
            [f"{REGISTRIES}[1].userName", f"{REGISTRIES}[1].password"],
            [f"{REGISTRIES}[0]"],
        ),
        (
            "pool-pulls-as-identity",
            "batch:Pool",
            {"startTask": {"containerSettings": {"registry": {"password": UNKNOWN}}}},
            ["startTask.containerSettings.registry.password"],
            [],
        ),
        ("pool-images-by-digest", "batch:Pool", {}, [], []),
        ("pool-images-by-digest", "batch:Pool", UNKNOWN, [], [IMAGES, "startTask.containerSettings.imageName"]),
        (
            "pool-images-by-digest",
            "batch:Pool",
            machine(containerConfiguration={"containerImageNames": [DIGEST, "worker:1", UNKNOWN, DIGEST[:-1]]}),
            [f"{IMAGES}[1]", f"{IMAGES}[3]"],
            [f"{IMAGES}[2]"],
        ),
        (
            "pool-images-by-digest",
            "batch:Pool",
            {"startTask": {"containerSettings": {"imageName": "busybox"}}},
            ["startTask.containerSettings.imageName"],
            [],
        ),
        (
            "pool-on-supported-nodes",
            "batch:Pool",
            image("microsoft-dsvm", "ubuntu-hpc", "2404", "batch.node.ubuntu 24.04"),
            [],
            [],
        ),
        (
            "pool-on-supported-nodes",
            "batch:Pool",
            image("Microsoft-DSVM", "Ubuntu-HPC", "2004", "Batch.Node.Ubuntu 20.04"),
            [AGENT, IMAGE],
            [],
        ),
        (
            "pool-on-supported-nodes",
            "batch:Pool",
            image("microsoft-azure-batch", "ubuntu-server-container", "20-04-lts", UNKNOWN),
            [IMAGE],
            [AGENT],
        ),
        (
            "pool-on-supported-nodes",
            "batch:Pool",
            image(UNKNOWN, "ubuntu-hpc", "2404", "batch.node.debian 9"),
            [AGENT],
            [IMAGE],
        ),
        # An image of one's own has an id instead of a publisher: the agent says on which system it is.
        (
            "pool-on-supported-nodes",
            "batch:Pool",
            machine(imageReference={"id": UNKNOWN}, nodeAgentSkuId="batch.node.centos 7"),
            [AGENT],
            [],
        ),
        ("pool-on-supported-nodes", "batch:Pool", {"vmSize": "Standard_A4"}, ["vmSize"], []),
        ("pool-on-supported-nodes", "batch:Pool", {"vmSize": "standard_nc24rs_v3"}, ["vmSize"], []),
        ("pool-on-supported-nodes", "batch:Pool", {"vmSize": "Standard_D4ads_v5"}, [], []),
        ("pool-on-supported-nodes", "batch:Pool", {"vmSize": "Standard_D2_v2"}, [], []),  # until 2028
        ("pool-on-supported-nodes", "batch:Pool", {"vmSize": UNKNOWN}, [], ["vmSize"]),
        (
            "pool-on-nodes-that-last",
            "batch:Pool",
            image("somebody", "some-offer", "1", "batch.node.bsd 1"),
            [AGENT, IMAGE],
            [],
        ),
        ("pool-without-open-login", "batch:Pool", {}, [], []),
        ("pool-without-open-login", "batch:Pool", inbound(allow("203.0.113.0/24"), DENY_ALL), [], []),
        ("pool-without-open-login", "batch:Pool", inbound(allow("*"), port=8080), [], []),
        ("pool-without-open-login", "batch:Pool", inbound(), [NSG], []),
        ("pool-without-open-login", "batch:Pool", inbound(allow("203.0.113.0/24")), [NSG], []),
        ("pool-without-open-login", "batch:Pool", inbound(port=3389), [NSG], []),
        *(
            (
                "pool-without-open-login",
                "batch:Pool",
                inbound(allow(prefix), DENY_ALL),
                [f"{NSG}[0].sourceAddressPrefix"],
                [],
            )
            for prefix in ("*", "0.0.0.0/0", "::/0", "Internet", "10.0.0.1/0")
        ),
        # Rules apply by priority, not in the order of the list: here the refusal comes first.
        ("pool-without-open-login", "batch:Pool", inbound(allow("*", 300), {**DENY_ALL, "priority": 200}), [], []),
        ("pool-without-open-login", "batch:Pool", inbound(allow(UNKNOWN), DENY_ALL), [], [f"{NSG}[0]"]),
    ],
)
def test_a_rule_finds_what_is_wrong_and_says_what_it_cannot_know(
    name: str, kind: str, properties: Any, violations: list[str], unjudged: list[str]
) -> None:
    if properties is UNKNOWN:
        properties = {"deploymentConfiguration": UNKNOWN, "startTask": UNKNOWN}
    assert judged(name, kind, properties) == (violations, unjudged)


@pytest.mark.parametrize(
    ("days", "mandatory", "advisory"),
    [(-181, [], []), (-180, [], ["vmSize"]), (0, [], ["vmSize"]), (1, ["vmSize"], [])],
)
def test_an_end_is_told_half_a_year_before_and_refused_after(
    days: int, mandatory: list[str], advisory: list[str]
) -> None:
    series = lifecycles.vm_series("Standard_D2_v2")
    assert series is not None
    today, pool = series.ends + timedelta(days=days), resource("batch:Pool", {"vmSize": "Standard_D2_v2"})
    for name, expected in (("pool-on-supported-nodes", mandatory), ("pool-on-nodes-that-last", advisory)):
        found = list(rule(name).findings(pool, today))
        assert [spelled(item.path) for item in found] == expected
        assert all(series.source in item.shown for item in found if isinstance(item, Violation))


@pytest.mark.parametrize("stack", ["prod", "prod-eu", "eu_production", "Prod"])
def test_stacks_of_production_are_known_by_their_name(stack: str) -> None:
    assert is_prod(stack)
    for kind in TAGGED:
        tags = {REQUIRED_TAGS[0]: UNKNOWN, REQUIRED_TAGS[1]: " "}
        expected = ([f"tags.{REQUIRED_TAGS[1]}"], [f"tags.{REQUIRED_TAGS[0]}"])
        assert judged("prod-is-tagged", kind, {"tags": tags}, stack=stack) == expected
        assert len(judged("prod-is-tagged", kind, {}, stack=stack)[0]) == len(REQUIRED_TAGS)
    for kind in PROTECTED:
        assert judged("prod-is-protected", kind, {}, stack=stack) == ([""], [])
        assert judged("prod-is-protected", kind, {}, stack=stack, protect=True) == ([], [])
    assert judged("prod-is-protected", "batch:Pool", {}, stack=stack) == ([], [])  # a release may replace it


@pytest.mark.parametrize("stack", ["dev", "local", "preprod", "products", "nonprod"])
def test_other_stacks_need_neither_tags_nor_protection(stack: str) -> None:
    assert judged("prod-is-tagged", "storage:StorageAccount", {}, stack=stack) == ([], [])
    assert judged("prod-is-protected", "storage:StorageAccount", {}, stack=stack) == ([], [])


@pytest.mark.parametrize(
    "token",
    [
        "azure-native:storage:StorageAccount",
        "azure-native:storage/v20240101:StorageAccount",
        "azure-native_storage_v20240101:storage:StorageAccount",
        "azure-native:storage/v20230501preview:StorageAccount",
    ],
)
def test_a_dated_module_or_package_does_not_escape_the_rules(token: str) -> None:
    account = Resource(type=token, name="it", stack="dev", properties={})
    assert list(rule("storage-without-shared-keys").findings(account, TODAY))


@pytest.mark.parametrize("token", ["docker:index/image:Image", "pulumi:pulumi:Stack", "batch-platform:Pool"])
def test_other_kinds_are_no_business_of_a_rule(token: str) -> None:
    other = Resource(type=token, name="it", stack="prod", properties={})
    assert [item.name for item in RULES if list(item.findings(other, TODAY))] == []


@pytest.mark.parametrize("item", RULES, ids=lambda item: item.name)
def test_texts_of_a_rule_are_sentences_and_its_name_is_one_word(item: Rule) -> None:
    assert item.name.replace("-", "").isalnum()
    assert item.name == item.name.lower()
    for text in (item.demand, item.reason):
        assert text[0].isupper()
        assert text.endswith(".")


def test_no_rule_falls_over_values_of_another_form() -> None:
    odd: list[Any] = [None, "", "x", 0, 1.5, True, [], [None], {}, {"x": None}, [[]], UNKNOWN, [UNKNOWN], [{}], ["x"]]
    keys = ("adminUserEnabled", "allowedAuthenticationModes", "autoStorage", "deploymentConfiguration", "startTask")
    keys += ("vmSize", "networkConfiguration", "tags", "minimumTlsVersion", "publicAccess")
    for item in RULES:
        for kind in item.kinds or {"batch:Pool"}:
            for value in odd:
                for key in keys:
                    list(item.findings(resource(kind, {key: value}, stack="prod"), TODAY))
                list(item.findings(resource(kind, machine(containerConfiguration=value), stack="prod"), TODAY))
                list(item.findings(resource(kind, machine(imageReference=value, nodeAgentSkuId=value)), TODAY))
                list(item.findings(resource(kind, inbound(value)), TODAY))
                list(item.findings(resource(kind, inbound({"priority": value, "access": value})), TODAY))
