"""The pack as the real CLI runs it: every planted violation is refused, and the stack "local" passes.

That dev and prod pass is proved by their golden previews (tests/ci/test_previews.py), which run with the pack.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from local.deployment import offline, project
from local.deployment.project import Stack
from policy.rules import RULES
from tests.infra.recording import PASSWORDS, ROOT

pytestmark = pytest.mark.thorough

PLANTED = Path(__file__).with_name("planted")
OFFLINE = {offline.VARIABLE: str(offline.PLACEHOLDERS / "dev.yaml")}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The preview of the program that breaks every rule, as a stack named prod."""
    stack = Stack("prod", tmp_path_factory.mktemp("planted"), OFFLINE, PLANTED)
    offline.prepare_stack(stack, {"config": {"azure-native:location": "westeurope"}}, {})
    return previewed(stack)


def previewed(stack: Stack) -> subprocess.CompletedProcess[str]:
    return project.capture(stack, "preview", "--policy-pack", str(project.POLICY))


def refused(output: str) -> set[tuple[str, str, str]]:
    """Level, rule and resource of each line in the CLI's list of violations."""
    return set(re.findall(r"- \[(\w+)\]\s+(\S+)\s+\(\S+: (\S+)\)", output))


def test_the_cli_refuses_each_planted_violation_and_nothing_else(planted: subprocess.CompletedProcess[str]) -> None:
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


def test_every_mandatory_rule_has_a_planted_violation(planted: subprocess.CompletedProcess[str]) -> None:
    assert {rule for level, rule, _ in refused(planted.stdout) if level == "mandatory"} == {
        rule.name for rule in RULES if rule.mandatory
    }


def test_an_advisory_rule_tells_and_refuses_nothing(planted: subprocess.CompletedProcess[str]) -> None:
    assert ("advisory", "pool-on-nodes-that-last", "unknown-image") in refused(planted.stdout)


def test_what_a_preview_does_not_know_is_said_and_not_taken_for_good(planted: subprocess.CompletedProcess[str]) -> None:
    where = r"deploymentConfiguration\.virtualMachineConfiguration\.containerConfiguration\.containerImageNames\[0\]"
    said = re.findall(rf"can't run policy 'pool-images-by-digest' .*{where} can't be known", planted.stdout)
    assert len(said) == 2


def test_a_violation_reads_as_fact_cause_and_next_step(planted: subprocess.CompletedProcess[str]) -> None:
    assert (
        "containerregistry:Registry 'admin-user': adminUserEnabled is true. Its password is one for everybody, has all "
        "rights and never ends. Next step: set admin_user_enabled=False."
    ) in planted.stdout


def test_a_refused_secret_is_not_shown(planted: subprocess.CompletedProcess[str]) -> None:
    assert "startTask.environmentSettings[0].value is a plain value of 13 characters" in planted.stdout
    violations = planted.stdout.partition("Policies:")[2].partition("Diagnostics:")[0]
    assert violations
    assert "correct-horse" not in violations


def test_the_stack_local_passes(tmp_path: Path) -> None:
    template = yaml.safe_load((ROOT / "local" / "Pulumi.local.yaml").read_text())["config"]
    stack = Stack("local", tmp_path, OFFLINE)
    offline.prepare_stack(stack, {"config": template}, PASSWORDS)
    done = previewed(stack)
    assert done.returncode == 0, done.stdout + done.stderr
    assert refused(done.stdout) == set()
