"""Settings: what is wrong is said once, all together, by YAML key, with what was expected, what came and what to do."""

from __future__ import annotations

import re
from typing import Any

import pulumi
import pytest
from pydantic import ValidationError

from infra.settings.cloud import SQL_SERVER_PATTERN
from infra.settings.people import PrincipalType, SubmitterRole
from infra.settings.problems import SettingsError
from infra.settings.stack import Settings, yaml_keys
from tests.infra.recording import PASSWORDS, PROJECT, CloudMocks, Run, set_config, stack_config
from worker.docker_worker import settings as worker_settings
from worker.docker_worker.errors import SettingsError as SettingsOfWorkerError


@pytest.fixture(autouse=True)
def stack() -> None:
    """A stack named dev, without any program."""
    pulumi.runtime.set_mocks(CloudMocks(Run()), project=PROJECT, stack="dev")


def changed(**changes: Any) -> dict[str, Any]:
    """The dev stack's config with users and other values.

    `sql__server=...` changes one key of a section, `pool__x=...` one of the default pool; None removes it.
    """
    config: dict[str, Any] = stack_config("dev") | {"users": {}} | PASSWORDS
    for path, value in changes.items():
        *sections, key = re.sub("^pool__", "pools__default__", path).split("__")
        place: Any = config
        for section in sections:
            place[section] = dict(place.get(section, {}))
            place = place[section]
        if value is None:
            del place[key]
        else:
            place[key] = value
    return config


def load(**changes: Any) -> Settings:
    set_config(changed(**changes))
    return Settings.load(pulumi.Config())


def refused(**changes: Any) -> str:
    """The whole message for a changed config."""
    with pytest.raises(SettingsError) as error:
        load(**changes)
    assert str(error.value) == error.value.user_message
    return error.value.user_message


@pytest.mark.parametrize("name", ["dev", "prod", "local", "full"])
def test_the_stacks_of_this_repository_are_valid(name: str) -> None:
    set_config(stack_config(name))
    settings = Settings.load(pulumi.Config())
    assert {"hello", "sql-check"} <= set(settings.families)


def test_the_local_stack_has_two_nodes_with_two_slots() -> None:
    set_config(stack_config("local"))
    settings = Settings.load(pulumi.Config())
    pool = settings.pools["default"]
    assert pool.scale.fixed is not None
    assert (pool.scale.fixed.dedicated_nodes, pool.task_slots_per_node) == (2, 2)
    assert [submitter.object_id for submitter in settings.submitters] == ["deployer"]


@pytest.mark.parametrize("name", ["dev", "prod", "local", "full"])
def test_stack_files_use_only_keys_that_settings_know(name: str) -> None:
    assert set(stack_config(name)) <= set(yaml_keys())


def test_prefetch_is_off_unless_a_stack_turns_it_on() -> None:
    assert load().pools["default"].prefetch_worker_image is False


def test_a_value_out_of_range_names_key_expectation_value_file_and_fix() -> None:
    assert refused(pool__scale__fixed__dedicated_nodes=250) == (
        "1 problem in the settings (Pulumi.dev.yaml):\n"
        "  pools.default.scale.fixed.dedicated_nodes: expected a whole number 0..100, got 250; "
        "change it or raise MAX_NODES in infra/settings/types.py"
    )


def test_all_problems_come_at_once() -> None:
    message = refused(
        pool__scale__fixed__dedicated_nodes=-1, sql__database="", location="", nonsense="1", adminPassword=None
    )
    assert message.startswith("5 problems in the settings (Pulumi.dev.yaml):")
    assert len(re.findall(r"^  \S+: expected", message, re.MULTILINE)) == 5


@pytest.mark.parametrize("key", sorted(PASSWORDS))
def test_a_missing_secret_names_the_command_that_sets_it(key: str) -> None:
    assert f"{key}: expected at least 12 characters, but it is missing; run `pulumi config set --secret {key}`" in (
        refused(**{key: None})
    )


def test_a_secret_in_clear_text_is_refused_and_not_repeated() -> None:
    set_config(changed(), secret=("userPassword",))
    with pytest.raises(SettingsError) as error:
        Settings.load(pulumi.Config())
    assert "adminPassword: expected an encrypted value, got one in clear text" in error.value.user_message
    assert "pulumi config set --secret adminPassword" in error.value.user_message
    assert PASSWORDS["adminPassword"] not in error.value.user_message


def test_a_short_secret_is_refused_without_showing_it() -> None:
    message = refused(adminPassword="hunter2")
    assert "adminPassword: expected at least 12 characters, got one of 7; pulumi config set --secret" in message
    assert "hunter2" not in message


