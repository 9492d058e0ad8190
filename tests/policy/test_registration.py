"""How the rules are registered: levels, unknown values, and which values count as secret."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi_policy import EnforcementLevel
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError, unknown_checking_proxy

from policy.resource_view import UNKNOWN
from policy.rules import RULES
from tests.infra.recording import ROOT

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


@pytest.fixture(scope="module")
def pack() -> dict[str, Any]:
    """The names of policy/__main__.py, without starting the pack."""
    return runpy.run_path(str(ROOT / "policy"), run_name="policy_pack")


def test_every_rule_is_registered_with_its_name_demand_and_level(pack: dict[str, Any]) -> None:
    policies = [pack["registered"](rule, pack["Marks"]()) for rule in RULES]
    assert [(policy.name, policy.description) for policy in policies] == [(rule.name, rule.demand) for rule in RULES]
    for rule, policy in zip(RULES, policies, strict=True):
        assert (policy.enforcement_level is EnforcementLevel.ADVISORY) is not rule.mandatory


def test_no_two_rules_have_one_name() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) >= 10


def test_the_manual_has_the_rules_as_they_are() -> None:
    text = (ROOT / "docs" / "policy.md").read_text()
    assert re.findall(r"^\| `.*$", text, re.MULTILINE) == [
        f"| `{rule.name}` | {rule.demand} | {rule.reason} | {'refused' if rule.mandatory else 'told'} |"
        for rule in RULES
    ]


def test_unknown_values_of_the_sdk_become_marks(pack: dict[str, Any]) -> None:
    seen = unknown_checking_proxy({"a": UNKNOWN_STRING_VALUE, "b": [1, UNKNOWN_STRING_VALUE], "c": {"d": "known"}})
    assert pack["plain"](seen) == {"a": UNKNOWN, "b": [1, UNKNOWN], "c": {"d": "known"}}


def wire(urn: str, properties: dict[str, Any], *, marked: bool) -> Any:
    """What the SDK gives a validation, or, with secrets marked, a remediation."""

    class Args:
        resource_type, name = "azure-native:batch:Pool", "pool"
        opts = type("Options", (), {"protect": False})

    args = Args()
    args.urn = urn  # type: ignore[attr-defined]
    args.props = unknown_checking_proxy(deserialize_properties(properties, marked))  # type: ignore[attr-defined]
    return args


@pytest.fixture
def judge(pack: dict[str, Any]) -> Callable[..., list[str]]:
    """Run the rule about secrets as the engine does: remediation, then validation."""
    (rule,) = [rule for rule in RULES if rule.name == "no-plain-secrets"]

    def run(properties: dict[str, Any], *, remediated: bool = True) -> list[str]:
        policy, said = pack["registered"](rule, pack["Marks"]()), []
        urn = "urn:pulumi:dev::project::azure-native:batch:Pool::pool"
        if remediated:
            assert policy.remediate(wire(urn, properties, marked=True)) is None
        policy.validate(wire(urn, properties, marked=False), lambda message, _: said.append(message))
        return said

    return run


@pytest.mark.parametrize(
    "properties",
    [
        {"password": {**SECRET, "value": "correct-horse"}},
        {"users": {**SECRET, "value": [{"password": "correct-horse"}]}},
        {"users": [{"password": {**SECRET, "value": "correct-horse"}}]},
        {"deep": {"er": {"password": {**SECRET, "value": "correct-horse"}}}},
    ],
)
def test_a_value_that_is_marked_as_secret_anywhere_above_passes(
    judge: Callable[..., list[str]], properties: dict[str, Any]
) -> None:
    assert judge(properties) == []
    assert len(judge(properties, remediated=False)) == 1  # without the marks nothing counts as secret


def test_a_secret_beside_a_plain_one_does_not_hide_it(judge: Callable[..., list[str]]) -> None:
    users = [{"password": {**SECRET, "value": "one-of-them"}}, {"password": "other-one"}]
    (message,) = judge({"users": users})
    assert "users[1].password is a plain value of 9 characters" in message
    assert "other-one" not in message


def test_known_violations_are_reported_before_the_unknown_is_said(pack: dict[str, Any]) -> None:
    (rule,) = [rule for rule in RULES if rule.name == "pool-on-supported-nodes"]
    properties = {
        "vmSize": "Standard_A1",
        "deploymentConfiguration": {"virtualMachineConfiguration": {"nodeAgentSkuId": UNKNOWN_STRING_VALUE}},
    }
    said: list[str] = []
    with pytest.raises(UnknownValueError):
        pack["registered"](rule, pack["Marks"]()).validate(
            wire("urn:pulumi:dev::project::azure-native:batch:Pool::pool", properties, marked=False),
            lambda message, _: said.append(message),
        )
    assert ["vmSize is 'Standard_A1'" in message for message in said] == [True]


def test_the_pack_needs_no_newer_sdk_than_the_program() -> None:
    assert pulumi.runtime.rpc.UNKNOWN == UNKNOWN_STRING_VALUE
