"""Settings: what is wrong is said once, all together, by YAML key, with what was expected, what came and what to do."""

from __future__ import annotations

import re
from typing import Any

import pulumi
import pytest
from pydantic import ValidationError

from infra.settings import (
    SQL_SERVER_PATTERN,
    PrincipalType,
    Settings,
    SettingsError,
    yaml_keys,
)
from tests.infra.recording import PASSWORDS, PROJECT, CloudMocks, Run, set_config, stack_config
from worker.docker_worker import settings as worker_settings
from worker.docker_worker.errors import SettingsError as SettingsOfWorkerError


@pytest.fixture(autouse=True)
def stack() -> None:
    """A stack named dev, without any program."""
    pulumi.runtime.set_mocks(CloudMocks(Run()), project=PROJECT, stack="dev")


def changed(**changes: Any) -> dict[str, Any]:
    """The dev stack's config with other values; `pool__vm_size=...` changes one key of a section, None removes it."""
    config = stack_config("dev")
    for path, value in changes.items():
        *sections, key = path.split("__")
        place = config
        for section in sections:
            place[section] = dict(place[section])
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


@pytest.mark.parametrize("name", ["dev", "prod", "local"])
def test_the_stacks_of_this_repository_are_valid(name: str) -> None:
    set_config(stack_config(name))
    settings = Settings.load(pulumi.Config())
    assert {"hello", "sql-check"} <= set(settings.families)


def test_the_local_stack_has_two_nodes_with_two_slots() -> None:
    set_config(stack_config("local"))
    settings = Settings.load(pulumi.Config())
    assert (settings.pool.dedicated_nodes, settings.pool.task_slots_per_node) == (2, 2)
    assert settings.deployer_type is PrincipalType.SERVICE_PRINCIPAL


@pytest.mark.parametrize("name", ["dev", "prod", "local"])
def test_stack_files_use_only_keys_that_settings_know(name: str) -> None:
    assert set(stack_config(name)) <= set(yaml_keys())


def test_prefetch_is_off_unless_a_stack_turns_it_on() -> None:
    assert load(pool__prefetch_worker_image=None).pool.prefetch_worker_image is False


def test_a_value_out_of_range_names_key_expectation_value_file_and_fix() -> None:
    assert refused(pool__dedicated_nodes=250) == (
        "1 problem in the settings (Pulumi.dev.yaml):\n"
        "  pool.dedicated_nodes: expected a whole number 0..100, got 250; "
        "change it or raise MAX_NODES in infra/settings.py"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pool__task_slots_per_node": 0}, "pool.task_slots_per_node: expected a whole number 1..256, got 0; "),
        ({"pool__dedicated_nodes": "two"}, "pool.dedicated_nodes: expected a whole number 0..100, got 'two'; "),
        ({"pool__dedicated_nodes": True}, "pool.dedicated_nodes: expected a whole number 0..100, got True; "),
        ({"pool__vm_size": "D2"}, "pool.vm_size: expected a VM size like Standard_D2ads_v5, got 'D2'; "),
        ({"pool__prefetch_worker_image": "yes"}, "pool.prefetch_worker_image: expected true or false, got 'yes'; "),
        ({"pool__vm_size": None}, "pool.vm_size: expected a VM size like Standard_D2ads_v5, but it is missing; "),
        ({"pool": "big"}, "pool: expected a section with vm_size and dedicated_nodes, got 'big'; "),
        ({"sql": None}, "sql: expected a section with server and database, but it is missing; see Pulumi.dev.yaml"),
        ({"sql__server": "tcp:host;x"}, "sql.server: expected a host name, with ,port if not 1433, got 'tcp:host;x'; "),
        (
            {"families": ["ok", "not ok"]},
            "families[1]: expected 1 to 64 letters, digits, - or _, like nightly-load, got ",
        ),
        ({"families": []}, "families: expected a list of at least one job family, got []; "),
        ({"families": "{broken"}, "families: expected a list of at least one job family, got '{broken'; "),
        ({"families": ["Hello", "hello"]}, "families: expected consistent values, got 'hello' and 'Hello' would share"),
        ({"location": "west-europe"}, "location: expected an Azure region like westeurope, got 'west-europe'; "),
        ({"prefix": "Too-Long-A-Prefix"}, "prefix: expected 2 to 8 lower-case letters or digits, a letter first, got "),
        ({"storage": {"soft_delete_days": 366}}, "storage.soft_delete_days: expected a whole number 0..365, got 366; "),
        ({"storage": {"days": 3}}, "storage.days: expected one of soft_delete_days, got the unknown key days; "),
        (
            {"subscription_id": "mine"},
            "subscription_id: expected an id like 11111111-2222-3333-4444-555555555555, got ",
        ),
        ({"tenant_id": 12}, "tenant_id: expected an id like 11111111-2222-3333-4444-555555555555, got "),
        ({"tags": ["prod"]}, "tags: expected names and texts like {environment: prod, owner: team-batch}, got "),
        ({"tags": {"cost": 12}}, "tags.cost: expected names and texts like "),
        ({"tags": {"a/b": "x"}}, "tags: expected consistent values, got the name 'a/b' cannot be used; take 1 to 128 "),
        ({"tags": {"owner": ""}}, "tags: expected consistent values, got owner has 0 characters; write 1 to 256"),
        ({"tags": {"owner": "x" * 257}}, "tags: expected consistent values, got owner has 257 characters; write 1 to "),
        ({"tags": {"Owner": "x", "owner": "y"}}, "tags: expected consistent values, got Owner, owner differ in case "),
        ({"tags": {f"t{n}": "x" for n in range(51)}}, "tags: expected consistent values, got there are 51, Azure "),
        ({"protect": "sometimes"}, "protect: expected true or false, got 'sometimes'; "),
        ({"deployer_type": "Robot"}, "deployer_type: expected User, Group or ServicePrincipal, got 'Robot'; "),
        ({"submitters": [{"object_id": "me", "type": "User"}]}, "submitters[0].object_id: expected an object id like "),
        ({"worker__base_image": "no image!"}, "worker.base_image: expected an image reference like "),
        ({"worker__source": "git@host:x"}, "worker.source: expected an address like https://git.example/"),
    ],
)
def test_each_bad_value_is_reported_under_its_yaml_key(changes: dict[str, Any], words: str) -> None:
    assert f"\n  {words}" in refused(**changes)