def test_config_from_the_language_hosts_environment_is_read_and_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    set_config(changed(location=None))
    monkeypatch.setenv("PULUMI_CONFIG", f'{{"{PROJECT}:location": "northeurope", "{PROJECT}:colour": "red"}}')
    with pytest.raises(SettingsError, match="colour: expected one of") as error:
        Settings.load(pulumi.Config())
    assert "location" not in [problem.key for problem in error.value.problems]


def test_other_namespaces_are_not_ours_to_judge() -> None:
    set_config(stack_config("dev"))
    pulumi.runtime.set_config("azure-native:subscriptionId", "whatever")
    assert Settings.load(pulumi.Config()).location == "westeurope"


@pytest.mark.parametrize("key", ["azure-batch-plattform:protect", "azure-batch:protect", "dev:protect"])
def test_a_setting_under_another_name_than_the_projects_is_not_passed_over(key: str) -> None:
    set_config(stack_config("dev"))
    pulumi.runtime.set_config(key, "true")
    with pytest.raises(SettingsError) as error:
        Settings.load(pulumi.Config())
    assert str(error.value.problems[0]) == (
        f"{key}: expected azure-batch-platform:protect, "
        f"got another namespace, {key.partition(':')[0]}, which nobody reads; write protect"
    )


@pytest.mark.parametrize("since", ["2026-12-01", "2026-12-01 00:00:00 +0000 UTC", "2026-12-01T00:00:00Z"])
def test_a_date_needs_no_quotes(since: str) -> None:
    """Pulumi hands one without them on with a time."""
    config = stack_config("full")
    config["monitoring"]["budget"]["since"] = since
    set_config(config)
    monitoring = Settings.load(pulumi.Config()).monitoring
    assert monitoring is not None and monitoring.budget is not None
    assert str(monitoring.budget.since) == "2026-12-01"


def test_settings_error_ends_a_program_without_a_traceback() -> None:
    assert issubclass(SettingsError, pulumi.RunError)


def test_settings_are_frozen_and_keep_passwords_out_of_sight() -> None:
    settings = load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.location = "elsewhere"  # type: ignore[misc]
    shown = repr(settings) + str(settings) + settings.model_dump_json()
    assert not [password for password in PASSWORDS.values() if password in shown]


def test_submitters_are_named_or_the_deployer_on_purpose() -> None:
    (deployer,) = load(submitters="deployer").submitters
    assert deployer.role is SubmitterRole.OPERATE
    assert deployer.resolved("me", "04b07795-8ddb-461a-bbee-02f9e1bf7b46") == ("me", PrincipalType.USER)
    assert deployer.resolved("me", "11111111-1111-1111-1111-111111111111") == ("me", PrincipalType.SERVICE_PRINCIPAL)
    someone = {"object_id": "33333333-2222-3333-4444-555555555555", "type": "Group"}
    (named,) = load(submitters=[someone]).submitters
    assert named.resolved("me", "x") == (someone["object_id"], PrincipalType.GROUP)
    assert named.role is SubmitterRole.SUBMIT
    assert load(submitters=[]).submitters == ()


SQL = [
    ("db.example", "worklist", True),
    ("db.example,1433", "work list", True),
    ("db.example", "läger[1]'s", True),
    ("db.example", "x" * 128, True),
    ("db.example", "x" * 129, False),
    ("db.example", "work;list", True),
    ("db.example", "a=b", True),
    ("db.example", "a}b", True),
    ("db.example", "{a", True),
    ("db.example", " ", False),
    ("db.example", " a", False),
    ("db.example", "a ", False),
    ("db.example", "a\nb", False),
    ("db.example", "a\x85b", False),
    ("db.example", "\u3000a", False),
    ("db.example", "\U0001f600" * 64, True),
    ("db.example", "\U0001f600" * 65, False),
    ("db.example.", "worklist", False),
    ("db.example,99999", "worklist", False),
    ("db.example,65536", "worklist", False),
    ("db.example,65535", "worklist", True),
    ("db.example,0", "worklist", False),
    ("db.example,", "worklist", False),
    ("db.example,01433", "worklist", False),
    ("tcp:db.example", "worklist", False),
    ("db example", "worklist", False),
]


@pytest.mark.parametrize(("server", "database", "good"), SQL)
def test_the_worker_takes_the_database_that_the_stack_takes_and_no_other(
    server: str, database: str, good: bool
) -> None:
    environment = {"SQL_SERVER": server, "SQL_DATABASE": database, "AZURE_CLIENT_ID": "c"}
    if good:
        assert load(sql__server=server, sql__database=database).sql.database == database
        assert worker_settings.load_sql(environment).database == database
        return
    assert "sql." in refused(sql__server=server, sql__database=database)
    with pytest.raises(SettingsOfWorkerError):
        worker_settings.load_sql(environment)


def test_the_worker_and_the_stack_have_one_rule_for_servers() -> None:
    assert worker_settings.SERVER_PATTERN == SQL_SERVER_PATTERN
