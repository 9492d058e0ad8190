"""Physical names: Azure's limits, the File Conventions vectors, and names that change exactly when they should."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid

import pytest

from infra import naming
from infra.monitoring.alerts import metric_alerts, query_alerts
from infra.naming import Names
from infra.settings.cloud import MonitoringSettings
from jobs.terminal.wording import NAME
from tests.infra.recording import ROOT

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
WORKSPACE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/l/providers/Microsoft.OperationalInsights/workspaces/logs"
MONITORING = MonitoringSettings.model_validate({"workspace_id": WORKSPACE, "emails": ["team@example.com"]})


@pytest.mark.parametrize(
    ("job_id", "container"),
    [
        ("MyTerrificJob", "job-myterrificjob"),
        ("my-_EVEN_MORE_-terrific-job", "job-my-even-more-te-68b05a7d8aa6aa65b9a6892c667a6c406a16ad65"),
        ("ab", "job-ab"),
        ("hello", "job-hello"),
        ("a" * 59, "job-" + "a" * 59),
    ],
)
def test_job_containers_follow_the_file_conventions_vectors(job_id: str, container: str) -> None:
    assert naming.job_container(job_id) == container


@pytest.mark.parametrize("job_id", ["a" * 60, "ends-", "-begins", "two--dashes", "under_score", "___", "A" * 64])
def test_other_job_ids_are_hashed_into_legal_container_names(job_id: str) -> None:
    name = naming.job_container(job_id)
    assert re.fullmatch(r"job-[a-z0-9](?:-?[a-z0-9])*-[0-9a-f]{40}", name)
    assert len(name) <= 63


@pytest.mark.parametrize("stack", ["dev", "prod", "pr-1234_feature.x", "A" * 80, "---"])
@pytest.mark.parametrize("prefix", ["ab", "abp", "a2345678"])
def test_names_keep_azure_limits_for_every_stack(prefix: str, stack: str) -> None:
    names = Names(prefix=prefix, stack=stack, subscription_id=SUBSCRIPTION)
    assert re.fullmatch(r"[a-z0-9]{3,24}", names.storage_account)
    assert re.fullmatch(r"[a-z0-9]{3,24}", names.batch_account)
    assert re.fullmatch(r"[a-zA-Z0-9]{5,50}", names.registry)
    assert re.fullmatch(r"[a-z0-9_-]{1,90}", names.resource_group)
    assert re.fullmatch(r"[a-z0-9_-]{3,128}", names.identity("account"))


def test_world_wide_names_differ_by_subscription_and_by_stack() -> None:
    def account(stack: str, subscription: str) -> str:
        return Names(prefix="abp", stack=stack, subscription_id=subscription).storage_account

    made = {account("dev", SUBSCRIPTION), account("dev", SUBSCRIPTION[::-1]), account("d-ev", SUBSCRIPTION)}
    assert len(made) == 3
    assert account("dev", SUBSCRIPTION) == account("dev", SUBSCRIPTION.upper())


def test_role_assignment_guids_are_deterministic_and_cover_scope_principal_and_role() -> None:
    first = naming.role_assignment("/scope", "principal", "/role")
    assert first == naming.role_assignment("/SCOPE", "Principal", "/role")
    assert uuid.UUID(first).version == 5
    others = {("/other", "principal", "/role"), ("/scope", "other", "/role"), ("/scope", "principal", "/other")}
    assert first not in {naming.role_assignment(*parts) for parts in others}


def test_generations_change_with_content_and_not_with_order() -> None:
    first = naming.generation({"a": 1, "b": {"c": [1, 2]}})
    assert first == naming.generation({"b": {"c": [1, 2]}, "a": 1})
    assert first != naming.generation({"a": 1, "b": {"c": [2, 1]}})
    assert re.fullmatch(r"[0-9a-f]{12}", first)


def test_the_longest_pool_name_that_settings_allow_fits_batch() -> None:
    longest = "p" * 51
    assert re.fullmatch(naming.POOL_PATTERN, longest)
    assert not re.fullmatch(naming.POOL_PATTERN, longest + "p")
    assert len(naming.pool(longest, naming.generation({}))) == naming.POOL_NAME_LIMIT


@pytest.mark.parametrize(
    ("size", "cores"),
    [
        ("Standard_D2ads_v5", 2),
        ("Standard_D16ads_v5", 16),
        ("Standard_NC24ads_A100_v4", 24),
        ("Standard_E8-2ads_v5", 2),
        ("Standard_D3_v2", None),
        ("Standard_A1", None),
    ],
)
def test_the_cores_of_a_size_are_in_its_name_from_version_3_on(size: str, cores: int | None) -> None:
    assert naming.cores(size) == cores


def test_fingerprints_depend_on_password_and_stack_and_show_neither() -> None:
    first = naming.fingerprint("a long password", "project/dev")
    assert first == naming.fingerprint("a long password", "project/dev")
    assert first != naming.fingerprint("a long passwork", "project/dev")
    assert first != naming.fingerprint("a long password", "project/prod")
    assert re.fullmatch(r"[0-9a-f]{32}", first)


def test_a_command_in_a_message_can_be_pasted_in_a_checkout_and_names_its_stack() -> None:
    assert naming.jobs_command("pools drain default-1a2b", "prod") == (
        f".venv/bin/{NAME} pools drain default-1a2b --stack prod"
    )
    shown = [
        re.findall(r"`([^`]+)`", alert.description)
        for alert in (*metric_alerts("prod"), *query_alerts(MONITORING, "prod"))
    ]
    assert all(command.endswith(" --stack prod") for (command,) in shown)
    for verb in sorted({command.split()[1] for (command,) in shown}):
        helped = subprocess.run(
            [sys.executable, "-m", "jobs", verb, "--help"], cwd=ROOT, capture_output=True, text=True
        )
        assert (helped.returncode, "--stack" in helped.stdout) == (0, True), verb


def test_no_message_of_the_program_writes_the_command_of_jobs_itself() -> None:
    written = [str(file) for file in (ROOT / "infra").rglob("*.py") if "python -m jobs" in file.read_text()]
    assert written == []