@pytest.mark.parametrize(
    ("changes", "key", "hint"),
    [
        ({"locaton": "westeurope"}, "locaton", "did you mean location?"),
        ({"pool__dedicatedNodes": 2}, "pool.dedicatedNodes", "did you mean dedicated_nodes?"),
        ({"pool__prefetch_image": True}, "pool.prefetch_image", "did you mean prefetch_worker_image?"),
        ({"adminpassword": "x"}, "adminpassword", "did you mean adminPassword?"),
        ({"zzz": "x"}, "zzz", "remove it"),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest_known(changes: dict[str, Any], key: str, hint: str) -> None:
    message = refused(**changes)
    assert f"\n  {key}: expected one of " in message
    assert message.endswith(hint)


def test_all_problems_come_at_once() -> None:
    message = refused(pool__dedicated_nodes=-1, sql__database="", location="", nonsense="1", adminPassword=None)
    assert message.startswith("5 problems in the settings (Pulumi.dev.yaml):")
    assert len(re.findall(r"^  \S+: expected", message, re.MULTILINE)) == 5


@pytest.mark.parametrize("key", sorted(PASSWORDS))
def test_a_missing_secret_names_the_command_that_sets_it(key: str) -> None:
    assert f"{key}: expected at least 12 characters, but it is missing; run `pulumi config set --secret {key}`" in (
        refused(**{key: None})
    )


def test_a_secret_in_clear_text_is_refused_and_not_repeated() -> None:
    set_config(stack_config("dev"), secret=("userPassword",))
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


def test_settings_error_ends_a_program_without_a_traceback() -> None:
    assert issubclass(SettingsError, pulumi.RunError)


def test_settings_are_frozen_and_keep_passwords_out_of_sight() -> None:
    settings = load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.location = "elsewhere"  # type: ignore[misc]
    shown = repr(settings) + str(settings) + settings.model_dump_json()
    assert not [password for password in PASSWORDS.values() if password in shown]


def test_the_deployer_submits_unless_the_stack_names_others() -> None:
    (deployer,) = load().submitters_or("the-deployer")
    assert (deployer.object_id, deployer.type) == ("the-deployer", PrincipalType.USER)
    someone = {"object_id": "11111111-2222-3333-4444-555555555555", "type": "Group"}
    (named,) = load(submitters=[someone]).submitters_or("the-deployer")
    assert (named.object_id, named.type) == (someone["object_id"], PrincipalType.GROUP)
    assert load(submitters=[]).submitters_or("the-deployer") == ()


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
