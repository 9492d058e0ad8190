"""The bootstrap's program: state and keys nobody loses, an identity for each GitHub environment, and least roles."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from bootstrap.rights import ALL_ENVIRONMENTS, assignment_condition
from bootstrap.settings import Environment, SettingsError, exposed_by
from infra.access.roles import Role
from tests.bootstrap.program import OF_PROD, bootstrap
from tests.infra.recording import SUBSCRIPTION, Run


@pytest.fixture(scope="module")
def run() -> Run:
    return bootstrap()


def test_each_environment_has_an_identity_that_github_can_only_use_from_there(run: Run) -> None:
    subjects = {
        one.inputs["resourceName"]: one.inputs["subject"] for one in run.of_type(":FederatedIdentityCredential")
    }
    names = ("preview", "drift", "destroy", "dev", "prod")
    assert subjects == {f"id-abp-ci-{name}": f"repo:team/platform:environment:{name}" for name in names}
    for one in run.of_type(":FederatedIdentityCredential"):
        assert one.inputs["issuer"] == "https://token.actions.githubusercontent.com"
        assert one.inputs["audiences"] == ["api://AzureADTokenExchange"]


def test_a_repository_with_ids_in_its_subject_is_named_so() -> None:
    made = bootstrap(subject="repo:team@1/platform@2")
    assert {
        one.inputs["subject"].partition(":environment:")[0] for one in made.of_type(":FederatedIdentityCredential")
    } == {"repo:team@1/platform@2"}


def test_an_enterprise_with_an_issuer_of_its_own_names_it() -> None:
    issuer = "https://token.actions.githubusercontent.com/our-enterprise"
    made = bootstrap(issuer=issuer)
    assert {one.inputs["issuer"] for one in made.of_type(":FederatedIdentityCredential")} == {issuer}


def test_state_is_reached_by_tokens_only_and_comes_back_when_it_is_deleted(run: Run) -> None:
    account = run.only("storage:StorageAccount").inputs
    assert account["allowSharedKeyAccess"] is False and account["allowBlobPublicAccess"] is False
    assert account["minimumTlsVersion"] == "TLS1_2"
    recovery = run.only("storage:BlobServiceProperties").inputs
    assert recovery["isVersioningEnabled"] is True
    assert (
        recovery["deleteRetentionPolicy"] == recovery["containerDeleteRetentionPolicy"] == {"enabled": True, "days": 90}
    )


def test_keys_are_for_each_environment_in_a_vault_that_cannot_be_purged(run: Run) -> None:
    vault = run.only("keyvault:Vault").inputs["properties"]
    assert vault["enableRbacAuthorization"] and vault["enablePurgeProtection"] and vault["enableSoftDelete"]
    assert {one.inputs["keyName"] for one in run.of_type("keyvault:Key")} == {"pulumi-dev", "pulumi-prod"}
    assert run.outputs["secrets_providers"]["dev"].endswith(".vault.azure.net/keys/pulumi-dev")


def test_no_identity_has_a_role_twice_on_one_scope(run: Run) -> None:
    for made in (run, bootstrap(environments={name: {"subscription_id": SUBSCRIPTION} for name in ("dev", "prod")})):
        given = Counter(
            (one.inputs["principalId"], one.inputs["roleDefinitionId"].rpartition("/")[2], one.inputs["scope"])
            for one in made.of_type(":RoleAssignment")
        )
        assert [key for key, count in given.items() if count > 1] == []
        names = Counter(one.inputs["roleAssignmentName"] for one in made.of_type(":RoleAssignment"))
        assert max(names.values()) == 1


def test_who_deploys_an_environment_has_no_right_to_change_another(run: Run) -> None:
    for one in run.of_type(":RoleAssignment"):
        if one.inputs["principalId"] == "principal-of-id-abp-ci-dev":
            assert OF_PROD not in one.inputs["scope"] and "prod" not in one.inputs["scope"]


def test_pipelines_assign_only_the_roles_that_the_program_assigns(run: Run) -> None:
    admins = [one.inputs for one in run.of_type(":RoleAssignment") if one.inputs.get("condition")]
    assert len(admins) == 4  # destroy in both subscriptions, dev, prod
    for one in admins:
        assert one["roleDefinitionId"].endswith("f58310d9-a9f6-439a-9e8d-f62e7b41a168")
        assert one["conditionVersion"] == "2.0"
    ids = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", assignment_condition()))
    assert ids == {role.value for role in Role}
    owner, self_made = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "f58310d9-a9f6-439a-9e8d-f62e7b41a168"
    assert not {owner, self_made} & ids
    assert not [one for one in run.of_type(":RoleAssignment") if one.inputs["roleDefinitionId"].endswith(owner)]


def test_the_variables_of_every_github_environment_are_printed_and_hold_no_secret(run: Run) -> None:
    printed = run.outputs["github_variables"]
    assert set(printed) == {name for name, _ in ALL_ENVIRONMENTS} | {"dev", "prod"}
    assert printed["dev"]["PULUMI_BACKEND_URL_DEV"].startswith("azblob://state-dev?storage_account=abpstate")
    assert "PULUMI_BACKEND_URL_PROD" not in printed["dev"] and "PULUMI_BACKEND_URL_PROD" in printed["preview"]
    assert printed["prod"]["AZURE_SUBSCRIPTION_ID_PROD"] == OF_PROD
    assert run.secret_outputs == set()


def test_an_environment_in_the_subscription_of_the_states_is_warned_of() -> None:
    environments = {"dev": Environment(subscription_id=SUBSCRIPTION), "prod": Environment(subscription_id=OF_PROD)}
    assert (exposed_by(environments, SUBSCRIPTION.upper()) or "").startswith("dev deploys to the subscription")
    assert exposed_by(environments, "cccccccc-0000-4000-8000-000000000000") is None


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no repository": ({"repository": "platform"}, "repository"),
    "a reserved name": ({"environments": {"preview": {"subscription_id": SUBSCRIPTION}}}, "cannot be an environment"),
    "no subscription": ({"environments": {"dev": {"subscription_id": "mine"}}}, "environments.dev.subscription_id"),
    "an image from nowhere": (
        {"environments": {"dev": {"subscription_id": SUBSCRIPTION, "image_from": "test"}}},
        "no other environment",
    ),
    "another repository's subject": ({"subject": "team/platform"}, "subject"),
    "an issuer that never matches": ({"issuer": "https://github.example.org/"}, "issuer"),
    "an issuer without TLS": ({"issuer": "http://github.example.org"}, "issuer"),
    "an unknown key": ({"environments": {"dev": {"subscription_id": SUBSCRIPTION, "extra": "x"}}}, "extra"),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_that_cannot_be_used_are_refused_before_anything_is_made(name: str) -> None:
    changes, told = WRONG[name]
    with pytest.raises(SettingsError, match=re.escape(told)):
        bootstrap(**changes)
