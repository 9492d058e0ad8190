"""Physical names: Azure's limits, the File Conventions vectors, and names that change exactly when they should."""

from __future__ import annotations

import re
import uuid

import pytest

from infra import naming
from infra.naming import Names

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


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


def test_pool_ids_change_with_content_and_not_with_order() -> None:
    first = naming.pool("default", {"a": 1, "b": {"c": [1, 2]}})
    assert first == naming.pool("default", {"b": {"c": [1, 2]}, "a": 1})
    assert first != naming.pool("default", {"a": 1, "b": {"c": [2, 1]}})
    assert re.fullmatch(r"default-[0-9a-f]{12}", first)


def test_the_longest_pool_name_that_settings_allow_fits_batch() -> None:
    longest = "p" * 51
    assert re.fullmatch(naming.POOL_PATTERN, longest)
    assert not re.fullmatch(naming.POOL_PATTERN, longest + "p")
    assert len(naming.pool(longest, {})) == 64


def test_a_pool_name_over_the_limit_is_refused_with_its_length() -> None:
    with pytest.raises(ValueError, match="65 characters, Batch allows 64"):
        naming.pool("p" * 52, {})


def test_fingerprints_depend_on_password_and_stack_and_show_neither() -> None:
    first = naming.fingerprint("a long password", "project/dev")
    assert first == naming.fingerprint("a long password", "project/dev")
    assert first != naming.fingerprint("a long passwork", "project/dev")
    assert first != naming.fingerprint("a long password", "project/prod")
    assert re.fullmatch(r"[0-9a-f]{32}", first)
