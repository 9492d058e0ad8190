"""The pack as the real CLI runs it: every planted violation is refused, and the project's own stacks pass.

That dev and prod pass is proved by their golden previews (tests/ci/test_golden.py), which run with the pack.
"""

from __future__ import annotations

import re
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi_policy import EnforcementLevel
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError, unknown_checking_proxy

from ci import offline_preview
from policy.resource import UNKNOWN
from policy.rules import RULES
from tests.infra.recording import PASSWORDS, ROOT

PLANTED = Path(__file__).with_name("planted")
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess:
    """The preview of the program that breaks every rule, as a stack named prod."""
    folder = tmp_path_factory.mktemp("planted")
    offline_preview.prepare("prod", folder, main=PLANTED, settings={"azure-native:location": "westeurope"})
    return offline_preview.pulumi(
        folder,
        *("preview", "--stack", "prod", "--policy-pack", str(offline_preview.POLICY)),
        environment=offline_preview.offline("prod"),
    )


def refused(output: str) -> set[tuple[str, str, str]]:
    """Level, rule and resource of each line in the CLI's list of violations."""
    return set(re.findall(r"- \[(\w+)\]\s+(\S+)\s+\(\S+: (\S+)\)", output))


def test_the_cli_refuses_each_planted_violation_and_nothing_else(planted: subprocess.CompletedProcess) -> None:
    assert planted.returncode != 0
    assert {found for found in refused(planted.stdout) if found[0] == "mandatory"} == {
        ("mandatory", "registry-without-admin-user", "admin-user"),
        ("mandatory", "registry-without-anonymous-pull", "anonymous-pull"),
        ("mandatory", "storage-without-public-blobs", "public-blobs"),
        ("mandatory", "storage-without-public-blobs", "public-container"),
        ("mandatory", "storage-without-shared-keys", "shared-keys"),
        ("mandatory", "storage-with-tls-1-2", "old-tls"),
        ("mandatory", "storage-with-tls-1-2", "plain-http"),
        ("mandatory", "batch-with-entra-only", "account-keys"),
        ("mandatory", "batch-with-entra-only", "storage-by-key"),
        ("mandatory", "pool-pulls-as-identity", "registry-password"),
        ("mandatory", "pool-images-by-digest", "image-by-tag"),
        ("mandatory", "pool-on-supported-nodes", "old-image"),
        ("mandatory", "pool-on-supported-nodes", "old-size"),
        ("mandatory", "pool-without-open-login", "ssh-from-everywhere"),
        ("mandatory", "no-plain-secrets", "plain-secret"),
        ("mandatory", "prod-is-tagged", "untagged"),
        ("mandatory", "prod-is-protected", "unprotected"),
    }


def test_every_mandatory_rule_has_a_planted_violation(planted: subprocess.CompletedProcess) -> None:
    assert {rule for level, rule, _ in refused(planted.stdout) if level == "mandatory"} == {
        rule.name for rule in RULES if rule.mandatory
    }


def test_an_advisory_rule_tells_and_refuses_nothing(planted: subprocess.CompletedProcess) -> None:
    assert ("advisory", "pool-on-nodes-that-last", "unknown-image") in refused(planted.stdout)


def test_what_a_preview_does_not_know_is_said_and_not_taken_for_good(planted: subprocess.CompletedProcess) -> None:
    where = r"deploymentConfiguration\.virtualMachineConfiguration\.containerConfiguration\.containerImageNames\[0\]"
    said = re.findall(rf"can't run policy 'pool-images-by-digest' .*{where} can't be known", planted.stdout)
    assert len(said) == 2


def test_a_violation_reads_as_fact_cause_and_next_step(planted: subprocess.CompletedProcess) -> None:
    assert (
        "containerregistry:Registry 'admin-user': adminUserEnabled is true. Its password is one for everybody, has all "
        "rights and never ends. Next step: set admin_user_enabled=False."
    ) in planted.stdout


def test_a_refused_secret_is_not_shown(planted: subprocess.CompletedProcess) -> None:
    assert "startTask.environmentSettings[0].value is a plain value of 13 characters" in planted.stdout
    violations = planted.stdout.partition("Policies:")[2].partition("Diagnostics:")[0]
    assert violations
    assert "correct-horse" not in violations


def test_the_stack_local_passes(tmp_path: Path) -> None:
    template = yaml.safe_load((ROOT / "local" / "Pulumi.local.yaml").read_text())["config"]
    offline_preview.prepare("local", tmp_path, settings=template)
    words = [word for key, text in PASSWORDS.items() for word in ("--secret", f"{key}={text}")]
    assert offline_preview.pulumi(tmp_path, "config", "set-all", "--stack", "local", *words).returncode == 0
    done = offline_preview.pulumi(
        tmp_path,
        *("preview", "--stack", "local", "--policy-pack", str(offline_preview.POLICY)),
        environment=offline_preview.offline("dev"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert refused(done.stdout) == set()


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
